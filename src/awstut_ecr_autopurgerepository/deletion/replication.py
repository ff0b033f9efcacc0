"""Asks whether ECR carries the deletions of a purge to other Regions and accounts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, handler_code
from ..pacing import Pacer, Pool, Turn, until_answered
from ..rules.replication import destinations_of_deletes

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


@dataclass
class Replication:
    """The delete replication of one repository. ECR is asked once a call, while the call does other work."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    pool: Pool
    _asked: tuple[Future[Mapping[str, Any]], Turn] | None = None
    _answered: bool = False
    _destinations: tuple[str, ...] | None = None

    def ask(self) -> None:
        """Start to ask, if nobody has yet. Raises OutOfTimeError."""
        if not self._answered and self._asked is None:
            turn = self.pacer.wait_for_turn()
            self._asked = self.pool.submit(calls.describe_registry, self.ecr), turn

    def destinations(self) -> tuple[str, ...] | None:
        """Where deletions are carried to; None if the role may not ask.

        Raises OutOfTimeError, and what ECR raises otherwise.
        """
        if not self._answered:
            self.ask()
            self._destinations = self._wait()
            self._answered = True
        return self._destinations

    def _wait(self) -> tuple[str, ...] | None:
        try:
            registry = self._first_answer() or until_answered(self.pacer, lambda: calls.describe_registry(self.ecr))
        except AWS_ERRORS as error:
            if handler_code(error) is HandlerErrorCode.AccessDenied:
                return None
            raise
        return destinations_of_deletes(self.name, registry)

    def _first_answer(self) -> Mapping[str, Any] | None:
        """The answer to what was asked; None if it has to be asked again."""
        if self._asked is None:
            return None
        (asked, turn), self._asked = self._asked, None
        self.pool.first_done({asked})
        try:
            answer = asked.result()
        except AWS_ERRORS as error:
            self.pacer.failed(turn, error)
            return None
        self.pacer.succeeded(turn)
        return answer
