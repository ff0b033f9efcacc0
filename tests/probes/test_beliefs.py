"""What we believe of AWS is written down, has a probe or a reason for none, and covers what the strict ECR enforces."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.session import Session

from probes import page
from probes.acceptance import steps
from probes.belief import Belief, Verdict, differences, judge
from probes.beliefs import BELIEFS, SECTIONS, THEMES, chosen, probe_of
from probes.costs import MOST, costs
from probes.records import all_recorded, contradictions
from probes.registry import PROBES, REPLICATION
from tests.support.project_copy import ROOT

FAILURE_CODES = set(
    Session().get_service_model("ecr").shape_for("ImageFailureCode").enum  # type: ignore[attr-defined]
)
EQUIPMENT = {
    "builder",
    "client",
    "clock",
    "errors",
    "faults",
    "http",
    "image",
    "service",
    "strict",
    "traces",
}
MODULES = sorted(path for path in (ROOT / "sandbox" / "ecr").glob("*.py") if path.stem not in EQUIPMENT)


def test_every_belief_has_a_sentence_a_source_and_an_own_name() -> None:
    names = [belief.name for theme in THEMES.values() for belief in theme]
    assert len(set(names)) == len(names) == len(BELIEFS)
    assert {name for name in names if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name)} == set()
    assert [each.name for each in BELIEFS.values() if not each.sources or not each.sentence.endswith(".")] == []
    assert sorted(title for titles in SECTIONS.values() for title in titles) == sorted(THEMES)


@pytest.mark.parametrize("belief", BELIEFS.values(), ids=lambda belief: belief.name)
def test_a_belief_is_asked_by_one_probe_or_says_why_not(belief: Belief) -> None:
    asking = [each.name for each in PROBES.values() if belief.name in each.beliefs]
    assert len(asking) == (0 if belief.unasked else 1)
    assert (belief.answer is None) == bool(belief.unasked)
    assert belief.others.keys() <= (belief.answer or {}).keys()
    assert bool(belief.others) == bool(belief.switch)


def test_probes_ask_about_beliefs_only() -> None:
    assert {name for each in PROBES.values() for name in each.beliefs} <= BELIEFS.keys()


def test_files_that_rely_on_a_belief_exist() -> None:
    named = {path for each in BELIEFS.values() for path in each.needed_by}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_page_is_what_the_beliefs_give() -> None:
    """`make beliefs` writes it."""
    text = page.GUIDE.read_text(encoding="utf-8")
    assert page.with_block(text, page.render(all_recorded())) == text


def test_no_recorded_answer_of_aws_contradicts_the_sandbox() -> None:
    assert contradictions(all_recorded()) == []


# What the strict ECR enforces


def constants(node: ast.AST) -> Iterator[str]:
    yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))


def codes(node: ast.AST) -> Iterator[str]:
    """The error codes that a function raises or answers, and the failure codes of images."""
    for each in ast.walk(node):
        if not isinstance(each, ast.Call):
            continue
        name = getattr(each.func, "id", "")
        if name == "invalid":
            yield "InvalidParameterException"
        elif name in ("EcrError", "_error") and each.args:
            yield from constants(each.args[0])
    yield from (each for each in constants(node) if each in FAILURE_CODES or re.fullmatch("[A-Z]+(_[A-Z]+)+", each))


def enforced() -> set[str]:
    """Each rule of the strict ECR: a function or table, and a code."""
    found = set()
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            parts = node.body if isinstance(node, ast.ClassDef) else [node]
            for part in parts:
                if isinstance(part, ast.FunctionDef):
                    found |= {f"{path.stem}.{part.name} {code}" for code in codes(part)}
                elif isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "_CODES":
                    found |= {f"{path.stem}._CODES {code}" for code in constants(part) if code.isupper()}
    return found


def test_every_rule_that_the_strict_ecr_enforces_has_a_belief() -> None:
    known = {rule for each in BELIEFS.values() for rule in each.enforced_in if not rule.startswith("iam.")}
    not_rules = {  # values that look like codes
        rule for rule in enforced() if rule.endswith(("_WITH_EXCLUSION", " PREFIX_MATCH"))
    }
    missing = enforced() - known - not_rules
    assert missing == set(), "add them to enforced_in of a belief in probes/themes/, with a question in its probe"
    assert known - enforced() == set(), "the strict ECR has no such rule any more"


def test_rules_are_found() -> None:
    assert "images.batch_delete_image InvalidParameterException" in enforced()
    assert "images._delete_one ImageReferencedByManifestList" in enforced()


# What an answer says


BELIEF = Belief("b", "It is so.", ("doc",), (), {"one": 1, "two": "a"}, {"two": ("b",)}, "a switch")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"one": 1, "two": "a"}, Verdict.HELD),
        ({"one": 1, "two": "b"}, Verdict.OTHER),
        ({"one": 1, "two": "c"}, Verdict.CONTRADICTED),
        ({"one": 2, "two": "b"}, Verdict.CONTRADICTED),
        ({"one": 1}, Verdict.CONTRADICTED),
        ({"one": 1, "two": "a", "three": 3}, Verdict.CONTRADICTED),
        ({"one": True, "two": "a"}, Verdict.CONTRADICTED),
    ],
)
def test_verdict_of_an_answer(answer: dict[str, object], verdict: Verdict) -> None:
    assert judge(BELIEF, answer) is verdict


def test_differences_name_the_switch_only_where_there_is_one() -> None:
    found = differences(BELIEF, {"one": 2, "two": "b"})
    assert [(each.question, each.sandbox, each.aws, each.switch) for each in found] == [
        ("one", 1, 2, ""),
        ("two", "a", "b", "a switch"),
    ]


# What a run costs


def test_everything_together_costs_less_than_it_may() -> None:
    everything = costs(list(PROBES.values()), more_operations=steps.OPERATIONS)
    assert 0 < everything.dollars < MOST
    assert f"{costs(chosen()).dollars:.2f} USD" in page.GUIDE.read_text(encoding="utf-8")
    assert everything.beliefs == sum(belief.answer is not None for belief in BELIEFS.values())


def test_probes_are_chosen_by_their_names_and_by_beliefs() -> None:
    assert [each.name for each in chosen("pages-of-images")] == ["pages-of-images"]
    assert [each.name for each in chosen("tag-status, drift")] == ["rows-of-listings", "drift"]
    with pytest.raises(KeyError, match="nothing"):
        chosen("nothing")


def test_settings_of_the_registry_are_changed_only_where_that_is_asked_for() -> None:
    asked = {each.name for each in chosen()}
    with_flag = {each.name for each in chosen(flags=frozenset({REPLICATION}))}
    assert with_flag - asked == {"delete-replication"}
    assert probe_of("deletes-are-replicated") is PROBES["delete-replication"]


def calls_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_no_other_probe_can_change_settings_of_a_registry_or_an_account() -> None:
    """The type configuration is of the run's own type."""
    settings = {"put_replication_configuration", "put_registry_policy", "put_registry_scanning_configuration"}
    settings |= {"put_account_setting", "create_pull_through_cache_rule", "register_pull_time_update_exclusion"}
    changing = {path.name for path in (ROOT / "probes").rglob("*.py") if calls_in(path) & settings}
    assert changing == {"replication.py", "removal.py"}
