"""A resource type's schema: its rules for properties, and CloudFormation's messages for properties that break them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

_JSON_NAMES = {dict: "JSONObject", list: "JSONArray", bool: "Boolean", int: "Integer", float: "Number", str: "String"}
_TYPE_NAMES = {"object": "JSONObject", "array": "JSONArray"}


class Schema:
    """Wraps the schema document as it was registered."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.type_name: str = document["typeName"]
        self.primary_identifier = self._paths("primaryIdentifier")
        self.read_only = self._paths("readOnlyProperties")
        self.create_only = self._paths("createOnlyProperties")
        self.conditional_create_only = self._paths("conditionalCreateOnlyProperties")

    def _paths(self, key: str) -> list[tuple[str, ...]]:
        return [tuple(pointer.removeprefix("/properties/").split("/")) for pointer in self.document.get(key, [])]

    @property
    def has_tags(self) -> bool:
        """Whether the type takes part in stack tags: it does unless its schema says otherwise."""
        return bool(self.document.get("tagging", {}).get("taggable", True))

    @property
    def configuration(self) -> dict[str, Any] | None:
        """The schema of the type configuration, if the type has one."""
        found: dict[str, Any] | None = self.document.get("typeConfiguration")
        return found

    def timeout_seconds(self, action: str) -> float:
        """How long an operation may take in all: timeoutInMinutes of its handler."""
        handler = self.document.get("handlers", {}).get(action.lower(), {})
        return float(handler.get("timeoutInMinutes", 120)) * 60

    @cached_property
    def _validator(self) -> Draft7Validator:
        return Draft7Validator({key: self.document[key] for key in _RULES if key in self.document})

    def problems(self, properties: Mapping[str, Any], in_part: bool = False) -> list[str]:
        """What does not fit, in CloudFormation's words; nothing if all is well.

        `in_part`: required properties may be missing, as in what handlers answer.
        """
        errors = self._validator.iter_errors(properties)
        return sorted(_words(each for each in errors if not (in_part and each.validator == "required")))

    def given_read_only(self, properties: Mapping[str, Any]) -> list[str]:
        """The read-only properties that were given; those of the identifier are not counted."""
        given = [path for path in self.read_only if path not in self.primary_identifier]
        return ["/properties/" + "/".join(path) for path in given if find(properties, path) is not None]

    def coerce(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """A copy with primitives in the types of the schema, as in templates: "true" becomes a boolean, 5 a string."""
        coerced: dict[str, Any] = self._coerce(dict(copy.deepcopy(properties)), self.document)
        return coerced

    def _coerce(self, value: Any, rules: Mapping[str, Any]) -> Any:
        rules = self._resolve(rules)
        if isinstance(value, dict):
            return {key: self._coerce(each, _rules_of(key, rules)) for key, each in value.items()}
        if isinstance(value, list):
            return [self._coerce(each, rules.get("items", {})) for each in value]
        types = rules.get("type", [])
        return _coerce_primitive(value, [types] if isinstance(types, str) else types)

    def _resolve(self, rules: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in rules:
            found: Any = self.document
            for step in rules["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            rules = found
        return rules


_RULES = (
    "definitions", "properties", "patternProperties", "additionalProperties", "required", "allOf", "anyOf", "oneOf",
    "dependencies", "minProperties", "maxProperties",
)  # fmt: skip


def find(properties: Mapping[str, Any], path: Iterable[str]) -> Any:
    """The value at a path; None where there is none."""
    found: Any = properties
    for step in path:
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found


def as_strings(value: Any) -> Any:
    """All primitives as strings, which is how CloudFormation sends them to a handler."""
    if isinstance(value, Mapping):
        return {key: as_strings(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_strings(each) for each in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def _rules_of(key: str, rules: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = rules.get("properties", {}).get(key, {})
    return found


def _coerce_primitive(value: Any, types: list[str]) -> Any:
    if isinstance(value, str) and "string" not in types:
        return _from_string(value, types)
    if isinstance(value, bool):
        return ("true" if value else "false") if types == ["string"] else value
    if isinstance(value, int | float) and "string" in types and not {"integer", "number"} & set(types):
        return str(value)
    return value


def _from_string(text: str, types: list[str]) -> Any:
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for name, kind in (("integer", int), ("number", float)):
        if name in types:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _words(errors: Iterable[ValidationError]) -> Iterator[str]:
    for error in errors:
        place = "#" + "".join(f"/{step}" for step in error.absolute_path)
        for words in _explain(error):
            yield f"{place}: {words}"


def _explain(error: ValidationError) -> Iterator[str]:
    """CloudFormation's messages. They never repeat the value that was given, because it may be a secret."""
    rule: Any = error.validator_value
    given: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            yield from (f"extraneous key [{key}] is not permitted" for key in given if key not in known)
        case "required":
            # jsonschema reports one missing key at a time: its message begins with the key in quotes
            yield f"required key [{error.message.split(chr(39))[1]}] not found"
        case "type":
            found = "Null" if given is None else _JSON_NAMES.get(type(given), "Object")
            expected = rule if isinstance(rule, str) else rule[0]
            yield f"expected type: {_TYPE_NAMES.get(expected, expected.capitalize())}, found: {found}"
        case "minLength" | "maxLength":
            yield f"expected {error.validator}: {rule}, actual: {len(given)}"
        case "minItems" | "maxItems":
            yield f"expected {error.validator[:3]}imum item count: {rule}, found: {len(given)}"
        case "uniqueItems":
            yield "array items are not unique"
        case _:
            yield f"failed validation constraint for keyword [{error.validator}]"
