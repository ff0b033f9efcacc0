"""The strict ECR as a service: which operation a call is, and everything that can go wrong on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.ecr import images, pushes, registry, replication_rules, repositories
from sandbox.ecr.clock import Clock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.state import Call, Parameters, RegistryState

Operation = Callable[[RegistryState, Parameters], Parameters]
Authorize = Callable[[RegistryState, str, Parameters], None]  # raises EcrError where the caller may not do an operation

OPERATIONS: dict[str, Operation] = {
    "BatchDeleteImage": images.batch_delete_image,
    "BatchGetImage": images.batch_get_image,
    "CreateRepository": repositories.create_repository,
    "DeleteLifecyclePolicy": repositories.delete_lifecycle_policy,
    "DeleteRepository": repositories.delete_repository,
    "DeleteRepositoryPolicy": repositories.delete_repository_policy,
    "DescribeImages": images.describe_images,
    "DescribeRegistry": replication_rules.describe_registry,
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
    "PutReplicationConfiguration": replication_rules.put_replication_configuration,
    "SetRepositoryPolicy": repositories.set_repository_policy,
    "TagResource": repositories.tag_resource,
    "UntagResource": repositories.untag_resource,
    "UpdateImageStorageClass": images.update_image_storage_class,
}


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


class EcrService(RegistryState):
    """Answers calls, one at a time: of the JSON API, and of the registry's own protocol."""

    def __init__(
        self,
        clock: Clock | None = None,
        account: str = "123456789012",
        region: str = "eu-west-1",
        registry_host: str | None = None,
    ) -> None:
        super().__init__(clock, account, region, registry_host)
        self.authorize: Authorize | None = None  # asked before what clients in process call
        self._hooks = _Hooks()
        self._lock = threading.RLock()

    def before(self, operation: str, function: Callable[[Parameters], object], nth: int | None = 1) -> None:
        """Call a function just before the nth call of an operation runs; None: before each call."""
        self._hooks.before.append(_Hook(operation, function, nth))

    def after(self, operation: str, function: Callable[[Parameters], object], nth: int | None = 1) -> None:
        """Call a function just after the nth call of an operation that succeeds; None: after each of them."""
        self._hooks.after.append(_Hook(operation, function, nth))

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
        """Do the deletes that replication rules of other registries have sent here meanwhile."""
        if self.replication.arrived:
            with self._lock:
                replication_rules.do_arrived(self)

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
