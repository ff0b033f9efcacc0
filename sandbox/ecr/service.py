"""The strict ECR: one registry, of one account in one Region, in memory."""

from __future__ import annotations

import fnmatch
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

from sandbox.ecr import images, pushes, registry, replication, repositories
from sandbox.ecr.builder import RepositoryBuilder
from sandbox.ecr.client import connect, make_client
from sandbox.ecr.clock import Clock, SystemClock
from sandbox.ecr.faults import Faults
from sandbox.ecr.lateness import Lateness
from sandbox.ecr.model import EcrError, Image, Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

Parameters = dict[str, Any]
Operation = Callable[["StrictEcr", Parameters], Parameters]
Authorize = Callable[["StrictEcr", str, Parameters], None]  # raises EcrError where the caller may not do an operation

OPERATIONS: dict[str, Operation] = {
    "BatchDeleteImage": images.batch_delete_image,
    "BatchGetImage": images.batch_get_image,
    "CreateRepository": repositories.create_repository,
    "DeleteLifecyclePolicy": repositories.delete_lifecycle_policy,
    "DeleteRepository": repositories.delete_repository,
    "DeleteRepositoryPolicy": repositories.delete_repository_policy,
    "DescribeImages": images.describe_images,
    "DescribeRegistry": replication.describe_registry,
    "DescribeRepositories": repositories.describe_repositories,
    "GetAuthorizationToken": images.get_authorization_token,
    "GetLifecyclePolicy": repositories.get_lifecycle_policy,
    "GetRepositoryPolicy": repositories.get_repository_policy,
    "ListImages": images.list_images,
    "ListTagsForResource": repositories.list_tags_for_resource,
    "PutImage": pushes.put_image,
    "PutImageScanningConfiguration": repositories.put_image_scanning_configuration,
    "PutImageTagMutability": repositories.put_image_tag_mutability,
    "PutLifecyclePolicy": repositories.put_lifecycle_policy,
    "PutReplicationConfiguration": replication.put_replication_configuration,
    "SetRepositoryPolicy": repositories.set_repository_policy,
    "TagResource": repositories.tag_resource,
    "UntagResource": repositories.untag_resource,
    "UpdateImageStorageClass": images.update_image_storage_class,
}


@dataclass
class Call:
    """A call that came in over a client or over HTTP. Times are of the clock's time of day."""

    operation: str
    parameters: Parameters
    started: float
    ended: float
    error: str | None


@dataclass
class Deletion:
    """An image that was deleted; ``by_force`` if it went with its repository."""

    repository: str
    digest: str
    time: float
    by_force: bool


@dataclass
class _Hook:
    operation: str
    function: Callable[[Parameters], object]
    nth: int | None
    seen: int = 0


@dataclass
class _Hooks:
    before: list[_Hook] = field(default_factory=list)
    after: list[_Hook] = field(default_factory=list)


