"""One line of log for each call of the delete handler, from which CloudWatch makes metrics. Pure.

The line is JSON in CloudWatch's embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass

NAMESPACE = "Awstut/ECR/AutoPurgeRepository"
_UNITS = {
    "ImagesDeleted": "Count",
    "BytesDeleted": "Bytes",
    "ImagesFailed": "Count",
    "ThrottledCalls": "Count",
    "Seconds": "Seconds",
}


@dataclass
class Figures:
    """What one call did."""

    images_deleted: int = 0
    bytes_deleted: int = 0
    images_failed: int = 0
    throttled_calls: int = 0
    seconds: float = 0.0


def log_line(repository: str, figures: Figures, status: str, message: str, now: float, **more: object) -> str:
    """The line of one call. ``now`` is in seconds since 1970; ``more`` is added as it is."""
    values = (
        figures.images_deleted,
        figures.bytes_deleted,
        figures.images_failed,
        figures.throttled_calls,
        round(figures.seconds, 3),
    )
    metrics = [{"Name": name, "Unit": unit} for name, unit in _UNITS.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Repository"]], "Metrics": metrics}
    return json.dumps(
        {
            "_aws": {"Timestamp": int(now * 1_000), "CloudWatchMetrics": [directive]},
            "Repository": repository,
            **dict(zip(_UNITS, values, strict=True)),
            "Status": status,
            "Message": message,
            **more,
        }
    )
