"""Which metrics CloudWatch makes of a line: by the embedded metric format, and by metric filters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from awstut_ecr_autopurgerepository.deletion import metrics
from sandbox.log_metrics import Datum, Search, embedded, filtered, parse, search

NOW = 1_764_300_000.0
LINE = {"Repository": "app", "Status": "FAILED", "Seconds": 1.5, "Deep": {"Er": "x"}, "Count": 3}


def line(directive: object = None, **values: Any) -> str:
    aws = {"Timestamp": int(NOW * 1_000), "CloudWatchMetrics": [directive]}
    return json.dumps({**({"_aws": aws} if directive else {}), **values})


def directive(*names: str, dimensions: object = None) -> dict[str, Any]:
    sets = [["Repository"]] if dimensions is None else dimensions
    return {"Namespace": "Space", "Dimensions": sets, "Metrics": [{"Name": name, "Unit": "Count"} for name in names]}


def test_the_line_of_a_purge_becomes_its_metrics() -> None:
    figures = metrics.Figures(images_deleted=120, bytes_deleted=9_000, seconds=1.5)
    found = embedded(metrics.log_line("app", figures, "SUCCESS", "done", NOW), 0)
    assert {each.name: each.value for each in found} == {
        "ImagesDeleted": 120,
        "BytesDeleted": 9_000,
        "ImagesFailed": 0,
        "ThrottledCalls": 0,
        "Seconds": 1.5,
    }
    assert found[0] == Datum(metrics.NAMESPACE, "ImagesDeleted", 120, NOW, "Count", {"Repository": "app"})


@pytest.mark.parametrize(
    "text",
    [
        "Purged 3 images",
        "[1]",
        "{}",
        json.dumps({"_aws": {}}),
        line(directive("Count"), Repository="app"),
        line(directive("Count"), Repository="app", Count="3"),
        line(directive("Count"), Repository="app", Count=True),
        line(directive("Count"), Count=3),
        line(directive("Count"), Repository=7, Count=3),
        line(
            directive("Count", dimensions=[[f"d{n}" for n in range(31)]]), **{f"d{n}": "x" for n in range(31)}, Count=3
        ),
        line(Repository="app", Count=3),
    ],
)
def test_a_line_without_metrics_makes_none(text: str) -> None:
    assert embedded(text, NOW) == []


def test_each_set_of_dimensions_and_each_value_counts() -> None:
    text = line(directive("Count", dimensions=[[], ["Repository"]]), Repository="app", Count=[1, 2])
    found = [(dict(each.dimensions), each.value) for each in embedded(text, NOW)]
    assert found == [({}, 1), ({}, 2), ({"Repository": "app"}, 1), ({"Repository": "app"}, 2)]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ ($.Repository = "*") && ($.Status = "FAILED") }', True),
        ('{ $.Repository = "b*" || $.Status = "FAILED" }', True),
        ('{ $.Repository = "b*" || $.Status = "OK" }', False),
        ('{ $.Status != "OK" }', True),
        ('{ $.Missing != "OK" }', False),
        ('{ $.Missing = "*" }', False),
        ("{ $.Status = FAILED }", True),
        ("{ $.Count = 3 }", True),
        ("{ ($.Seconds > 1) && ($.Seconds <= 1.5) }", True),
        ("{ $.Count < 3 }", False),
        ("{ $.Count != 3 }", False),
        ('{ $.Deep.Er = "x" }', True),
        ('{ $.Repository = "a" && ($.Count = 3 || $.Count = 4) }', False),
    ],
)
def test_a_filter_pattern_matches(pattern: str, matches: bool) -> None:
    assert parse(pattern)(LINE) is matches


@pytest.mark.parametrize(
    "pattern",
    ["", "ERROR", "{ $.a IS NULL }", "{ $.a = 1", "{ ($.a = 1 }", '{ $.a < "x" }', "{ a = 1 }", "{ $.a = 1 ) }"],
)
def test_a_filter_pattern_that_is_not_known_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|compared"):
        parse(pattern)


@pytest.mark.parametrize(("value", "found"), [("1", [1]), ("$.Count", [3]), ("$.Status", [])])
def test_a_metric_filter_counts_or_takes_a_value(value: str, found: list[float]) -> None:
    transformation = {"metricNamespace": "Space", "metricName": "Failed", "metricValue": value}
    metric_filter = {"filterPattern": '{ $.Status = "FAILED" }', "metricTransformations": [transformation]}
    made = filtered(json.dumps(LINE), metric_filter, NOW)
    assert [(each.namespace, each.name, each.value, each.time) for each in made] == [
        ("Space", "Failed", each, NOW) for each in found
    ]
    assert filtered(json.dumps({**LINE, "Status": "SUCCESS"}), metric_filter, NOW) == []


def test_a_metric_filter_has_dimensions() -> None:
    transformation = {
        "metricNamespace": "Space",
        "metricName": "Failed",
        "metricValue": "1",
        "dimensions": {"Name": "$.Repository"},
    }
    metric_filter = {"filterPattern": "{ $.Count = 3 }", "metricTransformations": [transformation]}
    assert [each.dimensions for each in filtered(json.dumps(LINE), metric_filter, NOW)] == [{"Name": "app"}]


def test_a_search_of_a_dashboard_is_read() -> None:
    text = "SEARCH('{Some/Space,Repository} MetricName=\"Deleted\"', 'Sum', 60)"
    assert search(text) == Search("Some/Space", ("Repository",), "Deleted", "Sum", 60, False)
    assert search(f"SUM({text})") == Search("Some/Space", ("Repository",), "Deleted", "Sum", 60, True)
    assert search("m1 + m2") is None
