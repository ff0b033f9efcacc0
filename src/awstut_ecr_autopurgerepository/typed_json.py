"""The one strict decoder of JSON: events, properties, the type configuration, and the callback context. Pure.

The support library accepts any value and fails later, without a message: a string where a list belongs becomes its
characters, unknown keys are ignored. So JSON is checked against the types of a dataclass before it is used. The
decoder is our own because those on PyPI do not fit: cattrs converts instead of refusing; dacite says no position in a
list, and takes true for a number; msgspec and pydantic are compiled for one Python version, and a package for Lambda
has to be the same wherever it is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_WORDS: dict[type, str] = {
    str: "must be a string",
    int: "must be a whole number, without quotes",
    bool: "must be true or false, without quotes",
    float: "must be a number, without quotes",
}
_SCALARS = (str, bool, int, float)
_LONGEST_VALUE_SHOWN = 50  # characters


@dataclass(frozen=True)
class Strictness:
    """What a caller lets pass, beside what the types say.

    ``unknown_keys``: keys that the dataclass does not have. ``nulls``: null for a value that may be left out.
    ``any_scalar``: a string for a number and the like, as CloudFormation sends all properties as strings.
    ``secrets``: names of values that an error must not show.
    """

    unknown_keys: bool = False
    nulls: bool = True
    any_scalar: bool = False
    secrets: frozenset[str] = frozenset()


def decode(cls: type[T], value: object, name: str, strictness: Strictness = Strictness()) -> T:
    """An instance of a dataclass, from JSON of its types. Raises ValueError, with name and reason in words."""
    check(cls, value, name, strictness)
    decoded: T = _build(value, cls)
    return decoded


def check(cls: type, value: object, name: str, strictness: Strictness = Strictness()) -> None:
    """Raise ValueError, with name and reason in words, for JSON that is not of the types of a dataclass."""
    _check_object("", value, cls, strictness, name)


def _check(path: str, value: object, hint: Any, strictness: Strictness) -> None:
    hint, optional = _without_none(hint)
    if value is None and hint is not Any:
        if not (optional and strictness.nulls):
            raise ValueError(f"{path} is null. Give it a value, or leave it out")
    elif is_dataclass(hint):
        _check_object(path, value, hint, strictness, path)
    elif get_origin(hint) in (Sequence, list, tuple):
        _check_list(path, value, get_args(hint)[0], strictness)
    elif get_origin(hint) in (Mapping, dict):
        for key, each in _object(path, value, strictness).items():
            _check(f"{path}.{key}", each, get_args(hint)[1], strictness)
    elif hint is Any:
        _check_nulls(path, value, strictness)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        if value not in [each.value for each in hint]:
            raise ValueError(f"{path} must be one of {', '.join(str(each.value) for each in hint)}")
    else:
        _check_scalar(path, value, hint, strictness)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of a dataclass's fields. Working them out in each call took a quarter of our part of a warm read."""
    return get_type_hints(cls)


def _check_object(path: str, value: object, cls: Any, strictness: Strictness, name: str) -> None:
    found, hints = _object(name, value, strictness), _hints(cls)
    unknown = sorted(map(str, found.keys() - hints.keys()))
    if unknown and not strictness.unknown_keys:
        raise ValueError(f"{name} has {', '.join(unknown)}, and only {', '.join(sorted(hints))} are known")
    for key, hint in hints.items():
        inner = f"{path}.{key}" if path else key
        if key in found:
            _check(inner, found[key], hint, strictness)
        elif not _without_none(hint)[1]:
            raise ValueError(f"{name} has no {key}")


def _check_list(path: str, value: object, hint: Any, strictness: Strictness) -> None:
    if not isinstance(value, list):
        raise ValueError(f"{path} must be a list{_but(path, value, strictness)}")
    for number, each in enumerate(value):
        if each == {}:  # of which the support library makes None
            raise ValueError(f"{path}[{number}] is an empty object. Give it a value, or leave it out")
        _check(f"{path}[{number}]", each, hint, strictness)


def _check_scalar(path: str, value: object, hint: Any, strictness: Strictness) -> None:
    if strictness.any_scalar:
        if not isinstance(value, _SCALARS):
            raise ValueError(f"{path} must be a string, a number, true or false{_but(path, value, strictness)}")
    elif type(value) is not hint:  # isinstance would take true for a number
        raise ValueError(f"{path} {_WORDS[hint]}{_but(path, value, strictness)}")


def _check_nulls(path: str, value: object, strictness: Strictness) -> None:
    """Nulls inside a value of any type."""
    if strictness.nulls:
        return
    if value is None:
        raise ValueError(f"{path} is null. Give it a value, or leave it out")
    if isinstance(value, Mapping):
        for key, each in value.items():
            _check_nulls(f"{path}.{key}", each, strictness)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _check_nulls(f"{path}[{number}]", each, strictness)


def _object(name: str, value: object, strictness: Strictness) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object{_but(name, value, strictness)}")
    return value


def _but(path: str, value: object, strictness: Strictness) -> str:
    secret = path.rpartition(".")[2] in strictness.secrets
    return "" if secret else f", but is {value!r:.{_LONGEST_VALUE_SHOWN}}"


def _without_none(hint: Any) -> tuple[Any, bool]:
    """A type without the None that it may be, and whether it may."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    others = [each for each in get_args(hint) if each is not type(None)]
    return others[0], len(others) < len(get_args(hint))


def _build(value: Any, hint: Any) -> Any:
    """The value as its type, which has been checked."""
    hint, _ = _without_none(hint)
    if value is None or hint is Any:
        return value
    if is_dataclass(hint):
        hints = _hints(hint)  # type: ignore[arg-type]  # a class, which is hashable
        given = {each.name: value[each.name] for each in fields(hint) if each.name in value}
        return hint(**{name: _build(each, hints[name]) for name, each in given.items()})  # type: ignore[operator]
    if get_origin(hint) in (Sequence, list):
        return [_build(each, get_args(hint)[0]) for each in value]
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value
