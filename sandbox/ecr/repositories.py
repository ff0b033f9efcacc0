"""Operations on repositories, their tags and policies."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.ecr import enumerations, lifecycle, paging, policy_texts
from sandbox.ecr.errors import EcrError, invalid
from sandbox.ecr.repository import Repository
from sandbox.ecr.state import Parameters, RegistryState

_NAME = re.compile(r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG_CHARACTERS = re.compile(r"[\w\s+\-=.:/@]*", re.UNICODE)
_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
_EXCLUDING = {"MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"}
_NEVER = 0.0  # lastEvaluatedAt of a lifecycle policy: the sandbox stores policies and never runs them
MOST_TAGS = 50
LONGEST_POLICY = 10_240


def create_repository(ecr: RegistryState, parameters: Parameters) -> Parameters:
    ecr.check_registry(parameters, "ecr:CreateRepository")
    name = parameters["repositoryName"]
    if not 2 <= len(name) <= 256 or not _NAME.fullmatch(name):
        raise invalid(
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
            "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"
        )
    tags = _checked_tags({}, parameters.get("tags", []))
    mutability = _mutability(parameters)
    encryption = _encryption(ecr, parameters.get("encryptionConfiguration"))
    if name in ecr.repositories or ecr.lateness.is_taken(name):
        raise EcrError(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id '{ecr.account}'",
        )
    repository = ecr.make_repository(name, encryption)
    repository.tags = tags
    repository.mutability, repository.exclusion_filters = mutability
    repository.scan_on_push = parameters.get("imageScanningConfiguration", {}).get("scanOnPush", False)
    ecr.lateness.note_created(repository)
    return {"repository": repository.description()}


def _encryption(ecr: RegistryState, wanted: dict[str, str] | None) -> dict[str, str]:
    if wanted is not None:
        enumerations.check(
            "encryptionConfiguration.encryptionType", wanted["encryptionType"], enumerations.ENCRYPTION_TYPES
        )
    if wanted is None or wanted["encryptionType"] == "AES256":
        if wanted and "kmsKey" in wanted:
            raise invalid("KMS key can not be specified when encryption type is AES256")
        return {"encryptionType": "AES256"}
    key = wanted.get("kmsKey", "alias/aws/ecr")
    arn = ecr.find_key(key)
    if arn is None:
        raise EcrError(
            "KmsException",
            f"KMS exception: com.amazonaws.services.kms.model.NotFoundException: Key '{key}' does not exist",
        )
    return {"encryptionType": wanted["encryptionType"], "kmsKey": arn}


def _mutability(parameters: Parameters) -> tuple[str, list[dict[str, str]]]:
    mutability = parameters.get("imageTagMutability", "MUTABLE")
    enumerations.check("imageTagMutability", mutability, enumerations.MUTABILITIES)
    filters = parameters.get("imageTagMutabilityExclusionFilters", [])
    for each in filters:
        enumerations.check(
            "imageTagMutabilityExclusionFilters.filterType", each["filterType"], enumerations.EXCLUSION_FILTER_TYPES
        )
    if (mutability in _EXCLUDING) != bool(filters):
        raise invalid(
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'filters "
            "go with MUTABLE_WITH_EXCLUSION and IMMUTABLE_WITH_EXCLUSION, and only with them'"
        )
    if len(filters) > 5 or any(
        not _FILTER.fullmatch(each["filter"]) or each["filter"].count("*") > 2 for each in filters
    ):
        raise invalid(
            "Invalid parameter at 'imageTagMutabilityExclusionFilters': at most 5, of at most two wildcards each"
        )
    return mutability, filters


def describe_repositories(ecr: RegistryState, parameters: Parameters) -> Parameters:
    registry = {"registryId": parameters.get("registryId", ecr.account)}
    if "repositoryNames" in parameters:
        found = [ecr.find_to_read({"repositoryName": name, **registry}) for name in parameters["repositoryNames"]]
        return {"repositories": [each.description() for each in found]}
    ecr.check_registry(parameters, "ecr:DescribeRepositories")
    size = paging.page_size(parameters)
    after = paging.place("repositories", parameters)
    described = ecr.lateness.described(ecr.repositories, after)
    page, token = paging.cut(described, size, "repositories", lambda repository: repository.name)
    answer: Parameters = {"repositories": [repository.description() for repository in page]}
    return {**answer, "nextToken": token} if token else answer


def delete_repository(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    if not parameters.get("force", False) and ecr.lateness.is_not_empty(repository):
        raise EcrError(
            "RepositoryNotEmptyException",
            f"The repository with name '{repository.name}' in registry with id '{ecr.account}' cannot be deleted "
            "because it still contains images",
        )
    for image in repository.images:
        ecr.note_deletion(repository, image, by_force=True)
    del ecr.repositories[repository.name]
    ecr.lateness.note_deleted(repository)
    return {"repository": repository.description()}


def put_image_tag_mutability(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    repository.mutability, repository.exclusion_filters = _mutability(parameters)
    filters = (
        {"imageTagMutabilityExclusionFilters": repository.exclusion_filters} if repository.exclusion_filters else {}
    )
    return {**_names(repository), "imageTagMutability": repository.mutability, **filters}


def put_image_scanning_configuration(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    repository.scan_on_push = parameters["imageScanningConfiguration"].get("scanOnPush", False)
    return {**_names(repository), "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push}}


def _names(repository: Repository) -> Parameters:
    return {"registryId": repository.registry_id, "repositoryName": repository.name}


# Tags


def list_tags_for_resource(ecr: RegistryState, parameters: Parameters) -> Parameters:
    tags = ecr.lateness.tags(ecr.find_to_read(ecr.name_in_arn(parameters)))
    return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def tag_resource(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(ecr.name_in_arn(parameters))
    tags = _checked_tags(repository.tags, parameters["tags"])
    ecr.lateness.note_tags(repository)
    repository.tags = tags
    return {}


def untag_resource(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(ecr.name_in_arn(parameters))
    if any(key.lower().startswith("aws:") for key in parameters["tagKeys"]):
        raise EcrError("InvalidTagParameterException", "aws: prefixed tag key names are not allowed for external use.")
    ecr.lateness.note_tags(repository)
    repository.tags = {key: value for key, value in repository.tags.items() if key not in parameters["tagKeys"]}
    return {}


def _checked_tags(before: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise EcrError(
            "InvalidTagParameterException", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise EcrError(
                "InvalidTagParameterException", "aws: prefixed tag key names are not allowed for external use."
            )
        if not 1 <= len(tag["Key"]) <= 128 or not _TAG_CHARACTERS.fullmatch(tag["Key"]):
            raise EcrError("InvalidTagParameterException", f"The tag key '{tag['Key']}' is not valid.")
        if len(tag["Value"]) > 256 or not _TAG_CHARACTERS.fullmatch(tag["Value"]):
            raise EcrError("InvalidTagParameterException", f"The value of the tag '{tag['Key']}' is not valid.")
    after = before | {tag["Key"]: tag["Value"] for tag in tags}
    if sum(not key.startswith("aws:") for key in after) > MOST_TAGS:
        raise EcrError("TooManyTagsException", f"The number of tags exceeds the maximum of {MOST_TAGS}.")
    return after


# Policies


def _json_object(text: str, message: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise invalid(message)
    return value


def set_repository_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    statements = _json_object(parameters["policyText"], message).get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    complete = (
        isinstance(statements, list)
        and statements
        and all(
            isinstance(each, dict)
            and each.get("Effect") in ("Allow", "Deny")
            and ("Action" in each or "NotAction" in each)
            and ("Principal" in each or "NotPrincipal" in each)
            for each in statements
        )
    )
    if not complete or len(parameters["policyText"]) > LONGEST_POLICY:
        raise invalid(message)
    ecr.lateness.check_roles(policy_texts.roles(parameters["policyText"], ecr.account), ecr.role_age)
    ecr.lateness.note_policy(repository)
    repository.policy = parameters["policyText"]
    return _policy_answer(ecr, repository, repository.policy)


def get_repository_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find_to_read(parameters)
    return _policy_answer(ecr, repository, ecr.lateness.policy(repository))


def _policy_answer(ecr: RegistryState, repository: Repository, policy: str | None) -> Parameters:
    if policy is None:
        raise EcrError(
            "RepositoryPolicyNotFoundException",
            f"Repository policy does not exist for the repository with name '{repository.name}' in the registry with "
            f"id '{ecr.account}'",
        )
    return {**_names(repository), "policyText": policy_texts.normalised(policy, ecr.faults.policy_form)}


def delete_repository_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    answer = _policy_answer(ecr, repository, repository.policy)
    ecr.lateness.note_policy(repository)
    repository.policy = None
    return answer


def put_lifecycle_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    text = parameters["lifecyclePolicyText"]
    lifecycle.check(text)
    repository.lifecycle = text
    return {**_names(repository), "lifecyclePolicyText": text}


def get_lifecycle_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find_to_read(parameters)
    return _lifecycle_answer(ecr, repository, ecr.lateness.lifecycle(repository))


def _lifecycle_answer(ecr: RegistryState, repository: Repository, text: str | None) -> Parameters:
    if text is None:
        raise EcrError(
            "LifecyclePolicyNotFoundException",
            f"Lifecycle policy does not exist for the repository with name '{repository.name}' in the registry with "
            f"id '{ecr.account}'",
        )
    return {**_names(repository), "lifecyclePolicyText": text, "lastEvaluatedAt": _NEVER}


def delete_lifecycle_policy(ecr: RegistryState, parameters: Parameters) -> Parameters:
    repository = ecr.find(parameters)
    answer = _lifecycle_answer(ecr, repository, repository.lifecycle)
    repository.lifecycle = None
    return answer
