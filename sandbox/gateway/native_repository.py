"""AWS::ECR::Repository in stacks, on the strict ECR. The demo compares our type with it, and autopurge adopts it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from sandbox.driver.failures import HandlerError
from sandbox.driver.operations import Created
from sandbox.driver.schema import as_strings
from sandbox.driver.settings import Settings
from sandbox.ecr import EcrError
from sandbox.gateway import ministack
from sandbox.gateway.images import Registries

NAME = "AWS::ECR::Repository"
Properties = dict[str, Any]
_PATIENCE = 60  # seconds
_POLL = 0.05  # seconds

_CODES = {
    "RepositoryNotFoundException": "NotFound",
    "RepositoryAlreadyExistsException": "AlreadyExists",
    "AccessDeniedException": "AccessDenied",
    "InvalidParameterException": "InvalidRequest",
    "ThrottlingException": "Throttling",
}


_READ_PROPERTIES = frozenset(
    {
        *("RepositoryName", "ImageScanningConfiguration", "ImageTagMutability", "ImageTagMutabilityExclusionFilters"),
        *("LifecyclePolicy", "RepositoryPolicyText", "Tags"),
    }
)


def install(registries: Registries, settings: Settings) -> None:
    """Put our handlers in the place of ministack's."""
    native = NativeRepository(registries, settings)
    handlers = {
        "create": native.create,
        "update": native.update,
        "update_with_logical_id": True,
        "delete": native.delete,
        "import": native.describe,
    }
    ministack.replace_resource_type(NAME, handlers, (native.read_for_drift, _READ_PROPERTIES), native.prepare_import)