class StrictEcr:
    """Enforces what the service enforces, where emulators are lenient: pages, batches, references, statuses, names."""

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
        self.replication = replication.Replication()
        self.role_age: Callable[[str], float | None] = lambda _arn: None  # seconds; None: not known
        self.authorize: Authorize | None = None  # asked before what clients in process call
        self.calls: Counter[str] = Counter()
        self.call_log: list[Call] = []
        self.deletion_log: list[Deletion] = []
        self._hooks = _Hooks()
        self._lock = threading.RLock()
        self._newest = 0.0

    # For tests

    def repository(self, name: str, **chosen: Any) -> RepositoryBuilder:
        """A builder for a repository, which is made if it isn't there. Counts no calls and meets no faults."""
        with self._lock:
            return RepositoryBuilder(self, name, **chosen)

    def names(self) -> list[str]:
        """The names of all repositories."""
        return list(self.repositories)

    def holds(self, name: str) -> int | None:
        """How many images a repository holds, of every status; None if there is no such repository."""
        self._receive()
        return len(self.repositories[name].images) if name in self.repositories else None

    def images(self, name: str) -> list[Image]:
        """The images of a repository; none if there is no such repository."""
        self._receive()
        return list(self.repositories[name].images) if name in self.repositories else []

    @property
    def replicated_deletions(self) -> list[replication.ReplicatedDeletion]:
        """The images that rules with deleteReplication deleted in other registries so far."""
        return self.replication.deletions

    def finish_restoring(self, name: str) -> None:
        """Make the images of a repository active that are being restored, as ECR does after some 20 minutes."""
        for image in self.images(name):
            if image.status == "ACTIVATING":
                image.status, image.last_activated_at = "ACTIVE", round(self.clock.time(), 3)

    def before(self, operation: str, function: Callable[[Parameters], object], nth: int | None = 1) -> None:
        """Call a function just before the nth call of an operation is worked on; None: each."""
        self._hooks.before.append(_Hook(operation, function, nth))

    def after(self, operation: str, function: Callable[[Parameters], object], nth: int | None = 1) -> None:
        """Call a function just after the nth call of an operation was worked on; None: each."""
        self._hooks.after.append(_Hook(operation, function, nth))

    def reset_calls(self) -> None:
        """Count from nothing."""
        self.calls.clear()
        self.call_log.clear()

    def client(self, **chosen: Any) -> ECRClient:
        """A real boto3 client that is answered here, in process. Takes what boto3's client takes, config above all."""
        return make_client(self, **chosen)

    def connect(self, client: ECRClient) -> None:
        """Answer a client that was made elsewhere."""
        connect(self, client)

    def count(self, operation: str, parameters: Parameters) -> None:
        """Count a call that came in another way than over the JSON API."""
        self.calls[operation] += 1
        self.call_log.append(Call(operation, parameters, self.clock.time(), self.clock.time(), None))

    # For callers

    def handle_registry(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request of the registry's own protocol, /v2/."""
        with self._lock:
            self._receive()
            return registry.handle(self, method, path, headers, body, query)

    def call(self, operation: str, parameters: Parameters) -> Parameters:
        """Do an operation, without faults, hooks and counts. Raises EcrError."""
        if operation not in OPERATIONS:
            raise EcrError("UnknownOperationException", f"{operation} is not known here.", 404)
        with self._lock:
            self._receive()
            return OPERATIONS[operation](self, parameters)

    def serve(self, operation: str, parameters: Parameters, authorize: Authorize | None = None) -> Parameters:
        """Do an operation for a client, with all that can go wrong. Raises EcrError."""
        started = self.clock.time()
        self.clock.sleep(self.faults.seconds(operation))
        error: str | None = None
        try:
            with self._lock:
                self.calls[operation] += 1
                resource = self._resource(parameters)
                self.faults.check(operation, self.caller, resource)
                if operation == "CreateRepository" and parameters.get("tags"):
                    self.faults.check_permission("TagResource", self.caller, resource)
                self._run(self._hooks.before, operation, parameters)
                once = self.lateness.take_stale(operation, lambda: self._names_existing(parameters))
                with self.lateness.answering(once):
                    if authorize is not None:
                        authorize(self, operation, parameters)
                    answer = self.call(operation, parameters)
                self._run(self._hooks.after, operation, parameters)
                return answer
        except EcrError as raised:
            error = raised.code
            raise
        finally:
            self.call_log.append(Call(operation, parameters, started, self.clock.time(), error))

    def _receive(self) -> None:
        """Do what rules of other registries have deleted here meanwhile."""
        if self.replication.arrived:
            with self._lock:
                replication.do_arrived(self)

    def _run(self, hooks: list[_Hook], operation: str, parameters: Parameters) -> None:
        for hook in hooks:
            if hook.operation == operation:
                hook.seen += 1
                if hook.nth in (None, hook.seen):
                    hook.function(parameters)

    def _names_existing(self, parameters: Parameters) -> bool:
        """Whether a call names a repository that exists."""
        return self._resource(parameters).partition(":repository/")[2] in self.repositories

    def _resource(self, parameters: Parameters) -> str:
        name = parameters.get("repositoryName") or next(iter(parameters.get("repositoryNames", ())), "*")
        return str(parameters.get("resourceArn", self.arn(name)))

    # For the operations

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

    def name_in_arn(self, parameters: Parameters) -> Parameters:
        """The `repositoryName` of a call that gives an ARN. Raises EcrError for an ARN of something else."""
        arn = parameters["resourceArn"]
        prefix, _, name = arn.partition(":repository/")
        if not name or f"{prefix}:repository/" != self.arn(""):
            raise EcrError("InvalidParameterException", f"Invalid parameter at 'resourceArn': {arn}")
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


def _is_everybody(principal: object) -> bool:
    return principal in ("*", {"AWS": "*"}, {"AWS": ["*"]})


def _matches(statement: Parameters, action: str) -> bool:
    """Whether a statement is about an action. Case does not matter, and * and ? are wildcards."""
    actions = statement.get("Action", [])
    patterns = [actions] if isinstance(actions, str) else actions
    return any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in patterns)
