"""Properties against the schema of the type, with a sentence for each thing that does not fit. Reads one file."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from .problems import PROPERTIES, Path, Problem, alternatives, did_you_mean

_FILE = "awstut-ecr-autopurgerepository.json"
# Where the schema's own description does not explain its pattern.
_EXPLAINED = {
    "TagPatterns": "A pattern is 1 to 64 letters, digits, and characters of _ . * -, and not off.",
    "BucketName": "The name of a bucket is 3 to 63 lower-case letters, digits, . and -.",
    "BucketOwner": "It is the 12 digits of an account, in quotes.",
    "RegistryId": "It is the 12 digits of an account, in quotes.",
}
_SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z])")
_LONGEST_SHOWN = 60  # characters of a value
_BOOLEANS = {"true": True, "false": False}


@functools.cache
def schema() -> dict[str, Any]:
    """The schema of the type: in the wheel it is beside the package, in a clone at its top."""
    package = FilePath(__file__).parents[1]
    file = next(each for each in (package / _FILE, package.parents[1] / _FILE) if each.exists())
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def problems_of(properties: Any, path: Path) -> Iterator[Problem]:
    """The properties of a resource that do not fit the schema. Intrinsic functions are not checked."""
    read_only = [each.removeprefix("/properties/") for each in schema()["readOnlyProperties"]]
    if isinstance(properties, Mapping):
        for name in read_only:
            if name in properties:
                words = f"{name} is read-only: it is an attribute for Fn::GetAtt. Remove it from the properties."
                yield Problem(PROPERTIES, (*path, name), words)
    writable = {name: each for name, each in schema()["properties"].items() if name not in read_only}
    given = {key: each for key, each in properties.items() if key not in read_only} if properties else {}
    yield from _object({**schema(), "properties": writable}, given, path, "Properties")


def _problems(rules: Mapping[str, Any], value: Any, path: Path, name: str, words: str) -> Iterator[Problem]:
    """Of one value, and of what it holds. ``words`` explain what is allowed there."""
    while "$ref" in rules:
        rules = schema()["definitions"][rules["$ref"].rpartition("/")[2]]
    for each, where in alternatives(value, path):
        kinds = rules["type"] if isinstance(rules["type"], list) else [rules["type"]]
        if "object" in kinds and isinstance(each, Mapping):
            yield from _object(rules, each, where, name)
        elif "array" in kinds and isinstance(each, list):
            yield from _array(rules, each, where, name, words)
        else:
            yield from _scalar(rules, kinds, each, where, name, words)


def _object(rules: Mapping[str, Any], value: Mapping[str, Any], path: Path, name: str) -> Iterator[Problem]:
    known = rules.get("properties")
    if known is None:  # a policy: any object
        return
    for key, each in value.items():
        if key not in known:
            allowed = did_you_mean(str(key), list(known)) or f" Known are {', '.join(known)}."
            yield Problem(PROPERTIES, (*path, key), f"{name} has no {key}.{allowed}")
        else:
            own = f"{name}.{key}" if name != "Properties" else key
            yield from _problems(known[key], each, (*path, key), own, _explanation(key, known[key]))
    for key in rules.get("required", ()):
        if key not in value:
            yield Problem(PROPERTIES, path, f"{name} lacks {key}, which is required.")


def _array(rules: Mapping[str, Any], value: list[Any], path: Path, name: str, words: str) -> Iterator[Problem]:
    least, most = rules.get("minItems", 0), rules.get("maxItems")
    if len(value) < least:
        yield Problem(PROPERTIES, path, f"{name} is empty. Give it {least} at least, or leave it out.")
    if most is not None and len(value) > most:
        yield Problem(PROPERTIES, path, f"{name} has {len(value)} entries; {most} are the most.")
    for number, each in enumerate(value):
        yield from _problems(rules["items"], each, (*path, number), f"{name}[{number}]", words)


def _scalar(
    rules: Mapping[str, Any], kinds: list[str], value: Any, path: Path, name: str, words: str
) -> Iterator[Problem]:
    wrong = _wrong_kind(kinds, value)
    if wrong:
        yield Problem(PROPERTIES, path, f"{name} is {_shown(value)}: {wrong}")
    elif "string" in kinds:
        yield from _string(rules, str(value), path, name, words)
    elif "integer" in kinds and not rules["minimum"] <= value <= rules["maximum"]:
        least, most = rules["minimum"], rules["maximum"]
        yield Problem(PROPERTIES, path, f"{name} is {value}: it must be a whole number from {least} to {most:,}.")


def _wrong_kind(kinds: list[str], value: Any) -> str | None:
    """What to write instead of a value of the wrong type; None if the type fits. A number fits as a string, too."""
    if "boolean" in kinds and not isinstance(value, bool):
        quoted = isinstance(value, str) and value.lower() in _BOOLEANS
        return f"write {value.lower()} without quotes." if quoted else "it must be true or false, without quotes."
    if "integer" in kinds and (isinstance(value, bool) or not isinstance(value, int)):
        quoted = isinstance(value, str) and value.isdigit()
        return f"write {value} without quotes." if quoted else "it must be a whole number, without quotes."
    if "string" in kinds and not isinstance(value, str | int | float | bool):
        return "it must be a string." if "object" not in kinds else "it must be an object, or the same as a string."
    if kinds in (["object"], ["array"]):
        return "it must be a list." if kinds == ["array"] else "it must be an object with properties of its own."
    return None


def _string(rules: Mapping[str, Any], value: str, path: Path, name: str, words: str) -> Iterator[Problem]:
    choices = rules.get("enum")
    if choices is not None:
        if value not in choices:
            told = f"{name} is {_shown(value)}: allowed is {', '.join(choices)}.{did_you_mean(value, choices)}"
            yield Problem(PROPERTIES, path, told)
        return
    least, most = rules.get("minLength", 0), rules.get("maxLength")
    fits = len(value) >= least and (most is None or len(value) <= most)
    if "pattern" in rules and not re.search(rules["pattern"], value):
        lower = value.lower()
        better = f" Did you mean {lower}?" if lower != value and re.search(rules["pattern"], lower) else ""
        yield Problem(PROPERTIES, path, f"{name} is {_shown(value)}, which is not allowed. {words}{better}")
    elif not fits:
        told = f"{name} has {len(value):,} characters: {least:,} to {most:,} are allowed." if most else "it is empty."
        yield Problem(PROPERTIES, path, told)


def _explanation(key: str, rules: Mapping[str, Any]) -> str:
    """What is allowed there: our words, or the first sentence of the schema's description."""
    return _EXPLAINED.get(key) or _SENTENCE.split(str(rules.get("description", "")))[0]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