class NativeRepository:
    """Handlers for the stack engine. They make the same calls of ECR as the service's own handlers."""

    def __init__(self, registries: Registries, settings: Settings) -> None:
        self._registries = registries
        self._settings = settings

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> Created:
        name = properties.get("RepositoryName") or ministack.physical_name(stack_name, logical_id)
        asked = {
            "repositoryName": name,
            "tags": _own_tags(properties),
            "encryptionConfiguration": _camel(properties.get("EncryptionConfiguration")),
            "imageScanningConfiguration": _camel(properties.get("ImageScanningConfiguration")),
            **_mutability(properties),
        }
        made = self._call("CreateRepository", **{key: value for key, value in asked.items() if value})
        self._wait_until_found(name)
        self._put_policies(name, properties, {})
        return name, _attributes(made["repository"])

    def update(
        self, name: str, previous: Properties, desired: Properties, _stack_name: str, _logical_id: str
    ) -> Created:
        scanning = _camel(desired.get("ImageScanningConfiguration")) or {"scanOnPush": False}
        self._call("PutImageScanningConfiguration", repositoryName=name, imageScanningConfiguration=scanning)
        mutability = _mutability(desired) or {"imageTagMutability": "MUTABLE"}
        self._call("PutImageTagMutability", repositoryName=name, **mutability)
        self._put_policies(name, desired, previous)
        [described] = self._call("DescribeRepositories", repositoryNames=[name])["repositories"]
        self._put_tags(described["repositoryArn"], desired, previous)
        return name, _attributes(described)

    def delete(self, name: str, properties: Properties) -> None:
        """Delete the repository. Delete its images, too, only if EmptyOnDelete asks for it."""
        force = str(properties.get("EmptyOnDelete", False)).lower() == "true"
        try:
            self._call("DeleteRepository", repositoryName=name, force=force)
        except HandlerError as error:
            if error.code != "NotFound":
                raise

    def describe(self, identifiers: dict[str, str]) -> Created:
        """What an import finds. Raises HandlerError where there is no such repository."""
        name = identifiers["RepositoryName"]
        return name, _attributes(self._call("DescribeRepositories", repositoryNames=[name])["repositories"][0])

    def prepare_import(
        self, identifiers: dict[str, str], _stack: Properties, _logical_id: str, properties: Callable[[], Properties]
    ) -> Created | None:
        """Find the repository of an import; None if there is none.

        An import runs an update. A user reported that it removed a policy which the template did not have:

        https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2493
        """
        try:
            found = self.describe(identifiers)
        except HandlerError:
            return None  # the engine asks again, and reports the error
        if self._settings.native_import_removes_policy and "RepositoryPolicyText" not in properties():
            try:
                self._call("DeleteRepositoryPolicy", repositoryName=found[0])
            except HandlerError:
                return found  # it has none
        return found

    def read_for_drift(self, name: str, properties: Properties) -> Properties | None:
        """The live properties; None where the repository is gone. The engine knows which tags are the stack's."""
        repository = self._registries.here().repositories.get(name)
        if repository is None:
            return None
        live: Properties = {
            "RepositoryName": name,
            "ImageScanningConfiguration": {"ScanOnPush": repository.scan_on_push},
            "ImageTagMutability": repository.mutability,
            "ImageTagMutabilityExclusionFilters": [
                {
                    "ImageTagMutabilityExclusionFilterType": each["filterType"],
                    "ImageTagMutabilityExclusionFilterValue": each["filter"],
                }
                for each in repository.exclusion_filters
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in repository.tags.items()],
        }
        if repository.policy is not None:
            text = isinstance(properties.get("RepositoryPolicyText"), str)
            live["RepositoryPolicyText"] = repository.policy if text else json.loads(repository.policy)
        if repository.lifecycle is not None:
            live["LifecyclePolicy"] = {"LifecyclePolicyText": repository.lifecycle}
        return live

    def _put_policies(self, name: str, desired: Properties, previous: Properties) -> None:
        lifecycle = (desired.get("LifecyclePolicy") or {}).get("LifecyclePolicyText")
        if lifecycle:
            self._call("PutLifecyclePolicy", repositoryName=name, lifecyclePolicyText=lifecycle)
        elif previous.get("LifecyclePolicy"):
            self._call("DeleteLifecyclePolicy", repositoryName=name)
        policy = desired.get("RepositoryPolicyText")
        if policy:
            text = policy if isinstance(policy, str) else json.dumps(policy)
            self._call("SetRepositoryPolicy", repositoryName=name, policyText=text)
        elif previous.get("RepositoryPolicyText"):
            self._call("DeleteRepositoryPolicy", repositoryName=name)

    def _wait_until_found(self, name: str) -> None:
        """A new repository is found late if ECR is late."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._call("DescribeRepositories", repositoryNames=[name])
            except HandlerError as failure:
                if failure.code != "NotFound" or time.monotonic() > until:
                    raise
                time.sleep(_POLL)
            else:
                return

    def _put_tags(self, arn: str, desired: Properties, previous: Properties) -> None:
        tags = _own_tags(desired)
        gone = {tag["Key"] for tag in _own_tags(previous)} - {tag["Key"] for tag in tags}
        if tags:
            self._call("TagResource", resourceArn=arn, tags=tags)
        if gone:
            self._call("UntagResource", resourceArn=arn, tagKeys=sorted(gone))

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return self._registries.here().call(operation, parameters)
        except EcrError as error:
            token = str(uuid.uuid4())
            message = f"{error.message} (Service: Ecr, Status Code: {error.status}, Request ID: {token})"
            raise HandlerError(_CODES.get(error.code, "GeneralServiceException"), message, token) from error


def _own_tags(properties: Properties) -> list[dict[str, str]]:
    """CloudFormation adds aws:* tags by means that callers of ECR don't have."""
    listed = as_strings(properties.get("Tags") or [])
    return [tag for tag in listed if not tag["Key"].startswith("aws:")]


def _mutability(properties: Properties) -> dict[str, Any]:
    mutability = properties.get("ImageTagMutability")
    filters = properties.get("ImageTagMutabilityExclusionFilters") or []
    found: dict[str, Any] = {"imageTagMutability": mutability} if mutability else {}
    if filters:
        found["imageTagMutabilityExclusionFilters"] = [
            {
                "filterType": each["ImageTagMutabilityExclusionFilterType"],
                "filter": each["ImageTagMutabilityExclusionFilterValue"],
            }
            for each in filters
        ]
    return found


def _camel(structure: Properties | None) -> dict[str, Any] | None:
    """The API's names: scanOnPush for ScanOnPush. "true" becomes a boolean."""
    if structure is None:
        return None
    lower: Callable[[str], str] = lambda name: name[0].lower() + name[1:]  # noqa: E731
    return {lower(key): value == "true" if value in ("true", "false") else value for key, value in structure.items()}


def _attributes(repository: dict[str, Any]) -> dict[str, Any]:
    return {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]}
