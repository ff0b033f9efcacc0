"""Which custom resources of a template empty a repository, and what else is useless without them. Pure."""

from __future__ import annotations

import enum
import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .templates import Model, Template

NATIVE = "AWS::ECR::Repository"
_FUNCTION, _ROLE = "AWS::Lambda::Function", "AWS::IAM::Role"
_AROUND_FUNCTION = frozenset({"AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig"})
_AROUND_ROLE = frozenset({"AWS::IAM::Policy"})
_CALLS = re.compile("batch[-_]?delete[-_]?image|delete[-_]?repository", re.IGNORECASE)
_DELETING = ("ecr:batchdeleteimage", "ecr:deleterepository")
_KNOWN = frozenset({"Custom::ECRAutoDeleteImages"})
_ADMINISTRATORS = ("AdministratorAccess", "AmazonEC2ContainerRegistryFullAccess", "PowerUserAccess")


class Role(enum.Enum):
    """What a custom resource that refers to a repository does with it."""

    EMPTIES = "empties"
    KEEPS = "keeps"
    UNKNOWN = "unknown"


def custom_resources(template: Template, repositories: Iterable[str]) -> dict[str, Role]:
    """The custom resources that refer to one of these repositories, by logical id, and what each does."""
    wanted = set(repositories)
    names = {_name(template, each) for each in wanted} - {None}
    referring = {path[1] for path, (target, _) in template.references() if target in wanted and path[0] == "Resources"}
    found = {}
    for logical_id, resource in template.resources.items():
        mentions = any(json.dumps(name) in json.dumps(resource.get("Properties")) for name in names)
        if _is_custom(resource) and (logical_id in referring or mentions):
            found[logical_id] = _role_of(template, resource)
    return found


def emptied_by(template: Template, custom: str, repositories: Iterable[str]) -> set[str]:
    """The repositories that a custom resource refers to."""
    properties = json.dumps(template.resources[custom].get("Properties"))
    referred = {target for path, (target, _) in template.references() if path[:2] == ("Resources", custom)}
    named = {each for each in repositories if (name := _name(template, each)) and json.dumps(name) in properties}
    return (referred | named) & set(repositories)


def leftovers(template: Template, custom: Iterable[str]) -> tuple[str, ...]:
    """Logical ids of what only these custom resources use: functions, their roles, and what is attached to both."""
    gone = set(custom)
    functions = [target for each in custom for target in _service_functions(template, each)]
    for function in dict.fromkeys(functions):
        _take(template, gone, function, _AROUND_FUNCTION)
    roles = [role for each in functions if each in gone for role in _roles(template, each)]
    for role in dict.fromkeys(roles):
        _take(template, gone, role, _AROUND_ROLE)
    return tuple(each for each in template.resources if each in gone - set(custom))


def _take(template: Template, gone: set[str], logical_id: str, around: frozenset[str]) -> None:
    """Add a resource to `gone`, and those of the types `around` that refer to it, if no other resource refers to it."""
    referring = {
        path[1] if path[0] == "Resources" else path[0]
        for path, (target, _) in template.references()
        if target == logical_id
    } - gone
    if all(template.resources.get(each, {}).get("Type") in around and _alone(template, each) for each in referring):
        gone |= {logical_id, *referring}


def _alone(template: Template, logical_id: str) -> bool:
    """Whether a policy or a permission refers to one resource only, and nothing refers to it."""
    references = list(template.references())
    own = {target for path, (target, _) in references if path[:2] == ("Resources", logical_id)}
    return len(own & set(template.resources)) == 1 and not any(target == logical_id for _, (target, _) in references)


def _is_custom(resource: Mapping[str, Any]) -> bool:
    kind = str(resource.get("Type", ""))
    return kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource"


def _name(template: Template, repository: str) -> str | None:
    name = (template.resources[repository].get("Properties") or {}).get("RepositoryName")
    return name if isinstance(name, str) else None


def _role_of(template: Template, resource: Mapping[str, Any]) -> Role:
    if resource["Type"] in _KNOWN:
        return Role.EMPTIES
    found = {_role_of_function(template, each) for each in _functions_behind(template, resource)}
    if Role.EMPTIES in found:
        return Role.EMPTIES
    return Role.KEEPS if found == {Role.KEEPS} else Role.UNKNOWN


def _service_functions(template: Template, custom: str) -> list[str]:
    return _functions_behind(template, template.resources[custom])


def _functions_behind(template: Template, resource: Mapping[str, Any]) -> list[str]:
    """The functions of the template in the ServiceToken."""
    token = (resource.get("Properties") or {}).get("ServiceToken")
    return [each for each in _targets(token) if template.resources.get(each, {}).get("Type") == _FUNCTION]


def _targets(value: Model) -> list[str]:
    """The logical ids that a value refers to by Ref or Fn::GetAtt."""
    if isinstance(value, list):
        return [target for each in value for target in _targets(each)]
    if not isinstance(value, dict):
        return []
    if set(value) == {"Ref"}:
        return [str(value["Ref"])]
    if set(value) == {"Fn::GetAtt"}:
        return [str(value["Fn::GetAtt"][0])]
    return [target for each in value.values() for target in _targets(each)]


def _role_of_function(template: Template, function: str) -> Role:
    """By the calls that its code names, or else by what its role allows."""
    properties = template.resources[function].get("Properties") or {}
    if _CALLS.search(json.dumps(properties.get("Code"))):
        return Role.EMPTIES
    roles = _roles(template, function)
    if not roles:
        return Role.UNKNOWN
    allowed = any(_allows(document) for role in roles for document in _policies(template, role))
    return Role.EMPTIES if allowed else Role.KEEPS


def _roles(template: Template, function: str) -> list[str]:
    targets = _targets((template.resources[function].get("Properties") or {}).get("Role"))
    return [each for each in targets if template.resources.get(each, {}).get("Type") == _ROLE]


def _policies(template: Template, role: str) -> list[Model]:
    """The policies that the template itself gives a role, and the names of its managed policies."""
    properties = template.resources[role].get("Properties") or {}
    found = [each.get("PolicyDocument") for each in properties.get("Policies") or [] if isinstance(each, dict)]
    found += [properties.get("ManagedPolicyArns") or []]
    for resource in template.resources.values():
        inner = resource.get("Properties") or {}
        if resource.get("Type") in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy") and role in _targets(inner):
            found.append(inner.get("PolicyDocument"))
    return found


def _allows(document: Model) -> bool:
    """Whether a policy, or a list of managed policies, may allow to delete images. In doubt it does."""
    if isinstance(document, list) or document is None:
        return any(name in json.dumps(document) for name in _ADMINISTRATORS)
    statements = document.get("Statement") if isinstance(document, dict) else None
    listed = statements if isinstance(statements, list) else [statements]
    return any(_statement_allows(each) for each in listed)


def _statement_allows(statement: Model) -> bool:
    if not isinstance(statement, dict):
        return True
    if statement.get("Effect") == "Deny":
        return False
    actions = statement.get("Action")
    listed = actions if isinstance(actions, list) else [actions]
    return any(
        not isinstance(each, str) or fnmatch.fnmatchcase(call, each.lower()) for each in listed for call in _DELETING
    )
