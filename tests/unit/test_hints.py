"""The hints `rollback` and `snapshotRequested` in an event of CloudFormation: they are logged, and decide nothing."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest

from awstut_ecr_autopurgerepository import handlers
from sandbox.ecr import StrictEcr
from tests.support.samples import NAME
from tests.support.strict import OWNED, Wire

LOCKED = OWNED | {"awstut:deletion-protection": "on"}
HINTS = [{"rollback": True}, {"snapshotRequested": True}, {"rollback": False, "snapshotRequested": False}]


def delete_with(wire: Wire, tags: dict[str, str], in_event: dict[str, Any], in_data: dict[str, Any]) -> tuple[Any, Any]:
    """Delete a repository of three images. Returns the answer, and how often each operation was called."""
    ecr = wire.ecr
    ecr.repository("app", tags=tags).with_images(3)
    ecr.reset_calls()
    event = wire.event("DELETE", NAME) | in_event
    event["requestData"] |= in_data
    return handlers.resource(event, None), Counter(ecr.calls)


@pytest.mark.parametrize("where", ["event", "requestData"])
@pytest.mark.parametrize("hints", HINTS, ids=str)
@pytest.mark.parametrize(("tags", "left"), [(OWNED, None), (LOCKED, 3)], ids=["deleted", "refused"])
def test_hints_are_logged_and_change_nothing(
    wire: Wire,
    ecr: StrictEcr,
    caplog: pytest.LogCaptureFixture,
    tags: dict[str, str],
    left: int | None,
    hints: dict[str, bool],
    where: str,
) -> None:
    plain = delete_with(wire, tags, {}, {})
    assert "CloudFormation says" not in caplog.text
    assert ecr.holds("app") == left
    if left:
        ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    with caplog.at_level(logging.INFO):
        hinted = delete_with(wire, tags, hints if where == "event" else {}, hints if where == "requestData" else {})
    assert f"CloudFormation says {hints}. The handler ignores it." in caplog.text
    assert hinted == plain
    assert ecr.holds("app") == left
