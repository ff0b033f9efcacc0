"""Every number in the sentences of the pages comes from the code, from a figure that was measured, or has a source.

A number that a page has and this file does not is a failure; so is one that this file has and the page does not.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from autopurge.aws import MOST_ATTEMPTS
from autopurge.watch.command import watch
from awstut_ecr_autopurgerepository import ecr, ecs, inspector, lambda_functions, pacing
from awstut_ecr_autopurgerepository.deletion import call, freeze, look, progress, purge, report, use
from awstut_ecr_autopurgerepository.deletion.report import earlier, records
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.repository import patience, requests, update_state
from awstut_ecr_autopurgerepository.rules import account, existing, images, push_block, reserved_tags, settings
from benchmarks.contenders import OUR_DEFAULT
from benchmarks.targets import pick
from probes.beliefs import chosen
from probes.costs import costs
from probes.place import Place
from sandbox.ecr import lifecycle
from tests.support.page_numbers import figures, numbers, prose
from tests.support.project_copy import ROOT, SCHEMA

GUIDES = ROOT / "guides"
PAGES = [ROOT / "README.md", *sorted(GUIDES.glob("*.md")), ROOT / "examples" / "README.md"]
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "figures.json").read_text(encoding="utf-8"))
TESTS = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def constant(path: str, name: str) -> Any:
    """The value of a constant that a module keeps for itself, or that is in a test."""
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{path} has no {name}")


def count(value: float, unit: str = "") -> str:
    """As `numbers` gives it."""
    return f"{round(value, 4):,} {unit}".replace(".0 ", " ").strip()


def of_use(title: str) -> float:
    [found] = [each for each in FIGURES["use"] if each["title"] == title]
    return float(found["seconds"])


CONFIRMS = "what AWS's documentation says: "
PRICE = "https://aws.amazon.com/cloudformation/pricing/"
EXAMPLE = "an example"
STEP = "a step of the page, or an exit code"
RUN = "printed by "

CALL = count(pacing.HARD_LIMIT_SECONDS, "second")
GONE = count(look.WITNESS_SECONDS, "second")
LOOKING = count(call.MOST_LOOKING_SECONDS, "second")
SILENT = count(call.MOST_SILENT_SECONDS / 60, "minute")
FIRST = count(call.FIRST_ANSWER_SECONDS + 1, "second")
IDLE = count(purge.MOST_IDLE_SECONDS / 60, "minute")
MUTE = count(report.MOST_MUTE_ATTEMPTS, "call")
POLICY = count(push_block.LONGEST_POLICY, "character")
MESSAGE = count(LONGEST_MESSAGE, "character")
LIFECYCLE = CONFIRMS + "https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"
TRAIL = CONFIRMS + "CloudTrail keeps its event history for 90 days"
ARCHIVE = CONFIRMS + "ECR charges archived images for 90 days at least"

# Of each page: its numbers, and where each comes from. Those that are computed here come from the code.
HELD: dict[str, dict[str, str]] = {
    "README.md": {
        GONE: "look.WITNESS_SECONDS",
        "2.0": "LICENSE",
        "3.11": "test_badges_are_true",
        "3.12": "test_badges_are_true",
    },
    "adopt.md": {
        count(constant("tests/stack/test_adopt.py", "CALLS"), "call"): "tests/stack/test_adopt.py",
        "100": CONFIRMS + "the drifts of 100 resources, and 100 resources, are a page",
    },
    "architecture.md": {
        count(constant("tests/unit/test_verdict.py", "REPOSITORIES")): "tests/unit/test_verdict.py",
        LOOKING: "call.MOST_LOOKING_SECONDS",
        "4 KB": "tests/faults/test_scale.py, CONTEXT_LIMIT",
        CALL: "pacing.HARD_LIMIT_SECONDS",
    },
    "aws.md": {
        f"{costs(chosen()).dollars:.2f} USD": "probes.costs",
        count(costs(chosen()).minutes, "minute"): "probes.costs",
        f"{Place.tries} time": "probes.place",
    },
    "command-line.md": {
        "0": STEP,
        "1": STEP,
        "2": STEP,
        "3": STEP,
        count(ecr.IMAGES_PER_PAGE, "image"): "ecr.IMAGES_PER_PAGE",
        "10 minute": "autopurge.progress, _STALE",
        GONE: "look.WITNESS_SECONDS",
        count(MOST_ATTEMPTS, "attempt"): "autopurge.aws.MOST_ATTEMPTS",
        "50 second": "test_the_time_left_in_the_tag_is_what_the_purge_then_takes",
        str(next(each.default for each in watch.params if each.name == "wait")): "autopurge watch --wait",
        "90 day": TRAIL,
    },
    "comparison.md": {
        "1,000": f"{PRICE}, and the figures of make bench",
        "0.0009 USD": PRICE,
        "0.00008 USD": PRICE,
        "30": PRICE,
        "10 minute": EXAMPLE,
        "570": EXAMPLE,
        "0.05 USD": "test_comparison_has_what_aws_charges_and_what_aws_checks_itself",
        "2026": CONFIRMS + "since when CloudFormation validates deployments",
        "100": "benchmarks/RESULTS.md: who takes part",
        count(ecr.IMAGES_PER_BATCH, "image"): "ecr.IMAGES_PER_BATCH",
        count(SCHEMA["handlers"]["delete"]["timeoutInMinutes"] / 60, "hour"): "the schema",
        count(reserved_tags.MOST_TAGS, "tag"): "reserved_tags.MOST_TAGS",
        count(
            reserved_tags.MOST_TAGS - reserved_tags.STANDING_TAGS - reserved_tags.SPARE_TAGS
        ): "reserved_tags: what is left of 50",
        "90 day": ARCHIVE,
    },
    "contributing.md": {
        "2 minute": f"{RUN}make check",
        "8 minute": f"{RUN}make test",
        "3.11": "scripts/setup",
        "3.12": ".rpdk-config",
    },
    "get-started.md": {
        count(progress.MANY_IMAGES, "image"): "progress.MANY_IMAGES",
        count(progress.MANY_WHEN_THROTTLED): "progress.MANY_WHEN_THROTTLED",
        "10 minute": "an estimate of the time for reading and typing",
        FIRST: "call.FIRST_ANSWER_SECONDS",
        "50 second": "test_the_time_left_in_the_tag_is_what_the_purge_then_takes",
        "30 second": "the waiters of the AWS CLI: test_waits_look_every_30_seconds",
        "12,300": EXAMPLE,
        "40,000 image": EXAMPLE,
        "240": EXAMPLE,
        "2 minute": EXAMPLE,
    },
    "import.md": {"3": STEP},
    "protection.md": {
        count(use.MOST_SILENT_SECONDS, "second"): "use.MOST_SILENT_SECONDS",
        count(use.VALID_SECONDS / 60, "minute"): "use.VALID_SECONDS",
        count(lambda_functions.MOST_LISTS_PER_SECOND): "lambda_functions.MOST_LISTS_PER_SECOND",
        "15 request": CONFIRMS + "Lambda's quotas for its control plane",
        "100 request": CONFIRMS + "Lambda's quota for GetFunction",
        count(lambda_functions.MOST_GETS_PER_SECOND): "lambda_functions.MOST_GETS_PER_SECOND",
        count(ecs.MOST_PER_SECOND, "request"): "ecs.MOST_PER_SECOND",
        count(inspector.MOST_PER_SECOND): "inspector.MOST_PER_SECOND",
        "1,000": "benchmarks/figures.json: 1,000 functions from images",
        count(round(of_use("LAMBDA: 1,000 functions from images")), "second"): "the same",
        count(images.PULLS_ARE_LATE.total_seconds() / 3_600, "hour"): "images.PULLS_ARE_LATE",
        count(30 + images.PULLS_ARE_LATE.days, "day"): EXAMPLE,
        "7 day": EXAMPLE,
        CALL: "pacing.HARD_LIMIT_SECONDS",
        LOOKING: "call.MOST_LOOKING_SECONDS",
        count(freeze.HOLDS_AFTER_SECONDS, "second"): "freeze.HOLDS_AFTER_SECONDS",
        MESSAGE: "errors.LONGEST_MESSAGE",
        POLICY: "push_block.LONGEST_POLICY",
    },
    "purge-report.md": {
        count(records.MOST_LINES, "image"): "records.MOST_LINES",
        count(
            constant("src/awstut_ecr_autopurgerepository/deletion/report/journal.py", "_STRETCH_SECONDS"), "second"
        ): "journal._STRETCH_SECONDS",
        count(earlier.MOST_EARLIER, "report"): "earlier.MOST_EARLIER",
        count(earlier.MOST_OBJECTS, "object"): "earlier.MOST_OBJECTS",
        MUTE: "report.MOST_MUTE_ATTEMPTS",
        "2 object": "test_the_report_is_what_ecr_really_deleted",
        "4 second": "tests/faults/truth.py: the slowest ECR that it compares reports with",
        "7 day": EXAMPLE,
        "90 day": f"{TRAIL}; {ARCHIVE}",
    },
    "release.md": {
        "1": STEP,
        "6": STEP,
        (ROOT / "VERSION").read_text(encoding="ascii").strip(): "VERSION",
        "1.6": "scripts/bill_of_materials.py",
    },
    "roll-out.md": {
        "1": "the least",
        count(account.MOST_CONCURRENCY): "account.MOST_CONCURRENCY, account.DEFAULT_CONCURRENCY",
        count(constant("src/awstut_ecr_autopurgerepository/pacing.py", "_FIRST_IN_FLIGHT")): "pacing._FIRST_IN_FLIGHT",
        "4": EXAMPLE,
    },
    "troubleshooting.md": {
        MESSAGE: "errors.LONGEST_MESSAGE",
        LOOKING: "call.MOST_LOOKING_SECONDS",
        count(lifecycle.SHORTEST, "character"): LIFECYCLE,
        count(use.MOST_SILENT_SECONDS, "second"): "use.MOST_SILENT_SECONDS",
        MUTE: "report.MOST_MUTE_ATTEMPTS",
        IDLE: "purge.MOST_IDLE_SECONDS, existing.YOUNG_SECONDS",
        "20 minute": CONFIRMS + "how long a restore takes",
        CALL: "pacing.HARD_LIMIT_SECONDS",
        "200 character": "test_the_push_block_takes_about_200_characters",
        count(requests.READ_LIMIT_SECONDS, "second"): "requests.READ_LIMIT_SECONDS",
        count(update_state.MOST_SECONDS / 60, "minute"): "update_state.MOST_SECONDS",
        count(patience.VISIBLE.seconds / 60, "minute"): "patience.VISIBLE",
        "1": "the least of a rule",
        count(settings.MOST_DAYS): "settings.MOST_DAYS",
        count(account.MOST_CONCURRENCY): "account.MOST_CONCURRENCY",
    },
}
BY_TABLES = {"reliability.md", "sandbox.md"}  # held by the tests below


@pytest.mark.parametrize("page", [each for each in PAGES if each.name not in BY_TABLES], ids=lambda path: path.name)
def test_every_number_of_a_page_is_held(page: Path) -> None:
    assert numbers(page) == HELD.get(page.name if page.parent != ROOT / "examples" else "", {}).keys()


def test_a_number_that_nothing_holds_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "It takes ten minutes, 1,234 calls of `ecr` and 0.06 USD.\n\n```sh\nsleep 5\n```\n", encoding="utf-8"
    )
    assert numbers(page) == {"10 minute", "1,234 call", "0.06 USD"}


def test_values_that_one_sentence_names_together_are_equal() -> None:
    assert account.DEFAULT_CONCURRENCY == account.MOST_CONCURRENCY
    assert existing.YOUNG_SECONDS == purge.MOST_IDLE_SECONDS
    assert patience.SEEN_TAGS.seconds == 60
    assert patience.Patience("known role", patience.VISIBLE.seconds) == patience.KNOWN_ROLE
    assert constant("tests/faults/test_scale.py", "CONTEXT_LIMIT") == 4 << 10
    assert "_STALE = timedelta(minutes=10)" in (ROOT / "cli" / "autopurge" / "progress.py").read_text(encoding="utf-8")


def test_the_push_block_takes_about_200_characters() -> None:
    statement = json.dumps(push_block.deny_pushes(push_block.SID), separators=(",", ":"))
    assert 150 < len(statement) < 250


def test_waits_look_every_30_seconds() -> None:
    import botocore.session

    waiters = botocore.session.get_session().get_waiter_model("cloudformation")
    for name in ("StackCreateComplete", "StackDeleteComplete", "StackUpdateComplete"):
        assert waiters.get_waiter(name).delay == 30


# What was run once, and compared


@pytest.mark.parametrize(
    ("heading", "tests", "passed"), [("### moto", 144, 83), ("### ministack", 42, 20), ("### floci", 10, 8)]
)
def test_tests_of_other_emulators_are_all_accounted_for(heading: str, tests: int, passed: int) -> None:
    text = (GUIDES / "sandbox.md").read_text(encoding="utf-8")
    section = re.split(r"^##", text.partition(heading)[2], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (\d+) \|", section, re.MULTILINE)
    assert sum(map(int, rows)) == tests - passed
    said = re.findall(r"\b\d+\b", section.partition("|")[0].replace("\n", " "))
    assert {str(tests), str(passed), str(tests - passed)} <= set(said)


def test_limits_of_the_sandbox_are_those_of_its_code(tmp_path: Path) -> None:
    page = tmp_path / "sandbox.md"
    page.write_text((GUIDES / "sandbox.md").read_text(encoding="utf-8").partition("## Compared")[0], encoding="utf-8")
    assert numbers(page) == {
        "127.0.0.1",
        "1",
        count(ecr.IMAGES_PER_PAGE),
        count(ecr.IMAGES_PER_BATCH, "image"),
        count(reserved_tags.MOST_TAGS, "tag"),
        POLICY,
        count(lifecycle.SHORTEST),
        count(lifecycle.LONGEST, "character"),
        count(lifecycle.MOST_RULES),
        count(lifecycle.FEWEST_DAYS_IN_ARCHIVE, "day"),
    }


# guides/reliability.md

RELIABILITY = (GUIDES / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    (cells[0], cells[1], re.findall(r"`(test_\w+)(?:\.py)?`", cells[-1]))
    for line in RELIABILITY.splitlines()
    if line.startswith("| ") and len(cells := line.strip("| ").split(" | ")) == 3
]
FAULTS = [(fault, tests) for _, fault, tests in ROWS if tests]


def sources(test: str) -> list[str]:
    """The files that have a test, or tests that begin with its name, or that have that name."""
    return [text for path, text in TESTS.items() if path.stem == test or f"def {test}" in text]


@pytest.mark.parametrize(("fault", "tests"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_that_the_guide_names_is_what_its_test_makes(fault: str, tests: list[str]) -> None:
    found = [text for test in tests for text in sources(test)]
    assert [test for test in tests if not sources(test)] == []
    literals = {
        float(node.value)
        for text in found
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    }
    named = {float(each) for each in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", re.sub("`.*?`", "", fault))}
    assert named - literals == set()


def test_random_runs_are_as_many_as_the_guide_says() -> None:
    sequences = re.search(r'"FAULTS_EXAMPLES", "(\d+)"', TESTS[ROOT / "tests" / "faults" / "test_model.py"])
    events = TESTS[ROOT / "tests" / "faults" / "test_events.py"]
    of_each = re.search(r'"FAULTS_EVENTS", "(\d+)"', events)
    assert sequences
    assert of_each
    count_of_events = int(of_each[1]) * len(re.findall(r"^@FAULTLESS", events, re.MULTILINE))
    assert f"{int(sequences[1]):,} random sequences and {count_of_events:,} random events" in RELIABILITY


def test_ends_of_the_soak_add_up() -> None:
    """Printed by `make soak`."""
    text = " ".join(prose(GUIDES / "reliability.md").split())
    deletes = re.search(r"([\d,]+) deletes that came to an end", text)
    rest = text.partition("Of these deletes, ")[2].partition(".")[0]
    ends = [int(each.replace(",", "")) for each in re.findall(r"\d[\d,]*\d", rest)]
    assert deletes
    assert sum(ends) == int(deletes[1].replace(",", ""))


def test_limits_in_the_figures_are_those_of_the_code_and_of_the_tests() -> None:
    text = prose(GUIDES / "reliability.md")
    scale = TESTS[ROOT / "tests" / "faults" / "test_scale.py"]
    assert "MEMORY_LIMIT = 128 << 20" in scale
    for words in (
        f"read and list after {requests.READ_LIMIT_SECONDS} s, the others after {pacing.HARD_LIMIT_SECONDS} s a call",
        f"of {pacing.HARD_LIMIT_SECONDS} s allowed",
        f"of {constant('tests/faults/test_scale.py', 'CONTEXT_LIMIT'):,} bytes allowed",
        "of 128 MiB allowed",
        f"{SCHEMA['handlers']['delete']['timeoutInMinutes']} minutes",
        f"{purge.MOST_PASSES_WITHOUT_PROGRESS} passes in a row",
        f"said so for {look.WITNESS_SECONDS:.0f} seconds",
        f"refused for {freeze.HOLDS_AFTER_SECONDS:.0f} seconds",
    ):
        assert words in text
    assert {IDLE, SILENT, FIRST} <= numbers(GUIDES / "reliability.md")


def test_requests_in_the_figures_are_those_of_the_benchmarks() -> None:
    """As many as the least: pages, batches with the indexes first, and eight more."""
    assert figures("the least possible") == [f"{100 + 1_000 + 8:,}", f"{99 + 330 + 660 + 8:,}"]
    assert figures("requests if one call") == figures("the least possible")
    measured = pick(FIGURES, OUR_DEFAULT, "100,000 images")
    assert [measured["calls"], measured["least"]] == [1_108, 1_108]


def test_memory_in_the_figures_stays_within_its_limit() -> None:
    """Printed by tests/faults/test_scale.py, which holds the limit."""
    cells = [*figures("peak memory"), *figures("the same, with a purge report"), *figures("the same, each image")]
    peaks = [float(cell.removesuffix(" MiB")) for cell in cells if cell]
    assert len(peaks) == 4
    assert max(peaks) < 128
