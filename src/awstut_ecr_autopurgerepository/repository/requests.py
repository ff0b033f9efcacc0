"""Requests of one call of a handler, each repeated until it is answered, as long as the call may last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from cloudformation_cli_python_lib import HandlerErrorCode

from ..errors import AWS_ERRORS, HandlerError, failure, is_transient
from ..pacing import CONNECT_SECONDS, LAST_START_SECONDS, READ_SECONDS, Clock, Pacer, Pool, side_by_side, until_answered

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

T = TypeVar("T")
P = ParamSpec("P")

MOST_AT_ONCE = 3  # requests, and so connections
# READ and LIST must answer within 30 s, and never IN_PROGRESS: 5 s are left for what comes before and after the call.
READ_LIMIT_SECONDS = 25
READ_LAST_START_SECONDS = READ_LIMIT_SECONDS - CONNECT_SECONDS - READ_SECONDS


@dataclass(frozen=True)
class Requests:
    """Makes requests of ECR by a client that makes each once, at the pacer's pace."""

    ecr: ECRClient
    pacer: Pacer
    pool: Pool

    @classmethod
    def of_read(cls, ecr: ECRClient, clock: Clock, pool: Pool) -> Requests:
        """Those of a READ or LIST that begins now: it ends within READ_LIMIT_SECONDS."""
        return cls(ecr, Pacer(clock, clock.monotonic() + READ_LAST_START_SECONDS), pool)

    @classmethod
    def of_change(cls, ecr: ECRClient, clock: Clock, pool: Pool) -> Requests:
        """Those of a call that begins now and can be continued by another: it ends within HARD_LIMIT_SECONDS."""
        return cls(ecr, Pacer(clock, clock.monotonic() + LAST_START_SECONDS), pool)

    def until_answered(self, request: Callable[Concatenate[ECRClient, P], T], *given: P.args, **named: P.kwargs) -> T:
        """The answer to a request of ecr.py. Raises what AWS raises and is not transient, and OutOfTimeError."""
        return until_answered(self.pacer, partial(request, self.ecr, *given, **named))

    def side_by_side(self, name: str, *requests: Callable[[ECRClient, str], Any]) -> list[Any]:
        """The answers to requests that take the repository's name only, made at the same time.

        An error of AWS that a repetition does not fix is returned among the answers; the caller decides what it means.
        Raises OutOfTimeError.
        """
        answers: dict[int, Any] = {}

        def ask(index: int) -> tuple[int, Any]:
            try:
                return index, requests[index](self.ecr, name)
            except AWS_ERRORS as error:
                if is_transient(error):
                    raise
                return index, error

        side_by_side(self.pacer, self.pool, ask, list(range(len(requests))), lambda answer: answers.update([answer]))
        return [answers[index] for index in range(len(requests))]

    def out_of_time(self, name: str) -> HandlerError:
        """Why a call ended without an answer: the last error, or that ECR is slow. CloudFormation tries again."""
        if self.pacer.last_error:
            return failure(self.pacer.last_error)
        return HandlerError(
            HandlerErrorCode.ServiceInternalError,
            f"ECR answers so slowly that the time for this call was over before all answers about {name} had arrived. "
            "CloudFormation tries again by itself; elsewhere, try again later.",
        )
