"""Which permissions a call of ECR needs, and the condition keys that come with it.

Source: the service authorization reference of Amazon ECR. CreateRepository with tags also needs ecr:TagResource; for
this check the repository has no tags yet, because it does not exist. ECR calls KMS with the caller's permissions. The
key that AWS manages for ECR needs no check: everybody in the account may use it for ECR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.ecr.errors import EcrError
from sandbox.ecr.state import RegistryState
from sandbox.iam.policies import Check, Policies

Parameters = Mapping[str, Any]

_FOR_NEW_REPOSITORY = ("kms:DescribeKey", "kms:CreateGrant")
_FOR_OLD_REPOSITORY = ("kms:RetireGrant",)
_OF_REGISTRY = ("DescribeRegistry", "PutReplicationConfiguration")  # permissions that name no repository


def authorizer(policies: Policies, principal: str) -> Callable[[RegistryState, str, Parameters], None]:
    """A check that the strict ECR makes before each call. It raises EcrError if the policies don't allow the call."""

    def authorize(ecr: RegistryState, operation: str, parameters: Parameters) -> None:
        for check in checks(ecr, operation, parameters):
            decision = policies.decide(check)
            if decision.allowed:
                continue
            message = decision.message(principal, check)
            if check.action.startswith("kms:"):
                raise EcrError("KmsException", f"KMS exception: {message} (Service: AWSKMS; Status Code: 400)")
            raise EcrError("AccessDeniedException", message)

    return authorize


def checks(ecr: RegistryState, operation: str, parameters: Parameters) -> list[Check]:
    """All questions to IAM that a call raises, in their order."""
    arns = ["*"] if operation in _OF_REGISTRY else _resources(ecr, parameters)
    asked = _request_keys(parameters)
    found = [Check(f"ecr:{operation}", arn, {**_resource_keys(ecr, arn), **asked}) for arn in arns]
    if operation == "CreateRepository":
        if parameters.get("tags"):
            found.append(Check("ecr:TagResource", arns[0], asked))
        key = _key_of_new(ecr, parameters)
        found += _key_checks(ecr, key, _FOR_NEW_REPOSITORY)
    elif operation == "DeleteRepository":
        found += _key_checks(ecr, _key_of_old(ecr, parameters), _FOR_OLD_REPOSITORY)
    return found


def _resources(ecr: RegistryState, parameters: Parameters) -> list[str]:
    if "resourceArn" in parameters:
        return [str(parameters["resourceArn"])]
    names = parameters.get("repositoryNames") or [parameters.get("repositoryName", "*")]
    return [ecr.arn(name) for name in names]


def _request_keys(parameters: Parameters) -> dict[str, str | list[str]]:
    tags = {tag["Key"]: tag["Value"] for tag in parameters.get("tags", [])}
    names = [*tags, *parameters.get("tagKeys", [])]
    keys: dict[str, str | list[str]] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    return {**keys, "aws:TagKeys": names} if names else keys


def _resource_keys(ecr: RegistryState, arn: str) -> dict[str, str | list[str]]:
    name = arn.partition(":repository/")[2]
    repository = ecr.lateness.to_read(name, ecr.repositories.get(name))  # with the tags that are seen by now
    tags = ecr.lateness.tags(repository) if repository else {}
    return {f"{service}:ResourceTag/{name}": value for name, value in tags.items() for service in ("aws", "ecr")}


def _key_of_new(ecr: RegistryState, parameters: Parameters) -> str | None:
    asked = parameters.get("encryptionConfiguration") or {}
    # None also for a key that does not exist: the operation itself refuses it
    return ecr.find_key(asked["kmsKey"]) if "kmsKey" in asked else None


def _key_of_old(ecr: RegistryState, parameters: Parameters) -> str | None:
    repository = ecr.repositories.get(parameters.get("repositoryName", ""))
    return repository.encryption.get("kmsKey") if repository else None


def _key_checks(ecr: RegistryState, key: str | None, actions: tuple[str, ...]) -> list[Check]:
    if key is None or key == ecr.kms_keys["alias/aws/ecr"]:
        return []
    context = {"kms:ViaService": f"ecr.{ecr.region}.amazonaws.com"}
    return [Check(action, key, context) for action in actions]
