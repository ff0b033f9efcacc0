"""A whole template: its repositories of this type, their policies, and what refers to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from awstut_ecr_autopurgerepository.errors import HandlerError
from awstut_ecr_autopurgerepository.models import ResourceModel
from awstut_ecr_autopurgerepository.repository import translate
from awstut_ecr_autopurgerepository.repository.validate import check_model, check_room_for_tags

from ..repositories import TYPE_NAME
from .problems import ATTRIBUTES, POLICIES, PROPERTIES, Path, Problem, did_you_mean, has_intrinsic, intrinsic
from .schema import problems_of, schema

_POLICIES = ["Delete", "Retain", "RetainExceptOnCreate"]
_FOR_EACH = "Fn::ForEach::"
_MUTABILITY = ("ImageTagMutability", "ImageTagMutabilityExclusionFilters")
_ANY_CONTENT = "RepositoryPolicyText"  # functions inside it do not change what can be said of it


def problems_in(template: Any) -> list[Problem]:
    """All problems of a template, whose functions are written in full (``Fn::Sub``, not ``!Sub``), in its order."""
    if not isinstance(template, Mapping) or not isinstance(template.get("Resources"), Mapping):
        return []
    found: list[Problem] = []
    ours = set()
    for logical_id, resource, path in _resources(template["Resources"], ("Resources",)):
        kind = str(resource.get("Type", ""))
        if kind == TYPE_NAME:
            ours.add(logical_id)
            found += _of_resource(resource, path)
        elif kind.lower() != TYPE_NAME.lower() and not kind.startswith("Awstut::"):
            continue
        else:
            found.append(Problem(ATTRIBUTES, (*path, "Type"), f"There is no type {kind}. Did you mean {TYPE_NAME}?"))
    return found + list(_attributes(template, (), ours))


def _resources(resources: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Mapping[str, Any], Path]]:
    """Each resource, also those in loops (Fn::ForEach). In a loop, a string with ${…} counts as unknown."""
    for key, value in resources.items():
        if str(key).startswith(_FOR_EACH) and isinstance(value, list) and len(value) == 3:
            yield from _resources(_unknown(value[2]), (*path, key, 2))
        elif isinstance(value, Mapping):
            yield str(key), value, (*path, key)


def _unknown(value: Any) -> Any:
    """The body of a loop, with an intrinsic function instead of each string that has variables."""
    if isinstance(value, Mapping):
        return {key: _unknown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_unknown(each) for each in value]
    return {"Fn::Sub": value} if isinstance(value, str) and ("${" in value or "&{" in value) else value


def _of_resource(resource: Mapping[str, Any], path: Path) -> list[Problem]:
    properties = resource.get("Properties") or {}
    if intrinsic(properties) or not isinstance(properties, Mapping):
        return []
    where = (*path, "Properties")
    found = list(problems_of(properties, where))
    wrong = {problem.path[len(where)] for problem in found if len(problem.path) > len(where)}
    found += _combinations({key: each for key, each in properties.items() if key not in wrong}, where)
    return found + list(_policies(resource, properties, path))


def _combinations(properties: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    """Combinations of valid values that the handlers refuse. They see only what is known before a deployment."""
    known = {key: each for key, each in properties.items() if key == _ANY_CONTENT or not has_intrinsic(each)}
    if intrinsic(known.get(_ANY_CONTENT)):
        del known[_ANY_CONTENT]
    if any(name in properties and name not in known for name in _MUTABILITY):
        known = {key: each for key, each in known.items() if key not in _MUTABILITY}
    if "LifecyclePolicy" in known and not isinstance(known["LifecyclePolicy"], Mapping):
        del known["LifecyclePolicy"]
    for _ in properties:
        message = _refusal(known)
        if message is None:
            return
        name = next((each for each in sorted(known, key=len, reverse=True) if each in message), None)
        yield Problem(PROPERTIES, path if name is None else (*path, name), message)
        if name is None:
            return
        known = {
            key: each for key, each in known.items() if key not in (name, *(_MUTABILITY if name in _MUTABILITY else ()))
        }


def _refusal(properties: Mapping[str, Any]) -> str | None:
    """The first thing that the create handler would refuse, in its words."""
    model = ResourceModel._deserialize(dict(properties))
    if model is None:
        return None
    try:
        check_model(model, None)
        check_room_for_tags(len(translate.user_tags(model, {})), translate.settings_of(model))
    except HandlerError as error:
        return error.message
    return None


def _policies(resource: Mapping[str, Any], properties: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    """Policies that are not valid, or that do not do with the images what the template seems to say."""
    chosen = {name: resource.get(name) for name in ("DeletionPolicy", "UpdateReplacePolicy")}
    for name, value in chosen.items():
        if isinstance(value, str) and value not in _POLICIES:
            why = "there are no snapshots of a repository" if value == "Snapshot" else f"it is {value}"
            told = f"{name} must be {', '.join(_POLICIES[:2])} or, for DeletionPolicy, {_POLICIES[2]}: {why}."
            yield Problem(POLICIES, (*path, name), told + did_you_mean(value, _POLICIES))
    keeps = str(chosen["DeletionPolicy"]).startswith("Retain")
    if keeps and chosen["UpdateReplacePolicy"] in (None, "Delete") and properties.get("EmptyOnDelete") is not False:
        yield Problem(
            POLICIES,
            (*path, "DeletionPolicy"),
            "DeletionPolicy: Retain does not cover a replacement: another RepositoryName or encryption deletes the old "
            "repository with its images. Add UpdateReplacePolicy: Retain.",
        )
    if keeps and properties.get("EmptyOnDelete") is True:
        yield Problem(
            POLICIES,
            (*path, "DeletionPolicy"),
            f"EmptyOnDelete: true has no effect under DeletionPolicy: {chosen['DeletionPolicy']}: a delete of the "
            "stack keeps the repository and its images. Use DeletionPolicy: Delete if they are to be deleted.",
        )


def _attributes(value: Any, path: Path, ours: set[str]) -> Iterator[Problem]:
    """Fn::GetAtt of our repositories, with an attribute that they do not have."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _attributes(each, (*path, number), ours)
    if not isinstance(value, Mapping):
        return
    for key, each in value.items():
        if key == "Fn::GetAtt":
            target, attribute = _target(each)
            known = list(schema()["properties"])
            if target in ours and attribute not in known:
                told = f"{target} has no attribute {attribute}."
                readable = [name.rpartition("/")[2] for name in schema()["readOnlyProperties"]]
                hint = did_you_mean(str(attribute), known) or f" There are {', '.join(readable)}."
                yield Problem(ATTRIBUTES, (*path, key), told + hint)
        else:
            yield from _attributes(each, (*path, key), ours)


def _target(value: Any) -> tuple[str | None, str | None]:
    parts = value.split(".", 1) if isinstance(value, str) else value if isinstance(value, list) else []
    literal = len(parts) == 2 and all(isinstance(part, str) for part in parts)
    return (str(parts[0]), str(parts[1])) if literal else (None, None)
