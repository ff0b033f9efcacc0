"""Probes find and name each way in which an ECR differs from the one that is written down."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from probes.belief import Verdict, differences, judge
from probes.beliefs import BELIEFS
from probes.clock import AT_ONCE, NEVER, Seen, how_late, look_until
from probes.made import Ledger
from probes.removal import remove_all, repositories_left
from probes.run import Findings, ask
from sandbox.ecr import StrictEcr, VirtualClock, images, paging, repositories
from tests.support.probes import OF_ECR_ONLY, answers_of, place_in


@pytest.fixture
def ecr() -> StrictEcr:
    return StrictEcr(clock=VirtualClock())


def test_the_strict_ecr_answers_what_is_written_down(ecr: StrictEcr) -> None:
    findings = ask(place_in(ecr), OF_ECR_ONLY)
    assert [each for each in findings.outcomes if each.verdict is not Verdict.HELD] == []
    assert len(findings.outcomes) > 45
    assert findings.left == []
    assert ecr.names() == []


# Sandboxes that differ: what is done to them, the belief, the question, and what is answered then


def set_lateness(**delays: float) -> Callable[[StrictEcr, pytest.MonkeyPatch], None]:
    def change(ecr: StrictEcr, _patch: pytest.MonkeyPatch) -> None:
        for name, seconds in delays.items():
            setattr(ecr.lateness, name, seconds)

    return change


def set_fault(**attributes: Any) -> Callable[[StrictEcr, pytest.MonkeyPatch], None]:
    def change(ecr: StrictEcr, _patch: pytest.MonkeyPatch) -> None:
        for name, value in attributes.items():
            setattr(ecr.faults, name, value)

    return change


def patched(module: Any, name: str, value: Any) -> Callable[[StrictEcr, pytest.MonkeyPatch], None]:
    return lambda _ecr, patch: patch.setattr(module, name, value)


Change = Callable[[StrictEcr, pytest.MonkeyPatch], None]
# Within the switches of the sandbox: the code is tested with these answers.
OTHER: list[tuple[Change, str, str, Any]] = [
    (set_lateness(new_repository=5), "new-repository-is-late", "DescribeRepositories finds it by", "10 s"),
    (set_lateness(new_tags=30), "new-tags-are-late", "ListTagsForResource has them by", "60 s"),
    (set_lateness(changed_tags=8), "changed-tags-are-late", "a new tag is seen by", "10 s"),
    (set_lateness(changed_policy=90), "changed-policy-is-late", "a new policy is seen by", "180 s"),
    (set_lateness(enforced_policy=4), "deny-on-pushes", "PutImage is refused by", "10 s"),
    (set_lateness(deleted_index=20), "deleted-index-is-late", "a child can be deleted by", "60 s"),
    (set_lateness(deleted_images=20), "deleted-images-are-late", "no image is listed by", "60 s"),
    (set_lateness(emptied_repository=9), "deleted-images-are-late", "the repository can be deleted by", "10 s"),
    (
        set_lateness(deleted_repository=5),
        "deleted-repository-is-late",
        "DescribeRepositories says it is gone by",
        "10 s",
    ),
    (set_lateness(deleted_name=5), "name-is-free-again", "CreateRepository takes the name by", "10 s"),
    (set_fault(policy_form="long"), "form-of-policies", "a list of one action", "a list"),
    (set_fault(policy_form="as given"), "form-of-policies", "two principals", "as given"),
    (set_fault(refuse_any_status=True), "any-status", "DescribeImages with ANY", "InvalidParameterException"),
]
# Beyond them: the belief is contradicted.
CONTRADICTING: list[tuple[Change, str, str, Any]] = [
    (patched(paging, "DEFAULT_PAGE", 50), "pages-of-images", "default page of DescribeImages", 50),
    (patched(paging, "LARGEST_PAGE", 100), "pages-of-images", "1,000 a page", "InvalidParameterException"),
    (patched(images, "LARGEST_BATCH", 1_000), "batches-of-deletes", "101 ids", "accepted"),
    (patched(repositories, "MOST_TAGS", 60), "tags-of-a-repository", "51 tags", "accepted"),
]


@pytest.mark.parametrize(("change", "belief", "question", "answer"), OTHER, ids=lambda each: str(each)[:40])
def test_an_answer_of_a_switch_is_found_and_the_switch_named(
    ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch, change: Change, belief: str, question: str, answer: Any
) -> None:
    change(ecr, monkeypatch)
    found = answers_of(ecr, belief)[belief]
    assert judge(BELIEFS[belief], found) is Verdict.OTHER
    [difference] = [each for each in differences(BELIEFS[belief], found) if each.question == question]
    assert (difference.aws, difference.switch) == (answer, BELIEFS[belief].switch)


@pytest.mark.parametrize(("change", "belief", "question", "answer"), CONTRADICTING, ids=lambda each: str(each)[:40])
def test_an_answer_that_no_switch_gives_contradicts(
    ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch, change: Change, belief: str, question: str, answer: Any
) -> None:
    change(ecr, monkeypatch)
    found = answers_of(ecr, belief)[belief]
    assert judge(BELIEFS[belief], found) is Verdict.CONTRADICTED
    told = {each.question: (each.aws, each.switch) for each in differences(BELIEFS[belief], found)}
    assert told[question] == (answer, "")


def test_an_ecr_that_deletes_children_of_a_live_index_is_found(ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecr.lateness, "is_referenced", lambda *_: False)
    found = answers_of(ecr, "children-of-an-index")["children-of-an-index"]
    told = {each.question: each.aws for each in differences(BELIEFS["children-of-an-index"], found)}
    assert told["children before their index"] == ["deleted", "deleted"]


def test_what_is_never_seen_contradicts(ecr: StrictEcr) -> None:
    ecr.lateness.changed_tags = 10_000
    found = answers_of(ecr, "changed-tags-are-late")["changed-tags-are-late"]
    assert found["a new tag is seen by"] == NEVER
    assert judge(BELIEFS["changed-tags-are-late"], found) is Verdict.CONTRADICTED


# Lateness in words


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ([Seen(1, 9.0), Seen(1, 0.1)], AT_ONCE),
        ([Seen(1, 0.1), Seen(2, 9.9)], "10 s"),
        ([Seen(9, 10.1)], "60 s"),
        ([Seen(9, 61)], "180 s"),
        ([Seen(9, 181)], NEVER),
        ([Seen(1, 0.1), Seen(0, 5)], NEVER),
    ],
)
def test_lateness_does_not_depend_on_the_speed_of_the_machine(seen: list[Seen], words: str) -> None:
    assert how_late(seen) == words


def test_looks_end_after_the_patience() -> None:
    clock = VirtualClock()
    seen = look_until(clock, lambda: False, 60)
    assert seen.looks == 0
    assert 60 <= seen.seconds < 66


# Whatever happens, nothing is left


SEED = random.randrange(2**32)
KILLS = 12


def test_an_interrupted_run_leaves_nothing(ecr: StrictEcr) -> None:
    """Ctrl-C at random calls, before they are sent or when the answer is lost."""
    print(f"seed {SEED}")
    source = random.Random(SEED)
    findings, calls = interrupted_at(ecr, 0, lost=False, source=source)
    assert not findings.interrupted
    for _ in range(KILLS):
        findings, _ = interrupted_at(ecr, source.randrange(1, calls), source.random() < 0.5, source)
        assert findings.interrupted
        assert findings.left == []
        assert ecr.names() == []


def interrupted_at(ecr: StrictEcr, nth: int, lost: bool, source: random.Random) -> tuple[Findings, int]:
    """A run that is interrupted at the nth call of ECR; 0: at none. What it found, and how many calls it made."""
    place = place_in(ecr)
    calls: list[None] = []

    def interrupt(**_: Any) -> None:
        calls.append(None)
        if len(calls) == nth:
            raise KeyboardInterrupt

    place.ecr.meta.events.register("after-call.ecr.*" if lost else "before-call.ecr.*", interrupt)
    return ask(place, source.sample(OF_ECR_ONLY, len(OF_ECR_ONLY))), len(calls)


def test_a_killed_run_is_removed_by_its_ledger(ecr: StrictEcr, tmp_path: Any) -> None:
    path = tmp_path / "ledger"
    place = place_in(ecr, made=Ledger(path))
    names = [place.repository("one"), place.repository("two")]
    ecr.repository(names[1]).with_images(3)
    path.write_text(path.read_text() + '{"kind": "repos')  # killed while it wrote
    again = place_in(ecr, made=Ledger.load(path))
    assert remove_all(again, again.made.things) == []
    assert ecr.names() == []
    again.made.close()
    assert not path.exists()


def test_only_what_has_prefix_and_tag_of_one_run_is_a_leftover(ecr: StrictEcr) -> None:
    place = place_in(ecr)
    mine = place.repository("mine")
    number = place.run.number
    ecr.repository(f"autopurge-verify-{number}-untagged-1")
    ecr.repository("autopurge-verify-00000000-other-1", tags={"autopurge:verification": number})
    ecr.repository("app", tags={"autopurge:verification": number})
    names = [each["repositoryName"] for each in place.ecr.describe_repositories()["repositories"]]
    assert len(names) == 4
    assert [each.name for each in repositories_left(place)] == [mine]
