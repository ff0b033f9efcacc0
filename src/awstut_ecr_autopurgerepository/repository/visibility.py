"""Waits until reads of ECR show what was changed: for a while, ECR may answer the former state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from .. import ecr as calls
from ..pacing import Pacer
from ..rules.policy_meaning import same_access_policy
from .requests import Requests
from .translate import Repository

MOST_SECONDS = 20  # of one create or update; what is not shown by then is left to become visible
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 4.0


@dataclass(frozen=True)
class Waiting:
    """Looks at one repository, at the pacer's pace, until a moment in seconds since 1970."""

    pacer: Pacer
    until: float

    def for_(self, is_shown: Callable[[], bool]) -> None:
        """Look until it is shown, or it is too late. One look where ECR is not late. Raises OutOfTimeError."""
        pause = _FIRST_PAUSE_SECONDS
        while not is_shown() and self.pacer.clock.time() + pause <= self.until:
            self.pacer.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def wait_until_shown(requests: Requests, before: Repository, after: Repository, until: float) -> None:
    """Wait until reads show the tags and the repository policy that an update has changed; nothing changed: no call.

    Lifecycle policies are not looked at: nothing here depends on them. ``until`` is in seconds since 1970. Raises what
    ECR raises, and OutOfTimeError.
    """
    name = after.description["repositoryName"]
    waiting = Waiting(requests.pacer, until)
    if before.tags != after.tags:
        removed = before.tags.keys() - after.tags.keys()
        waiting.for_(lambda: _shows(requests.until_answered(calls.list_tags, after.arn), after.tags, removed))
    if not same_access_policy(before.policy, after.policy):
        waiting.for_(lambda: same_access_policy(requests.until_answered(calls.get_policy, name), after.policy))


def _shows(shown: Mapping[str, str], wanted: Mapping[str, str], removed: Collection[str]) -> bool:
    """Whether tags have what was put and lack what was removed, whatever others have added."""
    return wanted.items() <= shown.items() and not shown.keys() & set(removed)
