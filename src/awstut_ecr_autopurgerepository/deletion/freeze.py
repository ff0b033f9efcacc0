"""The freeze: while a purge runs, the push block in the repository policy refuses pushes.

It is written before the first image is deleted, checked in each pass, and removed before a delete ends in a failure.
What a killed delete has left behind is removed by the next one, or by the next update (repository/update.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, failure, handler_code, service_code
from ..pacing import OutOfTimeError, Pacer, until_answered
from ..rules import push_block
from ..rules.settings import Owner, Stored
from . import messages
from .look import Repository
from .state import FreezeState
from .verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

HOLDS_AFTER_SECONDS = 5.0  # how late a Deny may take effect is not documented
SEEN_AFTER_SECONDS = 30.0  # how late GetRepositoryPolicy may answer a change is not documented
NOT_FOUND_SECONDS = 10.0  # for which ECR has to say that there is no repository any more
_PAUSE_SECONDS = 2.0
_SLOW_SECONDS = 4  # for one answer


class Freezing(Enum):
    """What a freeze found, or did."""

    NOT_WANTED = auto()  # pushes are allowed
    IN_PLACE = auto()  # pushes were refused when the images were listed
    JUST_APPLIED = auto()  # pushes are refused from now on: what was listed may not be all
    IMPOSSIBLE = auto()  # the push block cannot be added to the policy


class Lifting(Enum):
    """What became of the push block before a failure."""

    LIFTED = auto()  # pushes are allowed
    TRY_AGAIN = auto()  # the next call may be able to remove it
    IMPOSSIBLE = auto()  # pushes are still refused


@dataclass(frozen=True)
class Lifted:
    """The end of an attempt to remove the push block, and why it failed, in words."""

    how: Lifting
    reason: str = ""


@dataclass
class Freeze:
    """Refuses and allows pushes to one repository. ``began`` is when the call began, on the clock's monotonic time."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    requester: Owner
    began: float
    state: FreezeState

    def is_pending(self, repository: Repository) -> bool:
        """True if the repository wants a freeze and no look at its policy has found the push block yet.

        Where images may be deleted already, an earlier call ran out of time before it could apply the freeze.
        """
        return repository.stored.settings.freeze and not self.state.verified

    def apply(self, verdict: Verdict) -> Freezing:
        """Refuse pushes from now on, if the repository wants that; allow them again if it no longer does.

        Tells the verdict why, if the push block cannot be added to the policy.
        """
        stored = verdict.repository.stored
        if not stored.settings.freeze:
            if self.state.applied or self._may_be_left(stored):
                self.lift()
            return Freezing.NOT_WANTED
        if self.state.verified and self._is_slow():
            return Freezing.IN_PLACE
        known = self.state.verified
        try:
            written = self._change_policy(push_block.add_to, push_block.is_in)
        except ValueError as error:
            verdict.answer_push_block(str(error))
            return Freezing.IMPOSSIBLE
        return Freezing.IN_PLACE if known and not written else Freezing.JUST_APPLIED

    def wait_until_it_holds(self) -> None:
        """Let no request start before the push block is old enough to hold everywhere: a Deny takes effect late."""
        now = self.pacer.clock.time()
        self.state.limit_since(now)
        if self.state.since is not None:
            self.pacer.pause(max(0.0, self.state.since + HOLDS_AFTER_SECONDS - now))

    def _change_policy(self, change: Callable[[str | None], str], is_done: Callable[[str | None], bool]) -> bool:
        """Freeze: write the changed policy, unless it is changed already. True if it was written.

        The policy is read again before each try, and until two answers agree, so that what others put there is not
        lost.
        """
        while True:
            policy = self._read_policy()
            if is_done(policy):
                self.state.verify(self.pacer.clock.time(), alone=push_block.remove_from(policy) is None)
                return False
            if self._read_policy() != policy:  # one of the two answers is old, or somebody has changed it just now
                continue
            wanted = change(policy)
            alone = push_block.remove_from(wanted) is None
            self.state.write(alone=alone)  # before the request: its answer may be lost
            if self._try(partial(calls.put_policy, self.ecr, self.name, wanted)):
                self.state.verify(self.pacer.clock.time(), alone=alone)
                return True

    def _read_policy(self) -> str | None:
        return until_answered(self.pacer, partial(calls.get_policy, self.ecr, self.name))

    def _try(self, request: Callable[[], object]) -> bool:
        """Make a request once. False if it failed for a while; raises what a repetition does not fix."""
        turn = self.pacer.wait_for_turn()
        try:
            request()
        except AWS_ERRORS as error:
            self.pacer.failed(turn, error)
            return False
        self.pacer.succeeded(turn)
        return True

    def confirm(self) -> None:
        """Note that the repository to which the push block was written is the right one."""
        self.state.confirm()

    def lift(self) -> None:
        """Remove the push block from the policy, if it is there. Raises what ECR raises, and OutOfTimeError."""
        unseen_until = self._may_be_unseen_until()
        self.state.doubt()
        while True:
            policy = self._read_policy()
            if self._read_policy() != policy:  # one of the two answers is old, or somebody has changed it just now
                continue
            left = push_block.remove_from(policy)
            if left == policy and self.pacer.clock.monotonic() < unseen_until:
                self.pacer.pause(_PAUSE_SECONDS)
                continue
            if left == policy:
                break
            self.state.apply(alone=left is None)
            if self._try(partial(calls.replace_policy, self.ecr, self.name, left)):
                break
        self.state.lift()

    def lift_from_replacement(self) -> None:
        """Remove the push block from the policy of the repository that has the name now, if it was written there.

        Raises HandlerError where it can't be removed, and OutOfTimeError.
        """
        clock = self.pacer.clock
        believed_from = clock.monotonic() + NOT_FOUND_SECONDS
        while True:
            try:
                return self.lift()
            except AWS_ERRORS as error:
                if service_code(error) != "RepositoryNotFoundException":
                    raise failure(error) from error
                if clock.monotonic() >= believed_from:  # one such answer may be old
                    return self.state.lift()
                self.pacer.pause(_PAUSE_SECONDS)

    def _may_be_unseen_until(self) -> float:
        """Until when ECR may answer a policy without the push block that was written, on monotonic time."""
        clock, since = self.pacer.clock, self.state.since
        age = SEEN_AFTER_SECONDS if since is None else max(0.0, clock.time() - since)
        return clock.monotonic() + SEEN_AFTER_SECONDS - age

    def lift_before_failing(self, repository: Repository | None) -> Lifted:
        """Remove the push block, as far as it may be in the policy, because the delete fails.

        ``repository`` is what the last look saw. A call that fails at its end has no time left, and credentials may
        have expired: then the next call can try again.
        """
        if not (self.state.applied or (repository and self._may_be_left(repository.stored))):
            return Lifted(Lifting.LIFTED)
        try:
            self.lift()
        except OutOfTimeError:
            last = self.pacer.last_error
            reason = _why_not_lifted(last) if last else messages.NO_TIME_LEFT
            return self._not_lifted(Lifting.TRY_AGAIN, reason)
        except AWS_ERRORS as error:
            if service_code(error) == "RepositoryNotFoundException":
                return Lifted(Lifting.LIFTED)
            expired = handler_code(error) is HandlerErrorCode.InvalidCredentials
            return self._not_lifted(Lifting.TRY_AGAIN if expired else Lifting.IMPOSSIBLE, _why_not_lifted(error))
        return Lifted(Lifting.LIFTED)

    def _not_lifted(self, how: Lifting, reason: str) -> Lifted:
        """The push block was not removed. If it was never seen or written, that counts as lifted."""
        return Lifted(how, reason) if self.state.applied else Lifted(Lifting.LIFTED)

    def _may_be_left(self, stored: Stored) -> bool:
        """Whether an earlier delete may have left the push block in the policy, and this request may remove it."""
        may_touch = stored.marked and (self.requester.stack_id is None or stored.owner == self.requester)
        return stored.knows_freeze and may_touch

    def _is_slow(self) -> bool:
        """Whether answers take so long that one more look would leave no time to delete, now and in later calls."""
        return self.pacer.clock.monotonic() - self.began > self.pacer.answered * _SLOW_SECONDS


def _why_not_lifted(error: Exception) -> str:
    if isinstance(error, ClientError):
        return messages.request_failed(error.operation_name, service_code(error))
    return messages.no_request_possible(handler_code(error).name)
