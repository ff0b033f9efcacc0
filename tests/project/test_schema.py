"""The schema itself: least permissions, limits, and documentation for each property."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.project_copy import ROOT, SCHEMA_NAME

SCHEMA_TEXT = (ROOT / SCHEMA_NAME).read_text(encoding="utf-8")
SCHEMA = json.loads(SCHEMA_TEXT)
HANDLERS = SCHEMA["handlers"]
READ_ACTIONS = ("ecr:Describe", "ecr:Get", "ecr:List")
DEFAULT_TIMEOUT = 120  # minutes, where the schema gives none


def permissions(handler: str) -> set[str]:
    return set(HANDLERS[handler]["permissions"])


def documented_parts(name: str, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The properties below `part`, each with its dotted name."""
    for child, definition in part.get("properties", {}).items():
        yield f"{name}.{child}", definition
        yield from documented_parts(f"{name}.{child}", definition)


def all_parts() -> list[tuple[str, dict[str, Any]]]:
    parts = list(documented_parts("", SCHEMA))
    for name, definition in SCHEMA["definitions"].items():
        parts += [(name, definition), *documented_parts(name, definition)]
    return parts


def test_schema_fits_cloudformation_s_limit() -> None:
    assert len(SCHEMA_TEXT.encode()) < 60 * 1024


def test_schema_is_ascii() -> None:
    assert SCHEMA_TEXT.isascii()


@pytest.mark.parametrize(("name", "definition"), all_parts())
def test_each_property_is_described(name: str, definition: dict[str, Any]) -> None:
    described = definition if "$ref" not in definition else SCHEMA["definitions"][definition["$ref"].split("/")[-1]]
    assert len(described.get("description", "")) > 10


@pytest.mark.parametrize("array", [part for part in all_parts() if part[1].get("type") == "array"])
def test_no_array_asks_for_unique_items(array: tuple[str, dict[str, Any]]) -> None:
    """The support library would make a Python set of it, which fails on objects and cannot be serialised."""
    _, definition = array
    assert definition.get("uniqueItems", False) is False
    assert "insertionOrder" in definition


def test_no_property_is_write_only() -> None:
    assert SCHEMA.get("writeOnlyProperties", []) == []


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_permissions_have_no_wildcard(handler: str) -> None:
    assert not [action for action in permissions(handler) if "*" in action]


@pytest.mark.parametrize("handler", ["read", "list"])
def test_reading_needs_no_permission_to_write(handler: str) -> None:
    assert all(action.startswith(READ_ACTIONS) for action in permissions(handler))


def test_only_delete_may_delete_images() -> None:
    assert [handler for handler in sorted(HANDLERS) if "ecr:BatchDeleteImage" in permissions(handler)] == ["delete"]


def test_repositories_are_deleted_by_delete_and_by_a_create_that_failed() -> None:
    assert {handler for handler in HANDLERS if "ecr:DeleteRepository" in permissions(handler)} == {"create", "delete"}


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_no_handler_may_pull(handler: str) -> None:
    """BatchGetImage counts as a pull, which would falsify the last pull time of each image."""
    assert not permissions(handler) & {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}


def test_only_delete_has_a_timeout_of_its_own() -> None:
    timeouts = {
        handler: definition.get("timeoutInMinutes", DEFAULT_TIMEOUT) for handler, definition in HANDLERS.items()
    }
    assert timeouts == {"create": 120, "read": 120, "update": 120, "list": 120, "delete": 180}
