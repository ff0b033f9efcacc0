"""Images as DescribeImages tells of them, for rules that are asked without ECR."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from awstut_ecr_autopurgerepository.rules.account import AccountRules

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NONE = AccountRules()


def image(*tags: str, pushed: float = 400, pulled: float | None = None, restored: float | None = None) -> Any:
    """An image, pushed, pulled and restored from the archive so many days ago."""
    detail: dict[str, Any] = {
        "imageDigest": "sha256:" + "0123456789ab" * 5 + "cdef",
        "imagePushedAt": NOW - timedelta(pushed),
    }
    if tags:
        detail["imageTags"] = list(tags)
    if pulled is not None:
        detail["lastRecordedPullTime"] = NOW - timedelta(pulled)
    if restored is not None:
        detail["lastActivatedAt"] = NOW - timedelta(restored)
    return detail
