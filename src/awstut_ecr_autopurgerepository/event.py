"""The shape of the event that CloudFormation sends, and of the properties in it. Pure.

The library takes whatever comes, and stumbles later, over half of it, with an internal failure and no message; what is
not understood must not get as far as a delete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

_TEXTS = ("action", "awsAccountId", "bearerToken", "region")
_TEXTS_OR_NOTHING = ("stackId", "nextToken", "resourceType")
_TEXTS_OF_DATA = ("logicalResourceId", "providerLogGroupName")
_OBJECTS_OF_DATA = (
    "resourceProperties",
    "previousResourceProperties",
    "stackTags",
    "previousStackTags",
    "systemTags",
    "previousSystemTags",
)
_CREDENTIALS = ("callerCredentials", "providerCredentials")


def check(event: object) -> None:
    """Raise ValueError, with the reason in words, for an event of another shape."""
    found = _object("The event", event)
    for key in _TEXTS:
        if not found.get(key):
            raise ValueError(f"The event has no {key}.")
    for key in (*_TEXTS, *_TEXTS_OR_NOTHING):
        _text(key, found.get(key))
    _object_or_nothing("callbackContext", found.get("callbackContext"))
    data = _object("requestData", found.get("requestData"))
    for key in _TEXTS_OF_DATA:
        _text(f"requestData.{key}", data.get(key))
    for key in _OBJECTS_OF_DATA:
        _object_or_nothing(f"requestData.{key}", data.get(key))
    for key in _CREDENTIALS:
        value = data.get(key)
        _object_or_nothing(f"requestData.{key}", value if isinstance(value, Mapping | None) else "a secret, not shown")


def _text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not a text: {value!r:.50}.")


def _object(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is not an object: {value!r:.50}.")
    return value


def _object_or_nothing(name: str, value: object) -> None:
    if value is not None:
        _object(name, value)


def check_properties(properties: object, model: type) -> None:
    """Raise ValueError, with the reason in words, for properties that are not of the kinds of the generated model.

    What the model does not know is passed over here, and refused by the library.
    """
    if properties:
        _kind("The properties", properties, model)


def _kind(name: str, value: object, hint: Any) -> None:
    hint = next((each for each in get_args(hint) if each is not type(None)), hint) if _is_optional(hint) else hint
    if is_dataclass(hint):
        for key, each in _object(name, value).items():
            _kind(f"{name}.{key}" if name != "The properties" else key, each, get_type_hints(hint).get(key, Any))
    elif get_origin(hint) is Sequence:
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list: {value!r:.50}.")
        for number, each in enumerate(value):
            # The library makes None of an empty object.
            _kind(f"{name}[{number}]", None if each == {} else each, get_args(hint)[0])
    elif hint is not Any and not isinstance(value, str | bool | int | float):
        raise ValueError(f"{name} is not a text, a number, true or false: {value!r:.50}.")


def _is_optional(hint: Any) -> bool:
    return type(None) in get_args(hint)
