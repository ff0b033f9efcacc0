"""Asks what a delete would do: the requests that the verdict needs. None of them changes anything.

The delete makes them before it acts, and looks for further reasons once there is one against it. For a preview,
``what_would_delete_do`` makes all of them, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, HandlerError, handler_code, service_message
from ..pacing import Clock, OutOfTimeError, Pacer, Pool, until_answered
from ..rules import push_block
from ..rules.account import AccountRules
from ..rules.in_use import Address, ImagesInUse
from ..rules.settings import Owner
from . import messages
from .inventory import Inventory
from .look import Look
from .replication import Replication
from .report.writer import Origin, Reporter, ReportError
from .state import Counts, CurrentPass, Identity, UseState
from .use import Use
from .verdict import Answer, Outcome, Question, Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

MOST_SECONDS_ASKED = 600.0


@dataclass
class Questions:
    """The questions about one repository. ``not_known`` are sentences about what could not be found out."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    inventory: Inventory
    replication: Replication
    reporter: Reporter
    use: Use
    not_known: list[str] = field(default_factory=list)

    def find_more(self, verdict: Verdict, seconds: float) -> None:
        """Look for so many seconds for further reasons against a delete that fails anyway.

        The first page comes first: the questions matter only if there are images. What cannot be found out is left out,
        and the verdict is not complete.
        """
        ends = self.pacer.clock.monotonic() + seconds
        with _until(ends, self.pacer), _until(ends, self.reporter.pacer):
            pages = self.inventory.further_pages(verdict)
            if not verdict.images_found:
                with suppress(OutOfTimeError, *AWS_ERRORS):
                    next(pages, None)
            for question in verdict.open_questions():
                with suppress(OutOfTimeError, *AWS_ERRORS):
                    self.ask(question, verdict)
            if verdict.needs_more_images:
                with suppress(OutOfTimeError, *AWS_ERRORS):
                    for _ in pages:
                        if not verdict.needs_more_images:
                            break

    def find_all(self, verdict: Verdict) -> None:
        """Find out all that can be known. Raises OutOfTimeError, and what AWS raises."""
        for _ in self.inventory.further_pages(verdict):
            pass
        for question in verdict.open_questions():
            self.ask(question, verdict)
        if verdict.images_found and Question.REPLICAS not in verdict.answered:  # allowed, and good to know all the same
            self.ask(Question.REPLICAS, verdict)

    def ask(self, question: Question, verdict: Verdict) -> None:
        """Ask one question, and tell the verdict. Raises OutOfTimeError, and what AWS raises."""
        {
            Question.REPLICAS: self._ask_about_replicas,
            Question.REPORT: self._ask_about_report,
            Question.USE: self._ask_about_use,
            Question.PUSH_BLOCK: self._ask_about_push_block,
        }[question](verdict)

    def _ask_about_replicas(self, verdict: Verdict) -> None:
        verdict.answer_replicas(self.replication.destinations())

    def _ask_about_report(self, verdict: Verdict) -> None:
        """Only the delete itself can find out whether an object can be written: it writes one."""
        place = verdict.report_place
        if place is None:
            return
        try:
            self.reporter.at(place).look()
        except ReportError as error:
            if error.code is not HandlerErrorCode.AccessDenied:
                verdict.answer_report(error.words)
            else:  # A role that may not list objects may still be allowed to write them.
                self.not_known.append(messages.report_not_known(str(place), error.words))
            return
        verdict.answer_report(None)

    def _ask_about_use(self, verdict: Verdict) -> None:
        repository, services = verdict.repository, verdict.services
        is_due = self.use.is_due(services)
        found = self.use.look(Address.of(repository.arn, repository.uri), services) if is_due else ImagesInUse()
        verdict.answer_use(found)

    def _ask_about_push_block(self, verdict: Verdict) -> None:
        try:
            policy = until_answered(self.pacer, partial(calls.get_policy, self.ecr, self.name))
        except ClientError as error:
            if handler_code(error) is not HandlerErrorCode.AccessDenied:
                raise
            self.not_known.append(messages.push_block_not_known(service_message(error)))
            return
        try:
            if not push_block.is_in(policy):
                push_block.add_to(policy)
        except ValueError as error:
            verdict.answer_push_block(str(error))
        else:
            verdict.answer_push_block(None)


@contextmanager
def _until(ends: float, pacer: Pacer) -> Iterator[None]:
    """Let no request start after ``ends``, on monotonic time, until the block is left."""
    before = pacer.ends
    pacer.ends = min(ends, before)
    try:
        yield
    finally:
        pacer.ends = before


def what_would_delete_do(
    ecr: ECRClient,
    name: str,
    requester: Owner,
    account: AccountRules,
    account_id: str,
    clock: Clock,
    pool: Pool,
    make_s3: Callable[[], S3Client],
    make_client: Callable[[str], Any],
    seconds: float = MOST_SECONDS_ASKED,
) -> Answer:
    """What a delete of the repository ``name`` would do now. Changes nothing.

    ``requester`` is the stack and the resource in it for which the delete would be made; ``Owner()`` decides as for a
    delete by Cloud Control. ``account`` is the type configuration, ``account_id`` owns the registry, ``clock`` is the
    module ``time``. The clients must make each request once, as those of provider/clients.py do: requests are
    repeated here. ``make_s3`` makes a new client, used for nothing else; it is called only if a purge report
    is asked for. ``make_client`` makes clients of lambda, ecs and inspector2, only if use is to be checked.

    It takes as many calls as there are pages of 1,000 images, at most six more, and those that the check of use takes.
    That a repository does not exist is believed after ten seconds, because the first answer could be old. Raises
    HandlerError where ECR gives different answers about the repository, OutOfTimeError if all that takes longer than so
    many ``seconds``, and what botocore raises.

    A delete asks with the permissions of the role that runs the resource type, and this asks with the caller's. If
    ecr:DescribeRegistry, or a request that finds use, is denied to the caller, that counts as a reason against the
    delete, as it would if it were denied to the role.
    """
    pacer = Pacer(clock, ends=clock.monotonic() + seconds)
    look = Look(ecr, account_id, name, pacer, pool, Identity())
    try:
        repository = look.at_repository()
    except HandlerError as error:
        if error.code is HandlerErrorCode.NotFound:
            return Answer(name, Outcome.GONE)
        raise
    if repository is None:
        return Answer(name, Outcome.GONE)
    inventory = Inventory(ecr, name, pacer, pacer.ends, CurrentPass(), Counts(), None)
    origin = Origin(name, "", account_id, requester.stack_id, requester.logical_id)
    reporter = Reporter(make_s3, origin, pool, Pacer(clock, ends=pacer.ends))
    use = Use(ecr, name, pacer, pool, make_client, UseState(), None, clock.time())
    questions = Questions(ecr, name, pacer, inventory, Replication(ecr, name, pacer, pool), reporter, use)
    verdict = Verdict.on(repository, requester, account, datetime.fromtimestamp(clock.time(), UTC), 0, 0)
    questions.find_all(verdict)
    return verdict.answer(questions.not_known)
