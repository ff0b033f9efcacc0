"""Asks Lambda, ECS and Amazon Inspector which images of the repository are in use, before images are deleted.

If one image is in use, all are kept. So between calls only the position of the next page is remembered. A service that
cannot be asked counts as use. For each image of the repository that a page names, ECR is asked whether it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from ... import ecr as ecr_calls
from ... import ecs, inspector, lambda_functions
from ...errors import AWS_ERRORS, denied_action, handler_code, service_code, service_message
from ...pacing import OutOfTimeError, Pacer, Pool, until_answered
from ...rules.in_use import Address, ImagesInUse, image_id
from .. import messages
from ..state import UseState
from .coverage import CoverageWalk
from .functions import FunctionWalk
from .pages import CannotTellError, Page, SparingPacer, Walk, Watch
from .tasks import TaskWalk

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

__all__ = ["Use"]

VALID_SECONDS = 600  # after which a call asks again
MORE_SECONDS = 10.0  # for which it is looked for more, once something is found
MOST_SILENT_SECONDS = 90  # without a page of one service, over all calls
LONGEST_PLACE = 1_500  # characters; a longer one does not fit into the callback context
CLIENTS = {"LAMBDA": "lambda", "ECS": "ecs", "INSPECTOR": "inspector2"}  # botocore's names

_REFUSED_TOKEN = frozenset(
    {"ClientException", "InvalidParameterException", "InvalidParameterValueException", "ValidationException"}
)


@dataclass
class Use:
    """Asks for one repository. ``make_client`` makes a client of a service by botocore's name, where one is needed.

    The clients make each request once. ``progress`` is told of each page; None where nobody deletes. ``began`` is when
    the call began, in seconds since 1970.
    """

    ecr: ECRClient
    name: str
    pacer: Pacer
    pool: Pool
    make_client: Callable[[str], Any]
    state: UseState
    progress: Watch | None
    began: float
    _pacers: list[SparingPacer] = field(default_factory=list)
    _images: dict[tuple[str, str], Any] = field(default_factory=dict)

    def is_due(self, services: Sequence[str]) -> bool:
        """Whether the services have to be asked before this call deletes images."""
        return bool(services) and not self.state.is_checked_since(self.began - VALID_SECONDS)

    def look(self, repository: Address, services: Sequence[str]) -> ImagesInUse:
        """What the services say of the repository's images, beginning where an earlier call stopped.

        Empty, once all of them have said that none is in use. Raises OutOfTimeError if another call has to go on.
        """
        found = ImagesInUse()
        for service in self.state.still_to_ask(services):
            self.state.go_on_with(service)
            try:
                self._ask(service, repository, found)
            except CannotTellError as error:
                found.unchecked[service] = str(error)
            except OutOfTimeError:
                if not found:
                    self._give_up_if_silent(service, found)
                found.is_complete = False
                break
        if found:
            self.state.begin_again()
        else:
            self.state.finish(self.pacer.clock.time())
        return found

    def _ask(self, service: str, repository: Address, found: ImagesInUse) -> None:
        """Ask one service. Raises CannotTellError, OutOfTimeError, and what ECR raises."""
        clock = self.pacer.clock
        self.state.wait_for_page(clock.time())
        until: float | None = None
        for page in self._pages(service, repository):
            for reference in page.references:
                named = image_id(reference.uri, repository)
                image = self._image(named) if named else None
                if image is not None:
                    found.add(image, reference.user, service)
            if found and until is None:
                until = clock.monotonic() + MORE_SECONDS
            if page.next_place is None:
                return
            if until is not None and clock.monotonic() > until:
                raise OutOfTimeError
            if sum(map(len, page.next_place)) > LONGEST_PLACE:
                raise CannotTellError(messages.use_list_too_long(service))
            self.state.go_on_at(page.next_place)
            self.state.wait_for_page(clock.time())

    def _pages(self, service: str, repository: Address) -> Iterator[Page]:
        """All pages of a service, from the beginning if it no longer takes the place. Raises CannotTellError."""
        walk = self._walk(service, repository)
        try:
            try:
                yield from self._from(walk, self.state.place)
            except ClientError as error:
                if not self.state.place or service_code(error) not in _REFUSED_TOKEN:
                    raise
                self.state.go_on_at([])
                yield from self._from(walk, [])
        except AWS_ERRORS as error:
            raise CannotTellError(_why_not_asked(service, error)) from error

    def _from(self, walk: Walk, place: list[str]) -> Iterator[Page]:
        for page in walk.pages(place):
            if self.progress:
                self.progress.note_movement()
            self.state.note_page()
            yield page

    def _image(self, named: dict[str, str]) -> Any:
        """The image that an id names; None if the repository does not have it."""
        [key] = named.items()
        if key not in self._images:
            self._images[key] = until_answered(
                self.pacer, partial(ecr_calls.describe_image, self.ecr, self.name, named)
            )
        return self._images[key]

    def _walk(self, service: str, repository: Address) -> Walk:
        client = self.make_client(CLIENTS[service])
        if service == "LAMBDA":
            lists, gets = map(
                self._pacer, (lambda_functions.MOST_LISTS_PER_SECOND, lambda_functions.MOST_GETS_PER_SECOND)
            )
            return FunctionWalk(client, lists, gets, self.pool)
        if service == "ECS":
            return TaskWalk(client, self._pacer(ecs.MOST_PER_SECOND))
        return CoverageWalk(client, self._pacer(inspector.MOST_PER_SECOND), repository)

    def _pacer(self, most_per_second: float) -> SparingPacer:
        pacer = SparingPacer(self.pacer.clock, ends=self.pacer.ends, most_per_second=most_per_second)
        self._pacers.append(pacer)
        return pacer

    def _give_up_if_silent(self, service: str, found: ImagesInUse) -> None:
        """Let a service count as use if it gave no page for MOST_SILENT_SECONDS. Raises OutOfTimeError before that."""
        if self.pacer.clock.time() - (self.state.waiting_since or 0) < MOST_SILENT_SECONDS:
            raise OutOfTimeError
        errors = [each.last_error for each in self._pacers if each.last_error]
        found.unchecked[service] = _why_not_asked(service, errors[-1]) if errors else messages.use_not_answered(service)


def _why_not_asked(service: str, error: Exception) -> str:
    """Why a service could not be asked."""
    said = service_message(error).rstrip(".")
    if not isinstance(error, ClientError) or handler_code(error) is not HandlerErrorCode.AccessDenied:
        return messages.use_not_asked(service, said)
    action = denied_action(said)
    if service == "INSPECTOR" and action is None:
        return messages.inspector_refuses("inspector2:ListCoverage", said)
    return messages.use_denied(action or f"{CLIENTS[service]}:{error.operation_name}")
