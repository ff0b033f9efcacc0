"""Looks at the repository: is it there, is it the one that the operation began with, and what do its tags say?

Any single answer of ECR can be old, so one answer never ends a delete. The repository counts as gone only after two
witnesses, DescribeRepositories and ListTagsForResource, have both said so for ten seconds. After ECR has confirmed the
delete of the repository, one answer of DescribeRepositories is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, HandlerError, handler_code, not_found, service_code
from ..pacing import OutOfTimeError, Pacer, Pool, side_by_side, until_answered
from ..rules.reserved_tags import REQUEST, read_tags
from ..rules.settings import Stored
from . import messages
from .state import Identity

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

WITNESS_SECONDS = 10.0  # for which both witnesses have to agree
MOST_DOUBT_SECONDS = 30.0  # after which witnesses that do not agree end the delete
MOST_SECONDS_DESCRIBED = 120  # after ECR has confirmed the delete
_LONGEST_PAUSE_SECONDS = 4.0
_SAME_MS = 1_000  # a creation time that differs by less is the same


@dataclass(frozen=True)
class Repository:
    """What one look saw: the repository's ARN, what its reserved tags say, and where its images are pulled from."""

    arn: str
    stored: Stored
    uri: str = ""


class Sight(Enum):
    """What both witnesses say."""

    SAME = auto()  # the repository that the operation began with
    ABSENT = auto()  # there is no repository of that name
    REPLACED = auto()  # another repository has that name
    DOUBTFUL = auto()  # the witnesses contradict each other


