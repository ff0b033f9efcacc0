"""Two records of the steps, of a sandbox and of AWS, and where they end otherwise. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Steps = Mapping[str, Mapping[str, Any]]
_MISSING = "nothing"


def differences(sandbox: Steps, aws: Steps) -> list[str]:
    """A sentence for each thing that ended otherwise. A report is compared only where both have one."""
    return [line for step in dict.fromkeys([*sandbox, *aws]) for line in _step(step, sandbox.get(step), aws.get(step))]


def _step(step: str, sandbox: Mapping[str, Any] | None, aws: Mapping[str, Any] | None) -> Iterator[str]:
    if sandbox is None or aws is None:
        yield f"{step}: only {'AWS' if sandbox is None else 'the sandbox'} came to this step."
        return
    left, right = dict(_flat("", sandbox)), dict(_flat("", aws))
    for key in dict.fromkeys([*left, *right]):
        if key.startswith("report") and (sandbox.get("report") is None or aws.get("report") is None):
            continue
        if left.get(key, _MISSING) != right.get(key, _MISSING):
            yield f"{step}, {key}: the sandbox has {left.get(key, _MISSING)}, AWS {right.get(key, _MISSING)}."


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each leaf with its path; a list is a leaf, and a mapping without anything in it has none."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}" if path else key, each)
    else:
        yield path, json.dumps(value)
