"""CloudWatch, as far as the example for monitoring needs it: log lines become metrics, and dashboards find them."""

from __future__ import annotations

import time
from typing import Any

from sandbox import log_metrics
from sandbox.gateway import ministack


def install() -> None:
    """Make metrics of what is logged, by the embedded metric format and by metric filters, and answer searches."""
    ministack.check_metric_filters(_reason_against)
    ministack.after_log_events(_record)
    ministack.expand_metric_queries(_expanded)


def _reason_against(pattern: str) -> str | None:
    """Why the sandbox does not take a filter pattern; None if it does."""
    try:
        log_metrics.parse(pattern)
    except ValueError as error:
        return str(error)
    return None


def _record(group: str, lines: list[str]) -> None:
    now = time.time()
    filters = ministack.metric_filters(group)
    data = [datum for line in lines for datum in log_metrics.embedded(line, now)]
    data += [datum for line in lines for each in filters for datum in log_metrics.filtered(line, each, now)]
    if data:
        ministack.record_metrics(data)


def _expanded(query: dict[str, Any]) -> list[dict[str, Any]]:
    """The queries of single metrics that replace a search. Any other query stays as it is."""
    wanted = log_metrics.search(query.get("Expression") or "")
    if wanted is None:
        return [query]
    found = [
        dimensions
        for dimensions in ministack.dimensions_of(wanted.namespace, wanted.name)
        if set(dimensions) == set(wanted.dimensions)
    ]
    if wanted.total:  # ministack adds up what a query without dimensions finds
        return [_query(query, wanted, {}, query.get("Label") or query["Id"])] if found else []
    return [_query(query, wanted, each, " ".join(each.values())) for each in found]


def _query(query: dict[str, Any], wanted: log_metrics.Search, dimensions: dict[str, str], label: str) -> dict[str, Any]:
    listed = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    metric = {"Namespace": wanted.namespace, "MetricName": wanted.name, "Dimensions": listed}
    statistic = {"Metric": metric, "Period": wanted.period, "Stat": wanted.statistic}
    return {"Id": query["Id"], "Label": label, "MetricStat": statistic, "ReturnData": query.get("ReturnData", True)}
