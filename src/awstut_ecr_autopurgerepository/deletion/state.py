"""How far a delete is: the callback context, in sections, typed and checked.

The repository itself is the state. The context only says which repository the operation began with, where the next call
goes on, and what to tell the user. It stays under 4 KB whatever happens. Each section has one owner: the class that
holds it, whose methods are the only ones that change it, and the module that calls them (named at each class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, TypeVar

from cloudformation_cli_python_lib import HandlerErrorCode

from ..errors import HandlerError
from ..rules.settings import ReportPlace
from ..typed_json import Strictness, decode
from . import messages

CONTEXT_VERSION = 6
_LONGEST_TOKEN = 1_900  # characters; a longer one is not kept, and the pass begins again
_MOST_SAMPLES = 3
_MOST_DESTINATIONS = 6

Section = TypeVar("Section")


class Phase(Enum):
    """What the next call does. "Gone" is no phase: the repository itself says so."""

    CHECK = "check"  # looks at all images; none is deleted
    PURGE = "purge"  # deletes
    FAIL = "fail"  # removes the push block, and fails


@dataclass
class Identity:
    """Which repository the operation began with. Owner: look.py."""

    created: int | None = None  # in ms since 1970
    request: str | None = None  # the hash of the create's request, as its tag says; None if there is no such tag
    described: int | None = None  # the creation time of the first that was described, perhaps without tags; in ms

    deleted: int | None = None  # when ECR has confirmed that it deleted the repository, in seconds since 1970

    def confirm_deleted(self, now: float) -> None:
        """Note that ECR has confirmed the delete by ``now``, in seconds since 1970."""
        self.deleted = int(now) if self.deleted is None else self.deleted

    def note_described(self, created: int) -> None:
        """Keep when the repository that was described first was created, in ms since 1970."""
        self.described = created if self.described is None else self.described

    def remember(self, created: int, request: str | None) -> None:
        """Keep what the first whole look saw."""
        self.created, self.request = created, request


@dataclass
class Counts:
    """Images of the whole operation. Owner: purge.py; the inventory says how many it saw."""

    deleted: int = 0
    known: int = 0  # the most that the repository is known to have had: deleted, and still to be deleted
    since: int | None = None  # when the first image was to be deleted, in seconds since 1970

    def begin(self, now: float) -> None:
        """Note when the first image is deleted."""
        self.since = int(now) if self.since is None else self.since

    def count_deleted(self, images: int) -> None:
        """Count images that ECR named as deleted."""
        self.deleted += images

    def notice(self, present: int) -> None:
        """Note how many images are present at least."""
        self.known = max(self.known, self.deleted + present)


@dataclass
class CurrentPass:
    """One walk over all images, from the first page to the last. Owner: inventory.py (token, found) and purge.py."""

    number: int = 1
    token: str | None = None  # ECR's token of the page where the pass goes on; None: the first page
    status: str | None = None  # of the images where the pass goes on; None: all statuses in one walk
    apart: bool = False  # ECR does not list all statuses in one walk, so each has a walk of its own
    found: int = 0  # images
    deleted: int = 0  # images that ECR named as deleted
    missing: int = 0  # images that ECR listed, but did not find when the purge deleted them
    failures: dict[str, int] = field(default_factory=dict)  # images that ECR refused, by its failure code
    samples: list[str] = field(default_factory=list)  # digests of some of them

    def go_on_at(self, status: str | None, token: str | None, found: int) -> None:
        """Note where the pass goes on, after so many more images."""
        self.status, self.token = status, token
        self.found += found

    def list_apart(self) -> None:
        """Give each status a walk of its own, from here on."""
        self.apart = True

    def count_deleted(self, images: int) -> None:
        """Count images that ECR named as deleted."""
        self.deleted += images

    def count_missing(self) -> None:
        """Count an image that was gone already."""
        self.missing += 1

    def count_failure(self, code: str, digest: str) -> None:
        """Count an image that was not deleted."""
        self.failures[code] = self.failures.get(code, 0) + 1
        if len(self.samples) < _MOST_SAMPLES:
            self.samples.append(digest)

    def restart(self) -> None:
        """Go back to the first page."""
        self.token, self.status, self.found, self.deleted, self.missing = None, None, 0, 0, 0
        self.failures, self.samples = {}, []

    def begin_next(self) -> None:
        """Go on to the next pass."""
        self.number += 1
        self.restart()


@dataclass
class Stalls:
    """Signs that a delete makes no progress. Owner: purge.py (passes) and call.py (calls)."""

    fewest_found: int | None = None  # images, in a whole pass
    passes_without_progress: int = 0  # in a row; each deleted images, but found no fewer than an earlier one
    since: int | None = None  # when the first of these passes ended, in seconds since 1970
    idle_passes: int = 0  # in a row; each deleted nothing, and found no fewer images than an earlier one
    idle_since: int | None = None  # when the first of these passes ended, in seconds since 1970
    silent_seconds: int = 0  # of calls in a row that made no progress although nothing was throttled

    def count_pass(self, found: int, deleted: int, now: int) -> None:
        """Compare the pass that ends ``now``, in seconds since 1970, with those before it.

        ``found`` are the images that were there: not those that ECR listed and did not find.
        """
        found = max(0, found)  # If a call ends while it deletes, the next one counts the same missing images again.
        fewer = self.fewest_found is None or found < self.fewest_found
        if fewer:
            self.fewest_found, self.passes_without_progress, self.since = found, 0, None
        elif deleted:
            self.passes_without_progress += 1
            self.since = now if self.since is None else self.since
        if deleted or (fewer and self.idle_passes):
            self.idle_passes, self.idle_since = 0, None
        elif not deleted:
            self.count_idle(now)

    def count_idle(self, now: int) -> None:
        """Count a pass in which nothing moved, or which an old answer ended."""
        self.idle_passes += 1
        self.idle_since = now if self.idle_since is None else self.idle_since

    def note_call(self, seconds: float, *, answered: bool) -> None:
        """Note whether AWS answered in a call of the handler that took so many seconds and is to be continued."""
        self.silent_seconds = 0 if answered else self.silent_seconds + round(seconds)


@dataclass
class Pace:
    """How fast ECR lets this purge work, as far as it is known. Owner: call.py."""

    calls_an_hour: int | None = None  # whole, so that it is the same in any JSON; None: nothing was throttled
    outgrown_an_hour: int | None = None  # the bound that the rate has grown beyond, and goes on growing
    in_flight: int | None = None  # deletes side by side; None: nobody has tried

    @property
    def calls_a_second(self) -> float | None:
        """The rate; None if nothing was throttled."""
        return _a_second(self.calls_an_hour)

    @property
    def outgrown(self) -> float | None:
        """The bound that the rate has grown beyond, in calls a second."""
        return _a_second(self.outgrown_an_hour)

    def learn(self, calls_a_second: float | None, outgrown: float | None, in_flight: int) -> None:
        """Keep what a call has learnt, for the next one to begin with."""
        self.calls_an_hour, self.outgrown_an_hour = _an_hour(calls_a_second), _an_hour(outgrown)
        self.in_flight = in_flight


def _an_hour(calls_a_second: float | None) -> int | None:
    return None if calls_a_second is None else int(calls_a_second * 3_600)


def _a_second(calls_an_hour: int | None) -> float | None:
    return None if calls_an_hour is None else calls_an_hour / 3_600


@dataclass
class FreezeState:
    """What is known of the push block in the repository policy. Owner: freeze.py."""

    applied: bool = False  # it may be in the policy
    verified: bool = False  # the last look at the policy found it
    alone: bool = False  # the policy holds nothing else
    since: int | None = None  # since when it is known to be there, in seconds since 1970
    unconfirmed: bool = False  # it has not been checked that it was written to the right repository
    unproven: bool = False  # it may be there or not: an earlier context could not be read

    def apply(self, *, alone: bool) -> None:
        """Note, before the request, that the push block is written."""
        self.applied, self.alone = True, alone

    def write(self, *, alone: bool) -> None:
        """Note, before the request, that the push block is written to whatever repository has the name now."""
        self.doubt()  # A push block that is written again takes effect as late as the first one.
        self.apply(alone=alone)
        self.unconfirmed = True

    def confirm(self) -> None:
        """Note that it was the right repository."""
        self.unconfirmed = False

    def verify(self, now: float, *, alone: bool) -> None:
        """Note that the push block is there ``now``, in seconds since 1970."""
        if not self.verified:
            self.since = int(now) + 1
        self.applied = self.verified = True
        self.alone = alone

    def limit_since(self, now: float) -> None:
        """Correct ``since`` if it is later than ``now``, in seconds since 1970: the clock may have gone back."""
        self.since = None if self.since is None else min(self.since, int(now) + 1)

    def doubt(self) -> None:
        """Note that the push block has to be looked for again."""
        self.verified, self.since = False, None

    def lift(self) -> None:
        """Note that the push block is not in the policy."""
        self.applied = self.verified = self.unproven = self.unconfirmed = False
        self.since = None


@dataclass
class ReportState:
    """How much of the purge report is written. Owner: report/."""

    place: str | None = None
    intents: int = 0  # objects in that place
    parts: int = 0  # objects with results in that place
    confirmed: int = 0  # images in those results that ECR named as deleted
    bytes: int = 0  # total size of these images
    archived: int = 0  # how many of these images were archived
    incomplete: bool = False  # an image may be gone without a result
    place_changed: bool = False  # PurgeReport changed while images were deleted
    unfinished: str | None = None  # the name of an intent of which images are left
    destinations: list[str] = field(default_factory=list)  # some of those to which ECR carries the deletions
    summary_attempts: int = 0  # calls of the handler in which only the summary was missing
    is_emptied: bool = False  # nothing was left after the last walk, so that the summary can be written
    told: str | None = None  # what the user reads about the summary; None if it is not written, or incomplete
    objects: int = 0  # intents and results that this summary counts

    def open_at(self, place: str | None, *, changed: bool) -> None:
        """Note where the report is written from now on; None for nowhere."""
        self.place_changed |= changed
        if place and place != self.place:
            self.intents, self.parts, self.unfinished = 0, 0, None
            self.forget_summary()
            self.incomplete |= self.place is not None  # What was counted is in the other place.
        self.place = place or self.place

    def count_intent(self) -> None:
        """Count an intent that was written: more is to be deleted."""
        self.intents += 1
        self.is_emptied = False
        self.forget_summary()

    def leave_unfinished(self, name: str | None) -> None:
        """Note the last intent, of which images are left; None if none are."""
        self.unfinished = name

    def count_results(self, confirmed: int, size: int, archived: int) -> None:
        """Count results that were written."""
        self.parts += 1
        self.summary_attempts = 0
        self.confirmed += confirmed
        self.bytes += size
        self.archived += archived

    def doubt(self) -> None:
        """Note that an image may be gone without a result."""
        self.incomplete = True

    def note_destinations(self, destinations: list[str]) -> None:
        """Note where ECR carries the deletions."""
        self.destinations = destinations[:_MOST_DESTINATIONS]

    def try_summary(self) -> None:
        """Count an attempt to write the summary."""
        self.summary_attempts += 1

    def note_emptied(self) -> None:
        """Note that nothing was left after a walk."""
        self.is_emptied = True

    def tell(self, told: str, objects: int) -> None:
        """Note that the summary was written, and what the user is told."""
        self.told, self.objects = told.encode("ascii", "replace").decode(), objects

    def forget_summary(self) -> None:
        """Note that the summary lacks something."""
        self.told = None


@dataclass
class UseState:
    """How far the check of use is: which services have been asked which images are in use. Owner: use/."""

    checked: int | None = None  # when all services had said that no image is in use, in seconds since 1970
    service: str | None = None  # the service to ask next; None: the first one
    place: list[str] = field(default_factory=list)  # position of the service's next page; empty: the first page
    waiting_since: int | None = None  # since when that page is waited for, in seconds since 1970

    def is_checked_since(self, since: float) -> bool:
        """Whether no image was in use at some moment since then, in seconds since 1970."""
        return self.checked is not None and self.checked >= since

    def still_to_ask(self, services: Sequence[str]) -> list[str]:
        """Those of the services that have not said yet that no image is in use."""
        first = services.index(self.service) if self.service in services else 0
        return list(services[first:])

    def go_on_with(self, service: str) -> None:
        """Note which service is asked."""
        if service != self.service:
            self.service, self.place, self.waiting_since = service, [], None

    def go_on_at(self, place: list[str]) -> None:
        """Note where the service's next page is."""
        self.place = place

    def wait_for_page(self, now: float) -> None:
        """Note that a page is asked for ``now``, in seconds since 1970, or was before."""
        self.waiting_since = int(now) if self.waiting_since is None else self.waiting_since

    def note_page(self) -> None:
        """Note that a page has arrived."""
        self.waiting_since = None

    def begin_again(self) -> None:
        """Forget what was asked."""
        self.checked, self.service, self.place, self.waiting_since = None, None, [], None

    def finish(self, now: float) -> None:
        """Note that no image is in use ``now``, in seconds since 1970."""
        self.begin_again()
        self.checked = int(now)


