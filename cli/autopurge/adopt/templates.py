"""Templates of CloudFormation, and edits that keep everything else as its author wrote it. Pure.

A YAML template is edited in its text, at the positions that the parser gives, so comments, order and quotes survive.
A JSON template has no comments; boto3 returns it parsed, so it is edited as a document and keeps its order.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Model = Any  # JSON: dictionaries, lists, and scalars
Path = tuple[str, ...]
Attribute = tuple[str, str]  # a logical id and an attribute; Ref is the attribute ""
Edit = tuple[int, int, str]  # replace the text from here to there

_GET_ATT, _SUB = "Fn::GetAtt", "Fn::Sub"
_PLAIN = re.compile("[A-Za-z][A-Za-z0-9:]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_VARIABLE = re.compile(r"\$\{\s*([A-Za-z0-9]+)(?:\.([A-Za-z0-9.]+))?\s*\}")
_CHARACTERS = 51_200  # of a template in a request: CreateChangeSet's TemplateBody


class TemplateError(Exception):
    """A template can't be read or edited; the message says why."""


@dataclass(frozen=True)
class Change:
    """How an edited template differs from the one before. Each path of `put` and `removed` exists, or its parent does.

    References to `inlined` attributes are replaced by their values. `undepended` resources leave every DependsOn.
    """

    put: Mapping[Path, Model] = field(default_factory=dict)
    removed: frozenset[Path] = frozenset()
    inlined: Mapping[Attribute, str] = field(default_factory=dict)
    undepended: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Template:
    """One template, as a string. `model` has the long forms of all functions."""

    text: str

    @functools.cached_property
    def model(self) -> dict[str, Any]:
        """Raises TemplateError."""
        found = json.loads(self.text) if self.is_json else _to_model(self.root)
        if not isinstance(found, dict) or not isinstance(found.get("Resources"), dict):
            raise TemplateError("It has no Resources.")
        return found if not self.is_json else _normalised(found)

    @functools.cached_property
    def is_json(self) -> bool:
        if not self.text.lstrip().startswith("{"):
            return False
        try:
            json.loads(self.text)
        except ValueError:
            return False
        return True

    @functools.cached_property
    def root(self) -> Any:
        """The nodes of a YAML template. Raises TemplateError."""
        try:
            root = YAML(typ="safe", pure=True).compose(self.text)
        except YAMLError as error:
            raise TemplateError(f"It is not valid YAML: {error}") from error
        if root is None:
            raise TemplateError("It is empty.")
        _refuse_aliases(root)
        return root

    @property
    def resources(self) -> dict[str, Any]:
        found: dict[str, Any] = self.model["Resources"]
        return found

    def references(self) -> Iterator[tuple[Path, Attribute]]:
        """Each reference: its path, and the attribute of a resource, or the parameter, that it refers to."""
        yield from _references(self.model, ())

    def same_as(self, other: Template) -> bool:
        """Whether both mean the same; the layout does not count."""
        return bool(self.model == other.model)

    def edited(self, change: Change) -> Template:
        """The template after a change. Raises TemplateError where its text can't be edited."""
        wanted = changed_model(self.model, change)
        if self.is_json:
            return Template(render(wanted))
        after = Template(_apply(self.text, _text_edits(self, change)))
        if _as_text(after.model) != _as_text(wanted):
            raise TemplateError(
                "Its text can't be edited without touching something else. Write it in a plainer style."
            )
        return after


def from_answer(body: Any) -> Template:
    """What GetTemplate answered: boto3 parses JSON, and returns YAML as a string."""
    return Template(body) if isinstance(body, str) else Template(render(body))


def render(model: Model) -> str:
    """JSON, with its order, indented where that fits into a request."""
    text = json.dumps(model, indent=2)
    return text if len(text.encode()) <= _CHARACTERS else json.dumps(model, separators=(",", ":"))


# --- the model


def changed_model(model: Model, change: Change) -> Model:
    """The model after a change."""
    changed = _inlined(model, change, ())
    for logical_id, resource in changed["Resources"].items():
        if isinstance(resource, dict) and "DependsOn" in resource:
            _undepend(resource, logical_id, change.undepended)
    for path, value in change.put.items():
        parent = functools.reduce(lambda each, key: each[key], path[:-1], changed)
        parent[path[-1]] = _copy(value)
    return changed