@dataclass
class Look:
    """Looks at one repository. ``seen`` is what the last look saw, None before it and once the repository is gone.

    ``is_replaced`` is True once another repository was seen to have its name. ``account`` owns the registry.
    """

    ecr: ECRClient
    account: str
    name: str
    pacer: Pacer
    pool: Pool
    identity: Identity
    seen: Repository | None = None
    is_replaced: bool = False

    @property
    def region(self) -> str:
        """The Region of the repository."""
        return self.ecr.meta.region_name

    def forget(self) -> None:
        """Forget what was seen, because it is gone."""
        self.seen = None

    def at_repository(self) -> Repository | None:
        """The repository as it is now; None if the one that the operation began with is gone.

        Raises HandlerError: NotFound if it was not there when the operation began, NotStabilized if the witnesses do
        not agree.
        """
        if self.identity.deleted is not None:  # by an earlier call, which had no time left to see that it is gone
            self.wait_until_gone()
            return None
        found = self._both_witnesses()
        return self.seen if found is Sight.SAME or self._settled(found) is Sight.SAME else None

    def wait_until_gone(self) -> None:
        """Wait until the repository, which ECR says it has deleted, is no longer described.

        One answer is enough: ECR has confirmed the delete. Raises OutOfTimeError, and HandlerError (NotStabilized) if
        it is still described after two minutes.
        """
        clock = self.pacer.clock
        self.identity.confirm_deleted(clock.time())
        pause = 1.0
        while (described := self._describe()) is not None and self._is_created_at_the_same_time(described):
            if clock.time() - (self.identity.deleted or 0) > MOST_SECONDS_DESCRIBED:
                raise HandlerError(HandlerErrorCode.NotStabilized, messages.doubtful(self.name))
            self.pacer.pause(pause)
            pause = min(pause + 1, _LONGEST_PAUSE_SECONDS)

    def after(self, error: Exception) -> Sight:
        """What there is after a call failed with an error that a repetition does not fix.

        Looks only if the error may say that the repository is gone. A role limited to marked repositories gets
        AccessDenied instead of RepositoryNotFound for a repository that is gone, because a missing repository has no
        tags. Raises HandlerError and OutOfTimeError as ``at_repository`` does.
        """
        if not says_not_found(error) and handler_code(error) is not HandlerErrorCode.AccessDenied:
            return Sight.SAME
        if self.identity.created is None:
            return Sight.SAME
        try:
            return self._settled()
        except AWS_ERRORS:  # The role may not look, so nothing proves that the repository is gone.
            return Sight.SAME
        except OutOfTimeError:
            if says_not_found(error):
                raise
            return Sight.SAME  # else every further call would be denied in the same way, without end

    def _settled(self, found: Sight | None = None) -> Sight:
        """What both witnesses say, once it cannot be an old answer.

        SAME counts at once, ABSENT and REPLACED count after WITNESS_SECONDS. ``found`` is what the witnesses have just
        said, None if nobody has asked them. Raises HandlerError: NotStabilized if they do not agree within
        MOST_DOUBT_SECONDS, NotFound if the repository was not there when the operation began.
        """
        clock = self.pacer.clock
        began = clock.monotonic()
        kind, since, pause = found, began, 1.0
        while True:
            if found is not None:
                self.pacer.pause(pause)
                pause = min(pause + 1, _LONGEST_PAUSE_SECONDS)
            found = self._both_witnesses()
            if found is Sight.SAME:
                return found
            now = clock.monotonic()
            if found is not kind:
                kind, since, pause = found, now, 1.0
            if kind is not Sight.DOUBTFUL and now - since >= WITNESS_SECONDS:
                return self._conclude(kind)
            if now - began >= MOST_DOUBT_SECONDS:
                raise HandlerError(HandlerErrorCode.NotStabilized, messages.doubtful(self.name))

    def _conclude(self, kind: Sight) -> Sight:
        if self.identity.created is None:
            raise not_found(self.name)
        self.seen, self.is_replaced = None, kind is Sight.REPLACED
        return kind

    def _both_witnesses(self) -> Sight:
        """Ask both witnesses once. Remembers which repository the first look saw, and what each look saw of it.

        DOUBTFUL if the repository was replaced between its first description and its first tags: nobody knows with
        which of the two the operation began.
        """
        if self.seen is None:
            described = self._describe()
            if described is not None:  # Before the tags are asked for: this call may end before ECR answers.
                self.identity.note_described(_creation_time(described))
            arn = described["repositoryArn"] if described else self._made_up_arn()
            tags = until_answered(self.pacer, partial(self._tags, arn))
        else:
            arn = self.seen.arn
            described, tags = self._at_once(arn)
        if described is None or tags is None:
            return Sight.ABSENT if described is None and tags is None else Sight.DOUBTFUL
        if self.identity.created is None:
            if not _is_same_time(_creation_time(described), self.identity.described):
                return Sight.DOUBTFUL
            self.identity.remember(_creation_time(described), tags.get(REQUEST))
        created, request = self._is_created_at_the_same_time(described), tags.get(REQUEST) == self.identity.request
        if created and request:
            self.seen = Repository(arn, read_tags(tags), described.get("repositoryUri", ""))
            return Sight.SAME
        return Sight.DOUBTFUL if created or request else Sight.REPLACED

    def _describe(self) -> RepositoryTypeDef | None:
        return until_answered(self.pacer, lambda: calls.describe_repository(self.ecr, self.name))

    def _at_once(self, arn: str) -> tuple[RepositoryTypeDef | None, dict[str, str] | None]:
        """Both answers, asked for side by side: where ECR is slow, two looks one after the other leave no time."""
        questions: dict[str, Callable[[], Any]] = {
            "description": lambda: calls.describe_repository(self.ecr, self.name),
            "tags": lambda: self._tags(arn),
        }
        answers: dict[str, Any] = {}
        side_by_side(
            self.pacer,
            self.pool,
            lambda asked: (asked, questions[asked]()),
            list(questions),
            lambda answer: answers.update([answer]),
        )
        return answers["description"], answers["tags"]

    def _tags(self, arn: str) -> dict[str, str] | None:
        """The tags; None if ECR says that there is no such repository. Makes one request."""
        try:
            return calls.list_tags(self.ecr, arn)
        except ClientError as error:
            if says_not_found(error):
                return None
            raise

    def _made_up_arn(self) -> str:
        """The ARN that the repository would have, where ECR has not said it."""
        return f"arn:{self.ecr.meta.partition}:ecr:{self.region}:{self.account}:repository/{self.name}"

    def _is_created_at_the_same_time(self, described: RepositoryTypeDef) -> bool:
        return _is_same_time(_creation_time(described), self.identity.created)


def says_not_found(error: Exception) -> bool:
    """Whether ECR says that there is no such repository."""
    return service_code(error) == "RepositoryNotFoundException"


def _is_same_time(created: int, known: int | None) -> bool:
    """Whether a repository was created when the known one was, both in ms since 1970; True if none is known."""
    return known is None or abs(created - known) < _SAME_MS


def _creation_time(described: RepositoryTypeDef) -> int:
    """In ms since 1970."""
    return int(described["createdAt"].timestamp() * 1_000)
