"""The state of a registry, with the lookups and checks that all operations share."""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sortedcontainers import SortedDict

from sandbox.ecr.clock import Clock, SystemClock
from sandbox.ecr.errors import EcrError, invalid
from sandbox.ecr.faults import Faults
from sandbox.ecr.image import Image
from sandbox.ecr.lateness import Lateness
from sandbox.ecr.replication import Replication
from sandbox.ecr.repository import Repository

Parameters = dict[str, Any]


@dataclass
class Call:
    """A call by a client in process or over HTTP. Times are in seconds since 1970, by the registry's clock."""

    operation: str
    parameters: Parameters
    started: float
    ended: float
    error: str | None


@dataclass
class Deletion:
    """An image that was deleted. ``by_force``: DeleteRepository deleted it with its repository."""

    repository: str
    digest: str
    time: float
    by_force: bool


class RegistryState:
    """One registry, of one account in one Region: its repositories, its switches, and what was done so far."""

    def __init__(
        self,
        clock: Clock | None = None,
        account: str = "123456789012",
        region: str = "eu-west-1",
        registry_host: str | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.account = account
        self.region = region
        self.registry_host = registry_host or f"{account}.dkr.ecr.{region}.amazonaws.com"
        self.caller = f"arn:aws:sts::{account}:assumed-role/sandbox/user"
        self.kms_keys = {"alias/aws/ecr": f"arn:aws:kms:{region}:{account}:key/00000000-0000-4000-8000-000000000000"}
        self.more_keys: Callable[[str], str | None] = lambda _spelling: None  # the ARN of a key that KMS has
        self.repositories: SortedDict = SortedDict()
        self.faults = Faults(self.clock)
        self.lateness = Lateness(self.clock)
        self.replication = Replication()
        self.role_age: Callable[[str], float | None] = lambda _arn: None  # seconds; None: not known
        self.calls: Counter[str] = Counter()
        self.call_log: list[Call] = []
        self.deletion_log: list[Deletion] = []
        self._newest = 0.0

    def arn(self, name: str) -> str:
        """The ARN of a repository."""
        return f"arn:aws:ecr:{self.region}:{self.account}:repository/{name}"

    def find_key(self, spelling: str) -> str | None:
        """The ARN of a KMS key of this account and Region, by its id, its ARN, an alias, or an alias's ARN."""
        prefix = f"arn:aws:kms:{self.region}:{self.account}:"
        short = spelling.removeprefix(prefix)
        for alias, arn in self.kms_keys.items():
            if short == alias or arn == f"{prefix}key/{short.removeprefix('key/')}":
                return arn
        return self.more_keys(spelling)

    def make_repository(self, name: str, encryption: dict[str, str]) -> Repository:
        """A new repository; no two are created at the same millisecond."""
        self._newest = max(round(self.clock.time(), 3), round(self._newest + 0.001, 3))
        uri = f"{self.registry_host}/{name}"
        repository = Repository(name, self.arn(name), uri, self.account, self._newest, encryption)
        self.repositories[name] = repository
        return repository

    def find(self, parameters: Parameters) -> Repository:
        """The repository that a call changes. Raises EcrError where it is not found."""
        name = parameters["repositoryName"]
        return self._found(name, parameters, self.lateness.to_change(self.repositories.get(name)))

    def find_to_read(self, parameters: Parameters) -> Repository:
        """The repository that a call reads; if ECR is late, it can be one that is deleted. Raises EcrError."""
        name = parameters["repositoryName"]
        return self._found(name, parameters, self.lateness.to_read(name, self.repositories.get(name)))

    def _found(self, name: str, parameters: Parameters, repository: Repository | None) -> Repository:
        if repository is None or parameters.get("registryId", self.account) != self.account:
            raise EcrError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{self.account}'",
            )
        return repository

    def check_registry(self, parameters: Parameters, action: str) -> None:
        """Raise AccessDenied for the registry of another account: its policy allows nothing to callers from here."""
        registry = parameters.get("registryId", self.account)
        if registry != self.account:
            arn = f"arn:aws:ecr:{self.region}:{registry}:repository/{parameters.get('repositoryName', '*')}"
            raise EcrError(
                "AccessDeniedException",
                f"User: {self.caller} is not authorized to perform: {action} on resource: {arn} because no "
                f"resource-based policy allows the {action} action",
            )

    def name_in_arn(self, parameters: Parameters) -> Parameters:
        """The `repositoryName` of a call that gives an ARN. Raises EcrError for an ARN of something else."""
        arn = parameters["resourceArn"]
        prefix, _, name = arn.partition(":repository/")
        if not name or f"{prefix}:repository/" != self.arn(""):
            raise invalid("Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'")
        return {"repositoryName": name}

    def check_policy(self, repository: Repository, action: str) -> None:
        """Raise AccessDenied if the repository's policy denies an action to everybody."""
        policy = self.lateness.policy_in_force(repository)
        statements = json.loads(policy)["Statement"] if policy else []
        for each in [statements] if isinstance(statements, dict) else statements:
            if each["Effect"] == "Deny" and _is_everybody(each.get("Principal")) and _matches(each, action):
                raise EcrError(
                    "AccessDeniedException",
                    f"User: {self.caller} is not authorized to perform: {action} on resource: {repository.arn} with an "
                    "explicit deny in a resource-based policy",
                )

    def note_deletion(self, repository: Repository, image: Image, *, by_force: bool) -> None:
        """Remember that an image is gone."""
        self.deletion_log.append(Deletion(repository.name, image.digest, self.clock.time(), by_force))
        self.lateness.note_deleted_image(repository, image)

    def count(self, operation: str, parameters: Parameters) -> None:
        """Count a call that came in by another way than the JSON API."""
        self.calls[operation] += 1
        self.call_log.append(Call(operation, parameters, self.clock.time(), self.clock.time(), None))


def _is_everybody(principal: object) -> bool:
    return principal in ("*", {"AWS": "*"}, {"AWS": ["*"]})


def _matches(statement: Parameters, action: str) -> bool:
    """Whether a statement is about an action. Case does not matter, and * and ? are wildcards."""
    actions = statement.get("Action", [])
    patterns = [actions] if isinstance(actions, str) else actions
    return any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in patterns)
