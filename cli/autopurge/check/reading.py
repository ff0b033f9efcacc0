"""Reads a template, YAML or JSON, with the line and the column of everything in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .problems import Path

_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"true", "yes", "on", "y"})
_NO_PREFIX = frozenset({"Ref", "Condition"})


@dataclass(frozen=True)
class Read:
    """A template with its functions written in full. ``positions`` are lines and columns, from 1, by paths."""

    document: Any
    positions: dict[Path, tuple[int, int]]

    def position(self, path: Path) -> tuple[int, int]:
        """Where the path leads to, or the nearest thing above it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (1, 1))


def read(text: str) -> Read:
    """Read a template. Raises ValueError, with the reason in words, for what is neither YAML nor JSON."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # as CloudFormation reads it: yes is true
    positions: dict[Path, tuple[int, int]] = {}
    try:
        node = yaml.compose(text)
    except YAMLError as error:
        return Read(_json(text, error), {})
    return Read(None if node is None else _value(node, (), positions), positions)


def _json(text: str, error: YAMLError) -> Any:
    """Read JSON that is not valid YAML, such as JSON that is indented with tabs. Raises ValueError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise ValueError(" ".join(str(error).split())) from error


def _value(node: Node, path: Path, positions: dict[Path, tuple[int, int]]) -> Any:
    positions.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    tag = str(node.tag)
    if tag.startswith("!"):
        return _function(node, tag[1:], path, positions)
    return _content(node, path, positions)


def _content(node: Node, path: Path, positions: dict[Path, tuple[int, int]]) -> Any:
    if isinstance(node, MappingNode):
        found = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                raise ValueError(f"line {key_node.start_mark.line + 1} has the key {key} a second time")
            positions[*path, key] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            found[key] = _value(value_node, (*path, key), positions)
        return found
    if isinstance(node, SequenceNode):
        return [_value(each, (*path, number), positions) for number, each in enumerate(node.value)]
    return _scalar(str(node.value), str(node.tag))


def _function(node: Node, name: str, path: Path, positions: dict[Path, tuple[int, int]]) -> Any:
    """``!Sub x`` is ``Fn::Sub: x``."""
    full = name if name in _NO_PREFIX else f"Fn::{name}"
    content = str(node.value) if isinstance(node, ScalarNode) else _content(node, (*path, full), positions)
    if name == "GetAtt" and isinstance(content, str):
        content = content.split(".", 1)
    return {full: content}


def _scalar(text: str, tag: str) -> Any:
    kind = tag.removeprefix(_TAG)
    if kind == "bool":
        return text.lower() in _TRUE
    if kind == "null":
        return None
    try:
        if kind == "int":
            digits = text.replace("_", "")
            return int(digits, 8) if digits.lstrip("+-").startswith("0") and digits.isdigit() else int(digits, 0)
        if kind == "float":
            return float(text.replace("_", ""))
    except ValueError:
        return text
    return text
