"""What the benchmarks say is what their figures say, and nothing is written manually."""

from __future__ import annotations

import copy
import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from benchmarks import report
from benchmarks.cases import BURST_CASE, BURSTS, CASES
from benchmarks.contenders import CONTENDERS, OUR_DEFAULT, OURS
from benchmarks.targets import Target, all_targets, allowed_seconds, best_client_seconds, pick
from benchmarks.use import ACCOUNTS

FIGURES: dict[str, Any] = json.loads((report.HERE / "figures.json").read_text())
PLOTS = sorted(path.name for path in report.HERE.glob("*.svg"))


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """The files that the figures give, by name."""
    return report.render(FIGURES)


@pytest.fixture
def figures() -> dict[str, Any]:
    return copy.deepcopy(FIGURES)


@pytest.mark.parametrize("name", ["RESULTS.md", *PLOTS])
def test_file_is_what_the_figures_give(rendered: dict[str, str], name: str) -> None:
    assert (report.HERE / name).read_text() == rendered[name]


def test_no_other_file_is_there(rendered: dict[str, str]) -> None:
    assert rendered.keys() == {"RESULTS.md", *PLOTS}


def test_comparison_holds_what_the_figures_give() -> None:
    guide = report.COMPARISON.read_text()
    assert report.comparison_block(FIGURES) in guide
    assert report.with_block(guide, FIGURES) == guide


def test_comparison_shows_plots_that_are_there() -> None:
    shown = set(re.findall(r"\(\.\./benchmarks/([a-z]+\.svg)\)", report.COMPARISON.read_text()))
    assert shown
    assert shown <= set(PLOTS)


def test_figures_hold_every_contender_on_every_case_with_and_without_throttling() -> None:
    held = {(each["contender"], each["case"], each["throttled"], each["burst"]) for each in FIGURES["races"]}
    wanted = {(name, case, how, None) for name in (*CONTENDERS, *OURS) for case in CASES for how in (True, False)}
    assert held == wanted | {(OUR_DEFAULT, BURST_CASE, True, burst) for burst in BURSTS}


def test_figures_hold_what_each_account_s_check_of_use_costs() -> None:
    held = {each["title"]: each for each in FIGURES["use"]}
    assert held.keys() == {each.title for each in ACCOUNTS}
    assert held[ACCOUNTS[0].title]["calls"] == 0
    assert all(each["calls"] == sum(each["which"].values()) for each in held.values())


def test_each_missed_target_is_told(figures: dict[str, Any]) -> None:
    pick(figures, OUR_DEFAULT, "100 images")["left"] = 7
    missed = [target for target in all_targets(figures) if not target.met and target.what.startswith("images left")]
    assert [target.seen for target in missed] == [7]
    assert "| 7 | ≤ 0 | **missed** by 7 |" in report.results(figures)


def test_target_is_met_at_its_limit() -> None:
    assert Target("", 3, 3).met
    assert not Target("", 3.01, 3).met
    assert Target("", 6, 6, at_least=True).met
    assert not Target("", 5.9, 6, at_least=True).met


def test_best_client_leaves_nothing_and_uses_no_force(figures: dict[str, Any]) -> None:
    quick = pick(figures, "tutorial", "10,000 images")
    assert quick["left"] > 0
    assert quick["seconds"] < best_client_seconds(figures, "10,000 images")
    assert pick(figures, "force", "10,000 images")["seconds"] < best_client_seconds(figures, "10,000 images")


def test_throttle_allows_the_burst_at_once_and_then_the_rate(figures: dict[str, Any]) -> None:
    figures["assumptions"].update(burst=5, calls_a_second=10)
    result = pick(figures, OUR_DEFAULT, "10,000 images", throttled=True)
    assert allowed_seconds(figures, result) == pytest.approx((result["least"] - 5) / 10 + 0.1)
    result["burst"] = 1
    assert allowed_seconds(figures, result) == pytest.approx((result["least"] - 1) / 10 + 0.1)


@pytest.mark.parametrize("name", PLOTS)
def test_plot_has_another_colour_for_each_of_its_colours_on_a_dark_page(rendered: dict[str, str], name: str) -> None:
    from benchmarks import plots

    content = rendered[name]
    drawing = re.sub("<style>.*?</style>", "", content, flags=re.DOTALL)
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawing))
    assert len(used) > 3
    for colour in used:
        assert f'[style*="fill: {colour}"]{{fill:{plots.DARK[colour]}!important}}' in content
        assert f'[style*="stroke: {colour}"]{{stroke:{plots.DARK[colour]}!important}}' in content


def test_contender_has_the_same_colour_in_all_plots(rendered: dict[str, str]) -> None:
    """A label at the end of a line has the colour of its line: `this type: 2.8`."""
    colours: dict[str, set[str]] = {}
    for name in ("seconds.svg", "memory.svg"):
        root = ElementTree.fromstring(rendered[name])
        for element in root.iter("{http://www.w3.org/2000/svg}text"):
            contender, is_label, _ = (element.text or "").partition(": ")
            if is_label:
                colours.setdefault(contender, set()).add(element.get("style", "").rpartition("fill: ")[2])
    assert {"this type", "in hundreds", "CDK", "force"} == set(colours)
    assert all(len(each) == 1 for each in colours.values())
    assert len(set.union(*colours.values())) == len(colours)
