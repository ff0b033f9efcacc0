"""The structure of the source: which part may import which, and who may change which piece of a delete's state."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from awstut_ecr_autopurgerepository.deletion import state
from tests.support.project_copy import ROOT

SOURCE = ROOT / "src" / "awstut_ecr_autopurgerepository"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "models.py")
RULES = sorted((SOURCE / "rules").glob("*.py"))
SECTIONS = {
    cls.__name__: cls
    for cls in vars(state).values()
    if isinstance(cls, type) and is_dataclass(cls) and cls.__module__ == state.__name__
}
# Which module asks the section to change, by its class.
OWNERS = {
    "Identity": {"look"},
    "Counts": {"purge", "inventory"},
    "CurrentPass": {"purge", "inventory", "state"},
    "Stalls": {"purge", "call"},
    "Pace": {"call"},
    "FreezeState": {"freeze"},
    "ReportState": {"report"},
    "UseState": {"use", "state"},
    "PendingFailure": {"state"},
    "State": {"__init__", "call"},
}


def test_imports_point_one_way_and_in_no_circle() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'cli'}"}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imports(path: Path) -> Iterator[str]:
    """The modules that are imported when a module is, with dots for those of its own package."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_ministack_is_imported_by_the_module_of_its_private_names_only() -> None:
    importing = [
        str(path.relative_to(ROOT))
        for folder in ("benchmarks", "cli", "demo", "sandbox", "scripts", "src", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(name.split(".")[0] == "ministack" for name in imports(path))
    ]
    assert importing == ["sandbox/gateway/ministack.py", "tests/sandbox/ministack_names.py"]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_import_the_standard_library_and_rules_only(path: Path) -> None:
    foreign = [
        name
        for name in imports(path)
        if name.startswith("..") or (name[0] != "." and name.split(".")[0] not in sys.stdlib_module_names)
    ]
    assert foreign == []


def test_no_two_functions_of_the_product_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                places[node.name].append(str(path.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("folder", [path for path in SOURCE.rglob("*") if (path / "__init__.py").exists()])
def test_a_package_has_three_modules_at_least(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) >= 3


def sentences(path: Path) -> Iterator[str]:
    """Strings of four words or more; without docstrings, and without ValueErrors, which the decoder catches."""
    unread: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if node in unread:
            unread.update(ast.iter_child_nodes(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unread.add(node.value)
        elif isinstance(node, ast.Raise) and ast.unparse(node).startswith("raise ValueError("):
            unread.update(ast.iter_child_nodes(node))
        elif isinstance(node, ast.JoinedStr | ast.Constant):
            words = ast.unparse(node) if isinstance(node, ast.JoinedStr) else str(node.value)
            unread.update(ast.iter_child_nodes(node))
            if len(words.split()) >= 4:
                yield words


@pytest.mark.parametrize("path", sorted((SOURCE / "deletion").rglob("*.py")), ids=lambda path: path.stem)
def test_what_a_user_of_the_delete_reads_is_composed_in_messages(path: Path) -> None:
    assert bool(list(sentences(path))) == (path.stem == "messages")


def assigned(path: Path) -> Iterator[tuple[str, str]]:
    """Each `….owner.attribute = …` of a module: what is assigned to, and the attribute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if hasattr(node, "target") else []
        for target in targets:
            elements = target.elts if isinstance(target, ast.Tuple) else [target]
            for each in elements:
                if isinstance(each, ast.Attribute):
                    yield ast.unparse(each.value), each.attr


def test_a_section_of_the_state_is_changed_by_its_own_class_only() -> None:
    names = {each.name for cls in SECTIONS.values() for each in fields(cls)}
    paths = {"state", "identity", "counts", "current_pass", "stalls", "pace", "freeze", "report", "use", "failure"}
    foreign = [
        f"{path.name}: {owner}.{attribute}"
        for path in (SOURCE / "deletion").rglob("*.py")
        if path.name != "state.py"
        for owner, attribute in assigned(path)
        if attribute in names and owner.rpartition(".")[2] in paths
    ]
    assert foreign == []


def methods(cls: type) -> set[str]:
    """The methods of a section that change it."""
    tree = next(
        node
        for node in ast.walk(ast.parse((SOURCE / "deletion" / "state.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    )
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef) and not each.decorator_list}


def module_name(path: Path) -> str:
    return path.parent.name if path.parent.name in ("report", "use") else path.stem


@pytest.mark.parametrize("section", sorted(OWNERS))
def test_a_section_of_the_state_has_one_owner(section: str) -> None:
    """Its methods are called from the modules that own it, by the names under which these keep it."""
    kept_as = {
        "Identity": ["identity"],
        "Counts": ["counts"],
        "CurrentPass": ["current_pass"],
        "Stalls": ["stalls"],
        "Pace": ["pace"],
        "FreezeState": ["state.freeze"],
        "ReportState": ["state.report"],
        "UseState": ["state.use", "self.use"],
        "PendingFailure": ["failure"],
        "State": ["call.state"],
    }[section]
    changing = methods(SECTIONS[section]) - {"to_context"}
    for path in (SOURCE / "deletion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            receiver = ast.unparse(node.func.value)
            if node.func.attr in changing and any(receiver.endswith(each) for each in kept_as):
                assert module_name(path) in OWNERS[section], f"{path.name} calls {receiver}.{node.func.attr}"


def test_every_section_has_an_owner() -> None:
    assert SECTIONS.keys() == OWNERS.keys()