def _inlined(value: Model, change: Change, path: Path) -> Model:
    """A copy without the removed entries, in which attributes are replaced by their values."""
    if isinstance(value, list):
        return [_inlined(each, change, (*path, str(place))) for place, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    found = _attribute(value)
    if found and found in change.inlined:
        return change.inlined[found]
    if set(value) == {_SUB}:
        return {_SUB: _inlined_sub(value[_SUB], change, path)}
    kept = {key: each for key, each in value.items() if (*path, key) not in change.removed}
    return {key: _inlined(each, change, (*path, key)) for key, each in kept.items()}


def _inlined_sub(value: Model, change: Change, path: Path) -> Model:
    if isinstance(value, str):
        return substitute(value, change.inlined, frozenset())
    if isinstance(value, list) and value and isinstance(value[0], str):
        variables = _inlined(value[1:], change, path)
        own = frozenset(value[1]) if isinstance(value[1], dict) else frozenset[str]()
        return [substitute(value[0], change.inlined, own), *variables]
    return value


def substitute(text: str, values: Mapping[Attribute, str], shadowed: frozenset[str]) -> str:
    """The string of an Fn::Sub with attributes replaced by their values, except its own variables (`shadowed`)."""

    def value(match: re.Match[str]) -> str:
        attribute = match[1], match[2] or ""
        return match[0] if not match[2] and match[1] in shadowed else values.get(attribute, match[0])

    return _VARIABLE.sub(value, text)


def _undepend(resource: dict[str, Any], _logical_id: str, gone: frozenset[str]) -> None:
    listed = resource["DependsOn"]
    kept = [each for each in (listed if isinstance(listed, list) else [listed]) if each not in gone]
    if not kept:
        del resource["DependsOn"]
    elif isinstance(listed, list):
        resource["DependsOn"] = kept


def _attribute(value: Model) -> Attribute | None:
    """What a Ref or an Fn::GetAtt refers to; None for everything else."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    [(key, argument)] = value.items()
    if key == "Ref" and isinstance(argument, str):
        return argument, ""
    if key == _GET_ATT and isinstance(argument, list) and all(isinstance(each, str) for each in argument):
        return argument[0], ".".join(argument[1:])
    return None


def _references(value: Model, path: Path) -> Iterator[tuple[Path, Attribute]]:
    found = _attribute(value)
    if found:
        yield path, found
    elif isinstance(value, dict):
        for key, each in value.items():
            if key == _SUB and len(value) == 1:
                yield from _references_of_sub(each, (*path, key))
            elif key == "DependsOn" and len(path) == 2:
                yield from ((path, (target, "DependsOn")) for target in (each if isinstance(each, list) else [each]))
            else:
                yield from _references(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _references(each, (*path, str(place)))


def _references_of_sub(value: Model, path: Path) -> Iterator[tuple[Path, Attribute]]:
    text, own = (value, {}) if isinstance(value, str) else (value[0], value[1] if len(value) > 1 else {})
    for match in _VARIABLE.finditer(text):
        if match[2] or match[1] not in own:
            yield path, (match[1], match[2] or "")
    yield from _references(own, path)


def _normalised(value: Model) -> Model:
    """Fn::GetAtt as a list, whatever way it was written."""
    if isinstance(value, dict):
        if set(value) == {_GET_ATT} and isinstance(value[_GET_ATT], str):
            return {_GET_ATT: value[_GET_ATT].split(".", 1)}
        return {key: _normalised(each) for key, each in value.items()}
    return [_normalised(each) for each in value] if isinstance(value, list) else value


def _copy(value: Model) -> Model:
    return json.loads(json.dumps(value))


def _as_text(value: Model) -> Model:
    """Scalars as YAML writes them, for comparisons."""
    if isinstance(value, dict):
        return {key: _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return json.dumps(value) if isinstance(value, bool) else str(value)


# --- YAML


def _refuse_aliases(root: Node) -> None:
    seen: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) in seen:
            raise TemplateError("It uses YAML aliases (*name), whose copies can't be edited one by one.")
        seen.add(id(node))
        for child in _children(node):
            visit(child)

    visit(root)


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _short_tag(node: Node) -> str | None:
    tag = str(node.tag)
    return tag[1:] if tag.startswith("!") and len(tag) > 1 else None


def _to_model(node: Node) -> Model:
    """Scalars stay strings, except that nothing is None."""
    tag = _short_tag(node)
    if isinstance(node, MappingNode):
        value: Model = {}
        for key, each in node.value:
            if key.value in value:
                raise TemplateError(f"{key.value} is there twice.")
            value[key.value] = _to_model(each)
    elif isinstance(node, SequenceNode):
        value = [_to_model(each) for each in node.value]
    else:
        value = None if str(node.tag) == "tag:yaml.org,2002:null" else node.value
    if tag is None:
        return _normalised(value) if isinstance(node, MappingNode) else value
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    return _normalised({name: value})


def _text_edits(template: Template, change: Change) -> list[Edit]:
    editor = _Editor(template.text, change)
    editor.visit(template.root, ())
    return editor.edits


def _apply(text: str, edits: list[Edit]) -> str:
    for start, end, new in sorted(edits, key=lambda each: (each[0], each[1]), reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _Editor:
    """Collects the edits of a template for one change, in one walk."""

    def __init__(self, text: str, change: Change) -> None:
        self._text = text
        self._change = change
        self.edits: list[Edit] = []
        self._put: dict[Path, dict[str, Model]] = {}
        for path, value in change.put.items():
            self._put.setdefault(path[:-1], {})[path[-1]] = value

    def visit(self, node: Node, path: Path) -> None:
        model = _to_model(node) if _short_tag(node) or _is_function(node) else None
        found = _attribute(model)
        if found and found in self._change.inlined:
            self.edits.append((node.start_mark.index, self._end(node), json.dumps(self._change.inlined[found])))
        elif isinstance(model, dict) and set(model) == {_SUB}:
            self._visit_sub(node if _short_tag(node) else node.value[0][1], path)
        elif isinstance(node, MappingNode):
            self._visit_mapping(node, path)
        elif isinstance(node, SequenceNode):
            for place, each in enumerate(node.value):
                self.visit(each, (*path, str(place)))

    def _visit_sub(self, node: Node, path: Path) -> None:
        text = node.value[0] if isinstance(node, SequenceNode) else node
        own: frozenset[str] = frozenset()
        if isinstance(node, SequenceNode) and len(node.value) > 1:
            own = frozenset(key.value for key, _ in node.value[1].value)
            self.visit(node.value[1], path)
        start, end = text.start_mark.index, self._end(text)
        before = self._text[start:end]
        after = substitute(before, self._change.inlined, own)
        if after != before:
            self.edits.append((start, end, after))

    def _visit_mapping(self, node: MappingNode, path: Path) -> None:
        put = dict(self._put.get(path, {}))
        gone = []
        for pair in node.value:
            key, value = pair
            inner = (*path, key.value)
            if key.value in put:
                self._replace(key, value, put.pop(key.value))
            elif inner in self._change.removed:
                gone.append(pair)
            elif key.value == "DependsOn" and path[:1] == ("Resources",) and len(path) == 2:
                if self._undepend(value):
                    gone.append(pair)
            else:
                self.visit(value, inner)
        for pair in gone:
            self._remove(node, pair[0], pair[1])
        if put:
            self._insert(node, put)

    def _undepend(self, value: Node) -> bool:
        """Remove resources from a DependsOn. If none would be left, remove nothing and return True."""
        items = value.value if isinstance(value, SequenceNode) else [value]
        gone = [each for each in items if each.value in self._change.undepended]
        if len(gone) == len(items):
            return True
        for each in gone:
            self._remove(value, each, each)
        return False

    def _replace(self, key: Node, value: Node, new: Model) -> None:
        start, end = value.start_mark.index, self._end_of_entry(key, value)
        if isinstance(new, dict) or end <= start:
            raise TemplateError(f"{key.value} has another form than expected.")
        self.edits.append((start, end, _scalar(new)))

    def _remove(self, parent: Any, key: Node, value: Node) -> None:
        start = key.start_mark.index
        end = self._end(value) if key is value else self._end_of_entry(key, value)
        if not parent.flow_style:
            self.edits.append((self._line_start(start), self._line_end(end), ""))
            return
        comma = re.compile(r"\s*,\s*").match(self._text, end)
        if comma:
            end = comma.end()
        else:
            start = len(self._text[:start].rstrip().removesuffix(","))
        self.edits.append((start, end, ""))

    def _insert(self, node: MappingNode, entries: dict[str, Model]) -> None:
        if node.flow_style:
            first = node.value[0][0].start_mark.index if node.value else node.start_mark.index + 1
            flow = ", ".join(f"{json.dumps(key)}: {_flow(value)}" for key, value in entries.items())
            self.edits.append((first, first, flow + (", " if node.value else "")))
            return
        anchors = [value for key, value in node.value if key.value == "Type"]
        column = node.value[0][0].start_mark.column
        place = (
            self._line_end(self._end(anchors[0])) if anchors else self._line_start(node.value[0][0].start_mark.index)
        )
        lines = "".join(_block(key, value, column) for key, value in entries.items())
        missing = "\n" if place and self._text[place - 1] != "\n" else ""
        self.edits.append((place, place, missing + lines))

    def _end(self, node: Any) -> int:
        if isinstance(node, ScalarNode):
            start = node.start_mark.index
            return int(start) + len(self._text[start : node.end_mark.index].rstrip())
        if node.flow_style or not node.value:
            return int(node.end_mark.index)
        if isinstance(node, MappingNode):
            return self._end_of_entry(*node.value[-1])
        return self._end(node.value[-1])

    def _end_of_entry(self, key: Node, value: Node) -> int:
        """Where an entry ends. The parser places an empty value at the next entry, so there it is after the colon."""
        empty = value.start_mark.index == value.end_mark.index
        return int(key.end_mark.index) + 1 if empty else self._end(value)

    def _line_start(self, place: int) -> int:
        return self._text.rfind("\n", 0, place) + 1

    def _line_end(self, place: int) -> int:
        """Where the next line begins."""
        found = self._text.find("\n", place)
        return len(self._text) if found < 0 else found + 1


def _is_function(node: Node) -> bool:
    return isinstance(node, MappingNode) and len(node.value) == 1 and node.value[0][0].value in ("Ref", _GET_ATT, _SUB)


def _scalar(value: Model) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value if not value.endswith(":") else json.dumps(value)
    return json.dumps(value)


def _flow(value: Model) -> str:
    return json.dumps(value)


def _block(key: str, value: Model, column: int) -> str:
    """An entry of a block mapping, as lines."""
    margin = " " * column
    if isinstance(value, dict):
        inner = "".join(_block(name, each, column + 2) for name, each in value.items())
        return f"{margin}{key}:\n{inner}"
    return f"{margin}{key}: {_scalar(value)}\n"
