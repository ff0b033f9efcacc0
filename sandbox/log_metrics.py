"""Metrics that CloudWatch makes of log lines: of the embedded metric format, and by metric filters. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_DIMENSIONS = 30


@dataclass(frozen=True)
class Datum:
    """One value of a metric. ``time`` is in seconds since 1970."""

    namespace: str
    name: str
    value: float
    time: float
    unit: str = "None"
    dimensions: Mapping[str, str] = field(default_factory=dict)


def embedded(line: str, now: float) -> list[Datum]:
    """The metrics of a line in the embedded metric format. Other lines and wrong definitions give no metrics."""
    document = _object(line)
    directive = document.get("_aws")
    if not isinstance(directive, dict) or not isinstance(directive.get("CloudWatchMetrics"), list):
        return []
    time = directive.get("Timestamp", now * 1_000) / 1_000
    found = []
    for each in directive["CloudWatchMetrics"]:
        for dimensions in _dimension_sets(document, each.get("Dimensions", [[]])):
            for metric in each.get("Metrics", ()):
                for value in _numbers(document.get(metric["Name"])):
                    unit = metric.get("Unit", "None")
                    found.append(Datum(each["Namespace"], metric["Name"], value, time, unit, dimensions))
    return found


def _object(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _dimension_sets(document: dict[str, Any], names: list[list[str]]) -> Iterator[dict[str, str]]:
    """The values of each set of dimensions, if all of them are strings in the line."""
    for each in names:
        values = {name: document.get(name) for name in each}
        if len(each) <= MOST_DIMENSIONS and all(isinstance(value, str) for value in values.values()):
            yield {name: str(value) for name, value in values.items()}


def _numbers(value: object) -> list[float]:
    values = value if isinstance(value, list) else [value]
    return [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]


def filtered(line: str, metric_filter: dict[str, Any], now: float) -> list[Datum]:
    """The metrics that a filter, as DescribeMetricFilters answers it, makes of a line."""
    document = _object(line)
    if not parse(metric_filter["filterPattern"])(document):
        return []
    found = []
    for each in metric_filter["metricTransformations"]:
        value = str(each["metricValue"])
        number = _numbers(_selected(document, value)) if value.startswith("$.") else [float(value)]
        names = each.get("dimensions", {})
        dimensions = {name: str(_selected(document, path)) for name, path in names.items()}
        place = each["metricNamespace"], each["metricName"]
        found += [Datum(*place, one, now, each.get("unit", "None"), dimensions) for one in number]
    return found


Pattern = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(r'\s*(&&|\|\||[(){}]|!=|<=|>=|[=<>]|"[^"]*"|[^\s(){}=<>!&|"]+)')
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
}


def parse(pattern: str) -> Pattern:
    """A filter pattern for JSON: comparisons, joined by && and ||, in parentheses. Raises ValueError for any other."""
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != re.sub(r'\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', "", pattern):
        raise ValueError(f"{pattern} is not a filter pattern")
    if tokens[:1] != ["{"] or tokens[-1:] != ["}"]:
        raise ValueError(f"The sandbox knows filter patterns for JSON only, in braces: {pattern}")
    rest = tokens[1:-1]
    found = _any(rest)
    if rest:
        raise ValueError(f"The sandbox does not know what {rest[0]} means in the filter pattern {pattern}")
    return found


def _any(tokens: list[str]) -> Pattern:
    parts = [_all(tokens)]
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        parts.append(_all(tokens))
    return lambda document: any(part(document) for part in parts)


def _all(tokens: list[str]) -> Pattern:
    parts = [_one(tokens)]
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        parts.append(_one(tokens))
    return lambda document: all(part(document) for part in parts)


def _one(tokens: list[str]) -> Pattern:
    if tokens[:1] == ["("]:
        tokens.pop(0)
        inner = _any(tokens)
        if tokens[:1] != [")"]:
            raise ValueError("A parenthesis of the filter pattern is not closed")
        tokens.pop(0)
        return inner
    if len(tokens) < 3 or not tokens[0].startswith("$.") or tokens[1] not in _COMPARISONS:
        raise ValueError(f"The sandbox does not know this part of a filter pattern: {' '.join(tokens[:3])}")
    path, comparison, value = tokens.pop(0), tokens.pop(0), tokens.pop(0)
    if not value.startswith('"') and re.fullmatch(r"-?\d+(\.\d+)?", value):
        wanted = float(value)
        return lambda document: any(
            _COMPARISONS[comparison](each, wanted) for each in _numbers(_selected(document, path))
        )
    if comparison not in ("=", "!="):
        raise ValueError(f"Only numbers can be compared by {comparison}, not {value}")
    text, equal = value.strip('"'), comparison == "="

    def matches(document: dict[str, Any]) -> bool:
        found = _selected(document, path)
        return isinstance(found, str) and fnmatch.fnmatchcase(found, text.replace("[", "[[]")) == equal

    return matches


def _selected(document: dict[str, Any], path: str) -> object:
    """What a path such as $.a.b selects; None if there is nothing."""
    found: object = document
    for name in path.removeprefix("$.").split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


_SEARCH = re.compile(
    r"""SEARCH\('\{(?P<schema>[^}]+)\}\s+MetricName="(?P<name>[^"]+)"',\s*'(?P<statistic>\w+)',\s*(?P<period>\d+)\)"""
)


@dataclass(frozen=True)
class Search:
    """A search for metrics, of a dashboard. ``total``: all that it finds are added up, as one metric."""

    namespace: str
    dimensions: tuple[str, ...]
    name: str
    statistic: str
    period: int  # seconds
    total: bool


def search(expression: str) -> Search | None:
    """A search, or the SUM of one, for metrics of one name; None if it is another expression."""
    inner = re.fullmatch(r"SUM\((.*)\)", expression.strip())
    found = _SEARCH.fullmatch((inner[1] if inner else expression).strip())
    if found is None:
        return None
    namespace, *dimensions = found["schema"].split(",")
    return Search(
        namespace, tuple(dimensions), found["name"], found["statistic"], int(found["period"]), inner is not None
    )
