"""The tests themselves: each one asserts something, no helper is defined twice, no two files have one name."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.project_copy import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
COLLECTED = [path for path in FILES if path.name.startswith("test_")] + [TESTS / "sandbox" / "ministack_names.py"]
SHORTEST_CONSTANT = 30  # characters of source; shorter ones, such as a name for dict[str, Any], may be there again


@cache
def trees() -> dict[Path, ast.Module]:
    """Each file, parsed when a test asks for it: all processes of a run import this module."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def called(tree: ast.AST) -> Iterator[str]:
    """The names of what is called, without what they belong to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def asserts(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or "raises" in called(tree)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def asserting() -> set[str]:
    """The names of functions that assert. Two helpers call others that do: so the names are found in two rounds."""
    found = {each.name for tree in trees().values() for each in functions(tree) if asserts(each)}
    helpers = [tree for path, tree in trees().items() if path not in COLLECTED]
    return found | {each.name for tree in helpers for each in functions(tree) if found.intersection(called(each))}


def test_every_test_asserts_something() -> None:
    known = asserting()
    silent = [
        f"{path.relative_to(ROOT)}: {each.name}"
        for path in COLLECTED
        for each in functions(trees()[path])
        if each.name.startswith("test_") and not asserts(each) and not known.intersection(called(each))
    ]
    assert silent == []


def definitions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Helpers and constants of a module: the name, and the source without comments and layout."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("test_"):
            yield node.name, ast.unparse(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = ast.unparse(node.value)
            if len(value) >= SHORTEST_CONSTANT and node.targets[0].id not in ("__all__", "pytestmark"):
                yield node.targets[0].id, value


def test_no_helper_is_defined_twice() -> None:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, tree in trees().items():
        for definition in definitions(tree):
            places[definition].append(str(path.relative_to(ROOT)))
    assert {name: found for (name, _), found in places.items() if len(found) > 1} == {}


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest could not collect both: the folders are no packages."""
    names = Counter(path.name for path in COLLECTED)
    assert [name for name, count in names.items() if count > 1] == []


def test_what_is_not_a_test_is_where_its_name_says_so() -> None:
    """Helpers of several folders are in tests/support; it has no tests."""
    assert [path.name for path in (TESTS / "support").rglob("test_*.py")] == []
    for folder in (path for path in TESTS.iterdir() if path.is_dir() and path.name != "support"):
        others = {path for path in TESTS.rglob("*.py") if folder not in path.parents}
        imported = {
            (node.module or "")
            for path in others
            for node in ast.walk(trees()[Path(path)])
            if isinstance(node, ast.ImportFrom)
        }
        assert not [each for each in imported if each.startswith(f"tests.{folder.name}.")]
