"""Waits until reads of ECR show what an update has changed: ECR may answer what was before for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import ecr as calls
from ..pacing import Clock
from ..rules.policy_meaning import same_access_policy
from .translate import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

MOST_SECONDS = 20.0  # of one update; what is not shown by then is left to become visible
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 4.0


@dataclass(frozen=True)
class Waiting:
    """Looks at one repository, by a client, until a moment on the clock's monotonic time."""

    ecr: ECRClient
    clock: Clock
    until: float

    def for_(self, is_shown: Callable[[], bool]) -> None:
        """Look until it is shown, or it is too late. One look where ECR is not late."""
        pause = _FIRST_PAUSE_SECONDS
        while not is_shown() and self.clock.monotonic() + pause <= self.until:
            self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def wait_until_shown(ecr: ECRClient, before: Repository, after: Repository, clock: Clock) -> None:
    """Wait until reads show the tags and the repository policy that an update has changed; nothing changed: no call.

    Lifecycle policies are not looked at: nothing here depends on them. Raises what ECR raises.
    """
    name = after.description["repositoryName"]
    waiting = Waiting(ecr, clock, clock.monotonic() + MOST_SECONDS)
    if before.tags != after.tags:
        removed = before.tags.keys() - after.tags.keys()
        waiting.for_(lambda: _shows(calls.list_tags(ecr, after.arn), after.tags, removed))
    if not same_access_policy(before.policy, after.policy):
        waiting.for_(lambda: same_access_policy(calls.get_policy(ecr, name), after.policy))


def _shows(shown: Mapping[str, str], wanted: Mapping[str, str], removed: Collection[str]) -> bool:
    """Whether tags have what was put and lack what was removed, whatever others have added."""
    return wanted.items() <= shown.items() and not shown.keys() & set(removed)
