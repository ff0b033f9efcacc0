"""The repositories of an account and Region, with their tags: those under this type, and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.errors import service_code
from awstut_ecr_autopurgerepository.rules.reserved_tags import RELEASED, read_tags
from awstut_ecr_autopurgerepository.rules.settings import Stored

from .aws import AT_ONCE, Aws
from .failures import Failure

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
NATIVE_TYPE_NAME = "AWS::ECR::Repository"
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Repository:
    """A repository as ECR describes it, with all its tags."""

    description: RepositoryTypeDef
    tags: dict[str, str]

    @property
    def name(self) -> str:
        """The name."""
        return self.description["repositoryName"]

    @property
    def arn(self) -> str:
        """The ARN."""
        return self.description["repositoryArn"]

    @cached_property
    def stored(self) -> Stored:
        """What its reserved tags say."""
        return read_tags(self.tags)

    @property
    def stack(self) -> str | None:
        """The name of the stack that owns it; None if no stack does."""
        owner = self.stored.owner.stack_id
        return None if owner is None or owner.startswith(RELEASED) else stack_name(owner)


def stack_name(stack_id: str) -> str:
    """The name in a stack's id; a name stays what it is."""
    return stack_id.split("/")[1] if "/" in stack_id else stack_id


def find(aws: Aws, name: str) -> Repository | None:
    """A repository; None if it does not exist. Two calls."""
    described = calls.describe_repository(aws.ecr, name)
    return None if described is None else _with_tags(aws, described)


def need(aws: Aws, name: str) -> Repository:
    """A repository under this type. Raises Failure where there is none of that name."""
    found = find(aws, name)
    if found is None:
        raise Failure(f"The repository {name} does not exist in {aws.ecr.meta.region_name}.")
    if not found.stored.marked:
        raise Failure(
            f"The repository {name} does not belong to {TYPE_NAME}, so its rules protect nothing. "
            "`autopurge adopt` brings a repository under this type."
        )
    return found


def find_all(aws: Aws) -> list[Repository]:
    """All repositories of the Region, by name: a call for each 1,000, and one for the tags of each."""
    described: list[RepositoryTypeDef] = []
    token: str | None = None
    while True:
        page = calls.describe_repositories(aws.ecr, token)
        described += page["repositories"]
        token = page.get("nextToken")
        if token is None:
            break
    found = at_once(lambda each: _with_tags(aws, each), described)
    return sorted((each for each in found if each is not None), key=lambda each: each.name)


def find_marked(aws: Aws) -> list[Repository]:
    """Those under this type."""
    return [each for each in find_all(aws) if each.stored.marked]


def at_once(ask: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
    """Ask for several things side by side; the answers are in the order of the items. The first error is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, items))


def _with_tags(aws: Aws, described: RepositoryTypeDef) -> Repository | None:
    """None if the repository was deleted after it was described."""
    try:
        return Repository(described, calls.list_tags(aws.ecr, described["repositoryArn"]))
    except ClientError as error:
        if service_code(error) == "RepositoryNotFoundException":
            return None
        raise
