"""Looks at the repository: is it there, is it the one that the operation began with, and what do its tags say?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, handler_code, not_found, service_code
from ..pacing import OutOfTimeError, Pacer, until_answered
from ..rules.reserved_tags import read_tags
from ..rules.settings import Stored
from .state import Identity

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Repository:
    """What one look saw: the repository's ARN, and what its reserved tags say."""

    arn: str
    stored: Stored


@dataclass
class Look:
    """Looks at one repository. ``seen`` is what the last look saw, None before it and once the repository is gone."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    identity: Identity
    seen: Repository | None = None

    @property
    def region(self) -> str:
        """The Region of the repository."""
        return self.ecr.meta.region_name

    def forget(self) -> None:
        """Forget what was seen, because it is gone."""
        self.seen = None

    def at_repository(self) -> Repository | None:
        """The repository as it is now; None if the one that the operation began with is gone.

        Raises HandlerError (NotFound) if it was not there when the operation began.
        """
        described = self._describe()
        if described is None and self.identity.created is None:
            raise not_found(self.name)
        if described is not None and self.identity.created is None:
            self.identity.remember(_creation_time(described))
        if described is None or not self._is_the_same(described):
            self.seen = None
            return None
        arn = described["repositoryArn"]
        self.seen = Repository(arn, read_tags(until_answered(self.pacer, lambda: calls.list_tags(self.ecr, arn))))
        return self.seen

    def is_gone(self) -> bool:
        """Whether the repository of which the rules were read is gone, or recreated. One call."""
        described = self._describe()
        return described is None or not self._is_the_same(described)

    def wait_until_gone(self) -> None:
        """Wait until a repository that was deleted is no longer described. Raises OutOfTimeError."""
        while not self.is_gone():
            self.pacer.pause(_SECONDS_BETWEEN_LOOKS)

    def means_gone(self, error: Exception) -> bool:
        """Whether a call failed because the repository that the operation began with is gone.

        A role limited to marked repositories gets AccessDenied instead of RepositoryNotFound for a repository that is
        gone, because a missing repository has no tags.
        """
        if service_code(error) == "RepositoryNotFoundException":
            return True
        if handler_code(error) is not HandlerErrorCode.AccessDenied or self.identity.created is None:
            return False
        try:
            return self.is_gone()
        except (OutOfTimeError, *AWS_ERRORS):  # the next call would be denied at its end again, and so on for ever
            return False

    def _describe(self) -> RepositoryTypeDef | None:
        return until_answered(self.pacer, lambda: calls.describe_repository(self.ecr, self.name))

    def _is_the_same(self, described: RepositoryTypeDef) -> bool:
        return _creation_time(described) == self.identity.created


def _creation_time(described: RepositoryTypeDef) -> int:
    """In ms since 1970."""
    return int(described["createdAt"].timestamp() * 1_000)
