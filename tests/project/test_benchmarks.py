"""The contenders of the benchmarks do what the tools that they imitate do, as runs of those tools have shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from awstut_ecr_autopurgerepository.deletion.progress import MANY_IMAGES
from awstut_ecr_autopurgerepository.rules.account import DEFAULT_CONCURRENCY
from benchmarks import experiments
from benchmarks.__main__ import main
from benchmarks.assumptions import Assumptions
from benchmarks.cases import CASES, NAME, SHOWN_ABOVE, least_calls, prepare
from benchmarks.contenders import CONTENDERS, OUR_DEFAULT, OURS, run
from benchmarks.races import Race, hold
from benchmarks.served import ServedEcr, served_ecr
from sandbox.ecr import StrictEcr
from sandbox.environment import for_subprocess

CDK_TAG = {"aws-cdk:auto-delete-images": "true"}
CONTENTS: dict[str, Callable[[Any], object]] = {
    "150 images": lambda builder: builder.with_images(150),
    "2,500 images": lambda builder: builder.with_images(2_500),
    "10 images of 15 tags": lambda builder: [
        builder.with_tagged(*(f"image-{image}-tag-{tag}" for tag in range(15))) for image in range(10)
    ],
    "multi-architecture latest pushed three times": lambda builder: builder.with_repushed_latest(3),
    "per-architecture tags and an index": lambda builder: builder.with_multi_arch(1, per_architecture_tags=True),
    "200 multi-architecture builds": lambda builder: builder.with_multi_arch(200),
    "5 active and 5 archived": lambda builder: builder.with_images(5).with_archived(5),
    "a push meanwhile": lambda builder: builder.with_images(20),
}
# Images left by the tutorials' custom resource, CDK, and a list of all deleted in hundreds. How many children of
# indexes are left depends on the order in which ECR lists: here, that of the pushes.
LEFT = {
    "150 images": (50, 0, 0),
    "2,500 images": (2_400, 0, 0),
    "10 images of 15 tags": (4, 0, 0),
    "multi-architecture latest pushed three times": (6, 4, 6),
    "per-architecture tags and an index": (2, 2, 2),
    "200 multi-architecture builds": (567, 6, 400),
    "5 active and 5 archived": (5, 5, 5),
    "a push meanwhile": (1, 1, 1),
}


@pytest.mark.parametrize("case", CONTENTS)
@pytest.mark.parametrize(("place", "contender"), [(0, "tutorial"), (1, "cdk"), (2, "hundreds")])
def test_contender_leaves_what_its_original_leaves(ecr: StrictEcr, place: int, contender: str, case: str) -> None:
    builder = ecr.repository(NAME, tags=CDK_TAG)
    CONTENTS[case](builder)
    if case == "a push meanwhile":
        ecr.before("BatchDeleteImage", lambda _: builder.with_tagged("late"))
    run(CONTENDERS[contender], ecr.client(), NAME)
    assert (ecr.holds(NAME) or 0) == LEFT[case][place]


def test_cdk_leaves_a_repository_without_its_tag_alone(ecr: StrictEcr) -> None:
    ecr.repository(NAME).with_images(3)
    assert run(CONTENDERS["cdk"], ecr.client(), NAME) == "RepositoryNotEmptyException"
    assert ecr.holds(NAME) == 3


def test_force_leaves_nothing_by_one_call(ecr: StrictEcr) -> None:
    ecr.repository(NAME).with_images(1_500).with_archived(3)
    assert run(CONTENDERS["force"], ecr.client(), NAME) is None
    assert ecr.holds(NAME) is None
    assert ecr.calls.total() == 1


@pytest.fixture(scope="module")
def served() -> Any:
    with served_ecr() as running:
        yield running


@pytest.mark.parametrize(("case", "left"), [("100 images", 0), ("500 active and 500 archived", 1_000)])
def test_command_line_leaves_what_the_aws_cli_leaves(
    ecr: StrictEcr, served: ServedEcr, tmp_path: Path, case: str, left: int
) -> None:
    served.prepare(case)
    environment = for_subprocess(served.url, tmp_path)
    aws = str(Path(sys.executable).parent / "aws")

    def command(*words: str) -> str:
        done = subprocess.run([aws, "ecr", *words], env=environment, capture_output=True, text=True, check=False)
        return done.stdout

    listed = command("list-images", "--repository-name", NAME, "--query", "imageIds[*]", "--output", "json")
    command("batch-delete-image", "--repository-name", NAME, "--image-ids", listed)
    assert served.left() == left

    prepare(ecr, CASES[case])
    assert listed == json.dumps(json.loads(listed), indent=4) + "\n"
    run(CONTENDERS["cli"], ecr.client(), NAME)
    assert (ecr.holds(NAME) or 0) == left


@pytest.mark.parametrize(("images", "least"), [(1, 9), (100, 9), (101, 10), (1_000, 18), (1_001, 20), (10_001, 120)])
def test_least_calls_are_the_pages_the_hundreds_and_the_fixed_few(images: int, least: int) -> None:
    assert least_calls(images) == least


def test_images_that_arrive_meanwhile_need_another_pass() -> None:
    found = hold(Race(OUR_DEFAULT, "1,000 images, 5 pushes meanwhile", throttled=False), Assumptions())
    assert found["images"] == 1_005
    assert found["calls"] == found["least"] == least_calls(1_000) + 7


def test_this_type_takes_part_as_it_is_by_default() -> None:
    assert OURS[OUR_DEFAULT] == DEFAULT_CONCURRENCY
    assert SHOWN_ABOVE == MANY_IMAGES


def test_a_throttle_that_is_known_refuses_nothing() -> None:
    race = Race(OUR_DEFAULT, "1,000 images", throttled=True, burst=3)
    found = experiments._at_best(Assumptions(), race)
    assert (found["refused"], found["left"]) == (0, 0)
    assert found["seconds"] == pytest.approx((found["calls"] - 3) / 10 + 0.1, abs=0.01)


def test_one_case_can_be_held_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--case", "1,000 images"])
    main()
    assert len(re.findall("1,000 images, .* 0 left", capsys.readouterr().out)) == 2


def test_a_race_counts_what_the_strict_ecr_saw() -> None:
    found = hold(Race("hundreds", "1,000 images", throttled=False), Assumptions(seconds_a_call=0.5))
    assert (found["images"], found["left"], found["calls"], found["seconds"]) == (1_000, 0, 21, 10.5)


def test_a_throttled_race_waits_on_the_clock_of_the_bench() -> None:
    slow = Assumptions(seconds_a_call=0.01, calls_a_second=5, burst=5)
    found = hold(Race("hundreds", "1,000 images", throttled=True), slow)
    assert found["refused"] > 0
    assert found["seconds"] >= (found["calls"] - found["refused"] - 5) / 5


def test_the_same_race_ends_the_same_way() -> None:
    race = Race(OUR_DEFAULT, "latest re-pushed 500 times", throttled=True)
    assert hold(race, Assumptions()) == hold(race, Assumptions())