@dataclass
class PendingFailure:
    """A failure that is answered once the push block is removed. Owner: call.py."""

    code: str
    message: str
    attempts: int = 0  # calls of the handler in which the removal was tried

    @property
    def error(self) -> HandlerError:
        """The failure, to be raised."""
        return HandlerError(HandlerErrorCode[self.code], self.message)

    def count_attempt(self) -> None:
        """Count a call in which the push block could not be removed."""
        self.attempts += 1


@dataclass
class State:
    """One delete operation, over all calls of the handler. Owner of phase and rules: this class."""

    version: int = CONTEXT_VERSION
    phase: Phase = Phase.CHECK
    began: int | None = None  # in seconds since 1970
    rules: str = ""  # the fingerprint of the rules that the images are checked against
    identity: Identity = field(default_factory=Identity)
    counts: Counts = field(default_factory=Counts)
    current_pass: CurrentPass = field(default_factory=CurrentPass)
    stalls: Stalls = field(default_factory=Stalls)
    pace: Pace = field(default_factory=Pace)
    freeze: FreezeState = field(default_factory=FreezeState)
    report: ReportState = field(default_factory=ReportState)
    use: UseState = field(default_factory=UseState)
    failure: PendingFailure | None = None

    @property
    def is_purging(self) -> bool:
        """Whether everything was checked, so that images may be deleted."""
        return self.phase is Phase.PURGE

    def begin(self, now: float) -> None:
        """Note when the operation began, in seconds since 1970."""
        self.began = self.began or int(now)

    def follow(self, rules: str, *, may_purge: bool) -> None:
        """Check everything again if the rules have changed, or if a purge is no longer allowed."""
        if rules != self.rules or (self.is_purging and not may_purge):
            self.rules = rules
            self.check_everything_again()
            self.use.begin_again()

    def check_everything_again(self) -> None:
        """Check everything again before another image is deleted."""
        self.phase = Phase.CHECK
        self.current_pass.restart()

    def check_everything_and_use_again(self) -> None:
        """Check everything again, and use too, now that nobody can push: an image may have arrived meanwhile."""
        self.check_everything_again()
        self.use.begin_again()

    def everything_is_checked(self) -> None:
        """From here on images are deleted."""
        self.phase = Phase.PURGE
        self.current_pass.restart()

    def fail_later(self, error: HandlerError) -> None:
        """Delete nothing more, and fail with this error as soon as the push block is removed."""
        if self.failure is None:
            ascii_message = error.message.encode("ascii", "replace").decode()
            self.failure = PendingFailure(error.code.name, ascii_message)
        self.phase = Phase.FAIL
        self.current_pass.restart()
        self.use.begin_again()
        self.failure.count_attempt()

    def to_context(self) -> dict[str, Any]:
        """The state as callback context."""
        context = {**asdict(self), "phase": self.phase.value}
        tokens = (self.current_pass.token or "", *self.use.place)
        if self.current_pass.token and sum(map(len, tokens)) > _LONGEST_TOKEN:
            context["current_pass"].update(token=None, status=None, found=0, deleted=0, missing=0)
        return context

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> State:
        """The state of a callback context; a new one for an empty context, which is what a first call gets.

        A context of another version is understood where it can be: everything is checked again. One that cannot be
        read becomes a failure, which is answered once the push block that it may have left is removed.
        """
        if not context:
            return cls()
        if context.get("version") != CONTEXT_VERSION:
            return cls._of_another_version(context)
        try:
            return _checked(decode(cls, context, "the callback context"))
        except ValueError:
            return cls._unreadable()

    @classmethod
    def _of_another_version(cls, context: Mapping[str, Any]) -> State:
        identity = _section(Identity, context.get("identity"))
        if identity is None or identity.created is None:
            return cls._unreadable()
        report = _section(ReportState, context.get("report"))
        if report is None or (report.place is not None and ReportPlace.parse(report.place) is None):
            report = ReportState(incomplete=True)
        freeze = _section(FreezeState, context.get("freeze")) or FreezeState(unproven=True)
        counts = _section(Counts, context.get("counts")) or Counts()
        began = context.get("began")
        state = cls(
            began=began if isinstance(began, int) else None,
            identity=identity,
            counts=counts,
            freeze=freeze,
            report=report,
        )
        failure = _section(PendingFailure, context.get("failure"))
        if failure and failure.code in HandlerErrorCode.__members__:
            state.phase, state.failure = Phase.FAIL, failure
        return state

    @classmethod
    def _unreadable(cls) -> State:
        failure = PendingFailure(HandlerErrorCode.InvalidRequest.name, messages.UNREADABLE_CONTEXT)
        return cls(phase=Phase.FAIL, freeze=FreezeState(unproven=True), failure=failure)


def _section(cls: type[Section], value: object) -> Section | None:
    """A section of a context of another version; None if it cannot be understood."""
    try:
        return _checked(decode(cls, value, cls.__name__, Strictness(unknown_keys=True)))
    except (ValueError, TypeError):  # TypeError: a value without a default is missing
        return None


def _checked(section: Section) -> Section:
    """The section as it is. Raises ValueError for a value of the right type that to_context never writes."""
    for name, value in vars(section).items():
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{name} is negative")
        if hasattr(value, "__dataclass_fields__"):
            _checked(value)
    if isinstance(section, Pace) and 0 in vars(section).values():
        raise ValueError("the pace is zero")
    if isinstance(section, CurrentPass) and any(count < 0 for count in section.failures.values()):
        raise ValueError("failures are negative")
    if isinstance(section, ReportState) and section.place and ReportPlace.parse(section.place) is None:
        raise ValueError("the report has no place")
    if isinstance(section, PendingFailure) and section.code not in HandlerErrorCode.__members__:
        raise ValueError("the failure has no code")
    if isinstance(section, State) and (section.phase is Phase.FAIL) != (section.failure is not None):
        raise ValueError("a failure has its phase, and the phase its failure")
    return section
