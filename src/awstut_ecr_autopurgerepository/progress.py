"""How far a delete is: the callback context, typed and checked.

The repository itself is the state; this only says which repository the operation began with, where a walk over its
images goes on, and what to tell the user. It stays under 4 KB whatever happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cloudformation_cli_python_lib import HandlerErrorCode

from .errors import invalid_request
from .records import Tally
from .settings import ReportPlace

_LONGEST_TOKEN = 2_000  # characters; a longer one is not kept, and the walk begins again
_SAMPLES = 3


@dataclass
class Progress:
    """One delete operation, over all its slices. A pass is one walk over all images of the repository.

    Counts are of images, unless they say otherwise.
    """

    created: int | None = None  # creation time of the repository, in ms since 1970: another one is another repository
    deleted: int = 0
    known: int = 0  # the most that the repository is known to have held: deleted, and still to be deleted
    rules: str = ""  # which rules the images are held against: others mean that all are looked at again
    checked: bool = False  # the whole inventory was looked at once; only then does the first image go
    passes: int = 1
    token: str | None = None  # ECR's token of the page where the pass goes on; None: at its beginning
    found: int = 0  # in this pass
    moved: int = 0  # in this pass: deleted, or gone by other hands
    least: int | None = None  # the fewest that a whole pass has found
    stale: int = 0  # passes in a row that did not find fewer
    stale_since: int | None = None  # when the first of them ended, in seconds since 1970
    idle: int = 0  # passes in a row in which nothing moved
    silent: int = 0  # slices in a row in which ECR answered nothing, throttling aside
    failures: dict[str, int] = field(default_factory=dict)  # of this pass, by ECR's failure code
    samples: list[str] = field(default_factory=list)  # digests of some of them
    began: int | None = None  # in seconds since 1970
    report: str | None = None  # where the purge report is written
    parts: int = 0  # of the report, whose results are written
    confirmed: int = 0  # in those results: named by ECR as deleted
    unconfirmed: int = 0  # in those results: asked for, and gone
    bytes: int = 0  # of those
    archived: int = 0  # of those
    unsure: bool = False  # whether an image may be gone without a result
    scattered: bool = False  # whether that changed while images went, or the report was off for some of them
    closing: int = 0  # slices in which only the end of the report was missing
    frozen: bool = False  # the statement that refuses pushes may be in the repository policy
    freeze_seen: bool = False  # it was there when ECR was asked last
    frozen_alone: bool = False  # and there is nothing else in it
    ending: str | None = None  # the handler error code of the failure that waits until pushes are allowed again
    reason: str = ""  # its message
    thaws: int = 0  # slices in which that was tried

    def to_context(self) -> dict[str, Any]:
        """As callback context."""
        context = asdict(self)
        if self.token and len(self.token) > _LONGEST_TOKEN:
            context.update(token=None, found=0, moved=0)
        return context

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Progress:
        """From a callback context; a new one from an empty context, which is what a first call gets.

        Raises HandlerError (InvalidRequest) for a context that to_context did not make.
        """
        if not context:
            return cls()
        expected = asdict(cls())
        if context.keys() != expected.keys() or not all(
            _fits(name, context[name], default) for name, default in expected.items()
        ):
            raise invalid_request(
                "Nothing was deleted: the callback context of this call was not written by this version of the "
                "resource type. Delete the resource once more."
            )
        return cls(**{each.name: context[each.name] for each in fields(cls)})

    def count_failure(self, code: str, digest: str) -> None:
        """Remember that an image was not deleted."""
        self.failures[code] = self.failures.get(code, 0) + 1
        if len(self.samples) < _SAMPLES:
            self.samples.append(digest)

    def compare(self, now: int) -> None:
        """Compare the pass that ends ``now``, in seconds since 1970, with those before it: is less left?"""
        if self.least is None or self.found < self.least:
            self.least, self.stale, self.stale_since = self.found, 0, None
            return
        self.stale += 1
        self.stale_since = now if self.stale_since is None else self.stale_since

    def tally(self) -> Tally:
        """What the report's results add up to, as far as this operation's calls know."""
        return Tally(self.confirmed, self.unconfirmed, self.bytes, self.archived)

    def count_results(self, parts: int, tally: Tally) -> None:
        """Remember that results of so many parts were written."""
        self.parts += parts
        self.confirmed += tally.confirmed
        self.unconfirmed += tally.unconfirmed
        self.bytes += tally.bytes
        self.archived += tally.archived

    def begin_pass(self) -> None:
        """Start the next walk over all images."""
        self.passes += 1
        self.restart_pass()

    def check_again(self, rules: str) -> None:
        """Look at the whole inventory again, and hold it against these rules."""
        self.rules, self.checked = rules, False
        self.restart_pass()

    def restart_pass(self) -> None:
        """Walk over all images from the beginning again."""
        self.token, self.found, self.moved = None, 0, 0
        self.failures, self.samples = {}, []

    def end(self, code: HandlerErrorCode, reason: str) -> None:
        """Delete nothing more, and fail with this as soon as pushes are allowed again."""
        if self.ending is None:
            self.ending, self.reason, self.token = code.name, reason.encode("ascii", "replace").decode(), None
        self.thaws += 1


def _fits(name: str, value: object, default: object) -> bool:
    """Whether a context's value is of the type of its default (JSON knows no others)."""
    if name == "ending":
        return value is None or (isinstance(value, str) and value in HandlerErrorCode.__members__)
    if name == "token":
        return value is None or isinstance(value, str)
    if name == "report":
        return value is None or (isinstance(value, str) and ReportPlace.parse(value) is not None)
    if name in ("created", "least", "stale_since", "began"):
        return value is None or _is_count(value)
    if name in ("rules", "reason"):
        return isinstance(value, str)
    if name == "failures":
        return isinstance(value, dict) and all(_is_count(each) for each in value.values())
    if name == "samples":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, bool) if isinstance(default, bool) else _is_count(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
