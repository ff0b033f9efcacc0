"""Resource models: their primary identifier, and their attributes for Fn::GetAtt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.driver.schema import Schema, find

_SEPARATOR = "|"  # between the parts of an identifier of several properties


def identifier(schema: Schema, model: Mapping[str, Any] | None) -> str | None:
    """The primary identifier, which becomes the physical id; None where the model lacks a part of it."""
    parts = [find(model or {}, path) for path in schema.primary_identifier]
    return None if any(part in (None, "") for part in parts) else _SEPARATOR.join(map(str, parts))


def identifier_model(schema: Schema, physical_id: str) -> dict[str, Any]:
    """A model that holds the primary identifier and nothing else."""
    model: dict[str, Any] = {}
    for path, value in zip(schema.primary_identifier, physical_id.split(_SEPARATOR), strict=True):
        place = model
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
    return model


def with_identifier(schema: Schema, properties: Mapping[str, Any], physical_id: str) -> dict[str, Any]:
    """The properties with the primary identifier, which a template may leave out."""
    model = identifier_model(schema, physical_id)
    return {**properties, **{key: value for key, value in model.items() if key not in properties}}


def attributes(schema: Schema, model: Mapping[str, Any]) -> dict[str, Any]:
    """What Fn::GetAtt finds: the read-only properties, nested ones with a dot in their name."""
    found = {".".join(path): find(model, path) for path in schema.read_only}
    return {name: value for name, value in found.items() if value is not None}
