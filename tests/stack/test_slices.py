"""Deletes that take more than one slice, in real time, through the runtime of Lambda: this takes about a minute."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.stack.support import holds, run_command_in
from tests.support.project_copy import TYPE_NAME
from tests.support.stack import Stack, one_resource, unique_name

IMAGES = 24_000  # more than the throttle lets go in one slice


@dataclass
class Deleted:
    """A stack that was deleted, or was to be, and what could be seen meanwhile."""

    stack: Stack
    name: str
    status: str = ""
    progress: str = ""
    left: int | None = None

    def calls(self) -> list[dict[str, Any]]:
        return self.stack.calls("DELETE")


def wait_for_slice(box: Sandbox, one: Deleted) -> str:
    """The tag that shows the progress, once a slice has ended that deleted images: on a busy machine not the first."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if [call for call in one.calls() if re.match("Purged [1-9]", str(call.get("message")))]:
            return str((box.control.repository(one.name) or {}).get("tags", {}).get("awstut:purge-progress"))
        time.sleep(0.1)
    raise AssertionError("no slice has deleted an image after two minutes")


def lock(box: Sandbox, one: Deleted) -> None:
    """Put deletion protection on between two slices: the next one begins a second later."""
    arn, client = one.stack.outputs["Arn"], box.client("ecr")
    one.progress = wait_for_slice(box, one)
    client.tag_resource(resourceArn=arn, tags=[{"Key": "awstut:deletion-protection", "Value": "on"}])


@pytest.fixture(scope="module")
def deleted(submitted: Sandbox) -> dict[str, Deleted]:
    """Two stacks that are deleted at the same time, throttled; one of them is locked between its first two slices."""
    box = submitted
    box.control.clear_faults()
    box.control.reset_settings()
    both = {key: Deleted(Stack(box), unique_name("team/app")) for key in ("goes on", "is locked")}
    for each in both.values():
        wanted = one_resource(TYPE_NAME, {"RepositoryName": each.name}, ("Arn",))
        assert each.stack.create(wanted) == "CREATE_COMPLETE"
        box.control.seed(each.name, ("with_images", {"count": IMAGES}))
    box.control.set_faults(("throttle", {"operations": ["BatchDeleteImage"], "rate": 5.0, "burst": 5}))
    for each in both.values():
        each.stack.delete(wait=False)
    lock(box, both["is locked"])
    both["goes on"].progress = wait_for_slice(box, both["goes on"])
    both["is locked"].stack.wait()  # throttled: images are left even if the second slice began before the lock
    box.control.clear_faults()
    both["goes on"].stack.wait()
    for each in both.values():
        each.status, each.left = each.stack.status, holds(box, each.name)
    return both


def test_a_throttled_delete_goes_on_in_further_slices(deleted: dict[str, Deleted]) -> None:
    one = deleted["goes on"]
    assert one.status == "DELETE_COMPLETE"
    assert one.left is None
    *earlier, last = [call["status"] for call in one.calls()]
    assert set(earlier) == {"IN_PROGRESS"}  # how many depends on when the throttle ends
    assert last == "SUCCESS"


def test_no_call_lasts_longer_than_it_may(deleted: dict[str, Deleted]) -> None:
    assert max(call["seconds"] for each in deleted.values() for call in each.calls()) < 55


def test_the_progress_is_to_be_seen_in_a_tag(deleted: dict[str, Deleted]) -> None:
    for each in deleted.values():
        assert re.fullmatch(rf"[0-9]+/{IMAGES} pass 1 at [0-9-]+T[0-9:]+Z", each.progress)


def test_break_glass_between_two_slices_stops_the_delete(box: Sandbox, deleted: dict[str, Deleted]) -> None:
    one = deleted["is locked"]
    assert one.status == "DELETE_FAILED"
    statuses = [call["status"] for call in one.calls()]
    assert set(statuses[: statuses.index("FAILED")]) == {"IN_PROGRESS"}
    message = one.stack.reason("DELETE_FAILED")
    assert "its deletion protection is on" in message
    assert one.left
    assert f"Stopped after deleting {IMAGES - one.left:,} of about {IMAGES:,} images in" in message
    run_command_in(box, message)
    assert one.stack.delete() == "DELETE_COMPLETE"
