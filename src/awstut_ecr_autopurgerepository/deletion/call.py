"""One call of the delete handler: its deadlines, the objects that it uses, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from ..errors import AWS_ERRORS, HandlerError, RefusalError, shortened
from ..models import ResourceHandlerRequest, ResourceModel
from ..pacing import (
    HARD_LIMIT_SECONDS,
    LAST_START_SECONDS,
    S3_CONNECT_SECONDS,
    S3_READ_SECONDS,
    Clock,
    OutOfTimeError,
    Pacer,
    Pool,
)
from ..request_fields import owner_of, required_name
from ..rules.account import AccountRules
from ..rules.reserved_tags import request_hash
from ..rules.settings import Owner
from . import messages
from .asking import Questions
from .freeze import Freeze, Freezing, Lifted, Lifting
from .inventory import Inventory
from .look import Look, Repository
from .metrics import Figures, log_line
from .progress import CallProgress, silence
from .purge import Purge
from .replication import Replication
from .report import Ending, PurgeReport
from .report.writer import Origin, Reporter
from .state import State
from .use import Use
from .verdict import Question, Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

MOST_LOOKING_SECONDS = 10.0  # for further reasons, once there is one against the delete
MOST_SILENT_SECONDS = 600  # without any progress, while nothing is throttled
FIRST_ANSWER_SECONDS = 9.0  # after the first call began; requests in flight, and the report, take the rest of 10 s
SOON_SECONDS = 20.0  # a throttled purge that is expected to take no longer is not interrupted for its first answer
OLD_LOOK_SECONDS = 5.0  # after which the repository is looked at again before it is deleted
MOST_LIFT_ATTEMPTS = 5  # calls that answer IN_PROGRESS because the push block is not removed yet
CALLBACK_DELAY_SECONDS = 1

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


@dataclass(frozen=True)
class Budget:
    """All deadlines of one call, on the clock's monotonic time.

    No request of a kind starts after its deadline ``…_until``. A request lasts at most CONNECT_SECONDS + READ_SECONDS
    (to S3: S3_CONNECT_SECONDS + S3_READ_SECONDS), so that all requests end within HARD_LIMIT_SECONDS.
    """

    first_answer_at: float  # the first call of an operation answers, if its purge does not end soon
    soon_at: float  # a throttled purge that is expected to end by then is not interrupted for its first answer
    list_until: float  # lists images that are to be deleted in this call
    purge_until: float  # looks, checks, deletes
    clean_up_until: float  # removes the push block before a failure
    report_until: float  # writes the purge report to S3

    @classmethod
    def of_call(cls, began: float) -> Budget:
        """The deadlines of a call that began at that moment."""
        last_start = began + LAST_START_SECONDS
        return cls(
            first_answer_at=began + FIRST_ANSWER_SECONDS,
            soon_at=began + SOON_SECONDS,
            list_until=last_start - LAST_START_SECONDS / 2,
            purge_until=last_start,
            clean_up_until=last_start,
            report_until=began + HARD_LIMIT_SECONDS - S3_CONNECT_SECONDS - S3_READ_SECONDS,
        )


@dataclass
class Call:
    """The objects that one call uses. Only the functions of this module and of ``deletion`` take all of them."""

    name: str
    model: ResourceModel | None
    requester: Owner
    account: AccountRules
    clock: Clock
    began: float  # on the clock's monotonic time
    budget: Budget
    state: State
    pacer: Pacer
    look: Look
    inventory: Inventory
    freeze: Freeze
    purge: Purge
    replication: Replication
    report: PurgeReport
    questions: Questions
    progress: CallProgress
    deleted_before: int  # images, in earlier calls
    figures: Figures = field(default_factory=Figures)

    @classmethod
    def begin(
        cls,
        ecr: ECRClient,
        request: ResourceHandlerRequest,
        account: AccountRules,
        context: Mapping[str, Any],
        clock: Clock,
        pool: Pool,
        make_s3: Callable[[], S3Client],
        make_client: Callable[[str], Any],
    ) -> Call:
        """Make the objects of a call. Raises HandlerError (NotFound) if the request names no repository."""
        name, requester, began = required_name(request.desiredResourceState), owner_of(request), clock.monotonic()
        budget, state, figures = Budget.of_call(began), State.from_context(context), Figures()
        state.begin(clock.time())
        pace = state.pace
        pacer = Pacer.as_learnt(clock, budget.purge_until, pace.calls_a_second, pace.in_flight, pace.outgrown)
        look = Look(ecr, str(request.awsAccountId), name, pacer, pool, state.identity)
        progress = CallProgress(
            ecr=ecr,
            pacer=pacer,
            look=look,
            counts=state.counts,
            current_pass=state.current_pass,
            began=began,
            is_first_call=not context,
            first_answer_at=budget.first_answer_at,
            soon_at=budget.soon_at,
            most_in_flight=pool.size,
        )
        reporter = Reporter(make_s3, _origin(request, name), pool, Pacer(clock, ends=budget.report_until))
        inventory = Inventory(ecr, name, pacer, budget.list_until, state.current_pass, state.counts, progress)
        replication = Replication(ecr, name, pacer, pool)
        use = Use(ecr, name, pacer, pool, make_client, state.use, progress, clock.time())
        return cls(
            name=name,
            model=request.desiredResourceState,
            requester=requester,
            account=account,
            clock=clock,
            began=began,
            budget=budget,
            state=state,
            pacer=pacer,
            look=look,
            inventory=inventory,
            freeze=Freeze(ecr, name, pacer, requester, began, state.freeze),
            purge=Purge(ecr, name, pacer, pool, state.counts, state.current_pass, state.stalls, figures, progress),
            replication=replication,
            report=PurgeReport(reporter, account, pacer, state.identity, state.counts, state.report),
            questions=Questions(ecr, name, pacer, inventory, replication, reporter, use),
            progress=progress,
            deleted_before=state.counts.deleted,
            figures=figures,
        )

    def verdict(self, repository: Repository) -> Verdict:
        """The verdict on the repository as it was just seen, before any image is folded in."""
        now, counts = datetime.fromtimestamp(self.clock.time(), UTC), self.state.counts
        return Verdict.on(repository, self.requester, self.account, now, counts.deleted, counts.known)

    def ask_about_use(self, verdict: Verdict) -> None:
        """Tell the verdict whether an image is in use. Raises OutOfTimeError if another call has to go on asking."""
        self.questions.ask(Question.USE, verdict)

    def start_replica_check(self, verdict: Verdict) -> None:
        """Start to ask whether ECR carries deletions elsewhere, if the decision or the report needs it."""
        if self._needs_destinations(verdict):
            self.replication.ask()

    def finish_replica_check(self, verdict: Verdict) -> None:
        """Tell the verdict, and the report, where ECR carries deletions, if that was asked."""
        if self._needs_destinations(verdict):
            self.questions.ask(Question.REPLICAS, verdict)
            self.report.note_destinations(verdict.destinations or ())

    def _needs_destinations(self, verdict: Verdict) -> bool:
        """Whether the decision or the report needs to know where else ECR deletes the images."""
        return not verdict.may_delete_replicas or self.report.current is not None

    def apply_freeze(self, verdict: Verdict) -> Freezing:
        """Apply the freeze, if the repository wants that. Raises RefusalError if it cannot be applied."""
        freezing = self.freeze.apply(verdict)
        self.stop_if_refused(verdict)
        return freezing

    def stop_if_refused(self, verdict: Verdict) -> None:
        """Raise RefusalError if there is a reason against the delete, with all further ones that can be found in time.

        Returns if there is none.
        """
        reasons = verdict.reasons()
        if not reasons:
            return
        if not verdict.against_requester():
            self.questions.find_more(verdict, MOST_LOOKING_SECONDS)
            reasons = verdict.reasons() or reasons  # A listing that began again has lost the reasons that it had found.
        message = verdict.refusal(reasons)
        if any(each.why not in message for each in reasons):
            LOG.info(messages.in_full(verdict.repository.arn, reasons, more=not verdict.is_complete))
        raise RefusalError(message)

    def resume_report(self) -> None:
        """Write the summary if only that was missing when the last call ended. Raises OutOfTimeError."""
        if self.state.identity.deleted is None:
            self.report.resume(self._ending("SUCCESS", ""))

    def complete_report(self, images_listed: int) -> bool:
        """Complete the report before the empty repository is deleted. True if the repository may be deleted now.

        False if the report needs one more listing, or if the report took so long that the last look is old; then the
        images have to be listed again. ``images_listed`` is how many the last part had. Raises OutOfTimeError.
        """
        self.progress.note_movement()  # No image is left.
        began = self.clock.monotonic()
        is_settled = self.report.settle(self._ending("SUCCESS", ""), images_listed)
        return is_settled and self.clock.monotonic() - began <= OLD_LOOK_SECONDS

    def done(self) -> ProgressEvent:
        """The answer once the repository is gone. Raises OutOfTimeError where the report is not complete yet."""
        self.look.forget()
        message = self.report.close(self._ending("SUCCESS", ""))
        return ProgressEvent(status=OperationStatus.SUCCESS, message=message)

    def to_be_continued(self) -> ProgressEvent:
        """The answer of a call that ran out of time. Raises HandlerError if no call gets an answer any more."""
        counts, current_pass = self.state.counts, self.state.current_pass
        self._give_up_if_silent()
        if self.state.use.service:
            message = messages.asking_about_use(self.name, self.state.use.service)
        elif counts.deleted or self.state.is_purging:
            rate = (counts.deleted - self.deleted_before) / max(1.0, self.clock.monotonic() - self.began)
            message = messages.purged(self.name, counts.deleted, counts.known, current_pass.number, rate)
        else:
            message = messages.checked(self.name, current_pass.found)
        return self._in_progress(message)

    def _give_up_if_silent(self) -> None:
        """Raise HandlerError (NotStabilized) if there was no progress for long although nothing is throttled.

        That happens if ECR answers looks but no delete, or if all answers come so late that no call gets further.
        """
        pacers = {"ECR": self.pacer, "S3": self.report.reporter.pacer}
        throttled = any(each.throttled for each in pacers.values())
        lasted = self.clock.monotonic() - self.began + CALLBACK_DELAY_SECONDS
        self.state.stalls.note_call(lasted, answered=self.progress.moved or throttled)
        if self.state.stalls.silent_seconds >= MOST_SILENT_SECONDS:
            raise HandlerError(
                HandlerErrorCode.NotStabilized, silence(self.name, pacers, minutes=MOST_SILENT_SECONDS // 60)
            )

    def fail(self, error: HandlerError) -> ProgressEvent:
        """Remove the push block, then raise the failure.

        Answers IN_PROGRESS if another call may be able to remove the push block. If none can, the failure says that
        pushes are still refused.
        """
        self.pacer.ends = self.budget.clean_up_until
        final, pending = self._with_deleted(error), self.state.failure
        lifted = self._allow_pushes()
        if lifted.how is Lifting.TRY_AGAIN and (pending is None or pending.attempts < MOST_LIFT_ATTEMPTS):
            self.state.fail_later(HandlerError(final.code, shortened(final.message)))
            return self._in_progress(messages.removing_push_block(self.name, final.message))
        if lifted.how is not Lifting.LIFTED and self.state.freeze.applied:
            region, alone = self.look.region, self.state.freeze.alone
            words = messages.still_blocked(final.message, region, self.name, lifted.reason, alone=alone)
            final = HandlerError(final.code, words)
        self.report.close_failed(self._ending("FAILED", final.message))
        self.log(OperationStatus.FAILED, final.message)
        raise final from error.__cause__

    def _with_deleted(self, error: HandlerError) -> HandlerError:
        """The failure, with how many images were deleted before it; a refusal says that itself."""
        if self.state.failure or isinstance(error, RefusalError):
            return error
        counts = self.state.counts
        return HandlerError(error.code, messages.stopped(counts.deleted, counts.known, error.message))

    def _allow_pushes(self) -> Lifted:
        repository = self.look.seen
        if self.state.freeze.unproven:
            try:
                repository = self.look.at_repository()
            except OutOfTimeError:
                return Lifted(Lifting.TRY_AGAIN, messages.NO_TIME_LEFT)
            except (HandlerError, *AWS_ERRORS):  # it is gone, or we may not look: the next delete finds out
                repository = None
        return self.freeze.lift_before_failing(repository)

    def log(self, status: OperationStatus, message: str) -> None:
        """Write the log line of this call."""
        self.figures.throttled_calls = self.pacer.throttled
        self.figures.seconds = self.clock.monotonic() - self.began
        counts = self.state.counts
        more = {"Deleted": counts.deleted, "Known": counts.known, "Pass": self.state.current_pass.number}
        LOG.info(log_line(self.name, self.figures, status.name, message, self.clock.time(), **more))

    def _in_progress(self, message: str) -> ProgressEvent:
        rate = self.pacer.rate
        self.state.pace.learn(rate.calls_a_second, rate.outgrown, int(self.pacer.in_flight))
        return ProgressEvent(
            status=OperationStatus.IN_PROGRESS,
            message=message,
            callbackContext=self.state.to_context(),
            callbackDelaySeconds=CALLBACK_DELAY_SECONDS,
            resourceModel=self.model,
        )

    def _ending(self, status: str, message: str) -> Ending:
        state = self.state
        current_pass = state.current_pass
        return Ending(status, message, state.began, current_pass.number, state.counts.deleted, current_pass.failures)


def _origin(request: ResourceHandlerRequest, name: str) -> Origin:
    owner = owner_of(request)
    return Origin(
        repository=name,
        operation=request_hash(request.clientRequestToken or ""),
        account=str(request.awsAccountId),
        stack_id=owner.stack_id,
        logical_id=owner.logical_id,
    )
