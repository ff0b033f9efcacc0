"""`autopurge watch`: deletes that run meanwhile, until they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from autopurge.progress import read_progress
from autopurge.watch.look import Seen, throttled_calls
from autopurge.watch.story import Stage, Story
from awstut_ecr_autopurgerepository.deletion.messages import progress_tag
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.command_line import Autopurge
from tests.support.strict import OWNED, Purge
from tests.support.strict_cloudformation import StrictCloudFormation

NOTHING: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
Then = Callable[[], object]


class Meanwhile:
    """A clock on which something happens at each sleep, until nothing is left to happen."""

    def __init__(self, clock: VirtualClock, events: Iterator[object]) -> None:
        self.clock, self.events = clock, events
        self.time, self.monotonic = clock.time, clock.monotonic

    def sleep(self, seconds: float) -> None:
        next(self.events, None)
        self.clock.sleep(seconds)


@pytest.fixture
def watching(autopurge: Autopurge) -> Callable[[Iterator[object]], Autopurge]:
    """The command, while something happens."""
    requests: list[Any] = []

    def refuse(**_: Any) -> Any:
        raise ClientError(NOTHING, "FilterLogEvents")

    listing = SimpleNamespace(list_resource_requests=lambda **_: {"ResourceRequestStatusSummaries": requests})
    autopurge.clients |= {"cloudcontrol": listing, "logs": SimpleNamespace(filter_log_events=refuse)}

    def make(events: Iterator[object]) -> Autopurge:
        clock: Any = Meanwhile(autopurge.clock, events)
        return Autopurge(clock, autopurge.clients)

    return make


Watching = Callable[[Iterator[object]], Autopurge]


def test_watch_ends_with_0_when_the_repository_is_gone(watching: Watching, ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=OWNED).with_images(2_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=0.1, burst=1)
    result = watching(delete.slices())("watch", "app")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "app: waiting"
    assert any("of 2,000 images, pass 1" in line and "left" in line for line in lines)
    assert lines[-1].split("\t")[:3] == ["app", "deleted", "2,000"]
    assert result.stderr == "1 of 1 repository deleted.\n"


def test_watch_shows_the_progress_at_its_first_look(watching: Watching, ecr: StrictEcr) -> None:
    now = datetime.fromtimestamp(ecr.clock.time(), UTC)
    ecr.repository("app", tags={**OWNED, "awstut:purge-progress": progress_tag(300, 1_200, 2, now, 25.0)})

    def events() -> Iterator[None]:
        del ecr.repositories["app"]
        yield

    result = watching(events())("watch", "app")
    first = result.stdout.splitlines()[0]
    assert first == "app: deleting, 300 of 1,200 images, pass 2, 25.0 a second, 0:00:36 left"


def test_watch_of_a_stack_shows_why_a_delete_failed(
    watching: Watching, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    stack = cloudformation.stack("shop").add("First", "one").add("Second", "two").add("Queue", "q", "AWS::SQS::Queue")
    for name in ("one", "two"):
        ecr.repository(name, tags=OWNED)

    stack.becomes("Second", "DELETE_FAILED", "What an earlier delete said.")
    stack.status = "DELETE_IN_PROGRESS"

    def events() -> Iterator[None]:
        stack.becomes("First", "DELETE_IN_PROGRESS")
        yield
        del ecr.repositories["one"]
        stack.becomes("Second", "DELETE_FAILED", "Its deletion protection is on.")
        yield
        yield
        stack.status = "DELETE_FAILED"
        yield

    watched = watching(events())
    document = json.loads(watched("watch", "--stack", "shop", "--json").stdout)
    results = {each["name"]: (each["result"], each["message"]) for each in document["repositories"]}
    assert results == {"one": ("deleted", ""), "two": ("failed", "Its deletion protection is on.")}
    assert watched("watch", "two", "--wait", "0").exit_code == 1  # its tags name another stack


def test_watch_ends_with_3_when_a_delete_by_cloud_control_failed(watching: Watching, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=OWNED)

    def request(status: str, message: str) -> dict[str, Any]:
        at = datetime.fromtimestamp(ecr.clock.time(), UTC)
        named = {"TypeName": "Awstut::ECR::AutoPurgeRepository", "Identifier": "app", "EventTime": at}
        return {**named, "OperationStatus": status, "StatusMessage": message}

    watched = watching(iter([]))
    requests = watched.clients["cloudcontrol"].list_resource_requests()["ResourceRequestStatusSummaries"]

    def events() -> Iterator[None]:
        requests.append(request("IN_PROGRESS", ""))
        yield
        requests[:] = [request("FAILED", "It has 3 images.")]
        yield

    result = watching(events())("watch", "app")
    assert result.exit_code == 3
    assert "app: deleting" in result.stdout.splitlines()
    assert "app: failed, It has 3 images." in result.stdout.splitlines()


def test_watch_believes_only_a_second_answer_that_a_repository_is_gone(watching: Watching, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=OWNED)
    hidden = ecr.repositories.pop("app")

    def events() -> Iterator[None]:
        ecr.repositories["app"] = hidden
        yield

    result = watching(events())("watch", "app", "--wait", "5")
    assert result.exit_code == 1
    assert "deleted" not in result.stdout


def test_watch_says_so_where_no_delete_begins(watching: Watching, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=OWNED)
    result = watching(iter([]))("watch", "app", "--wait", "20")
    assert result.exit_code == 1
    assert "No delete of app began within 20 seconds." in result.stderr


def test_watch_needs_names_or_a_stack(watching: Watching) -> None:
    watched = watching(iter([]))
    assert watched("watch").exit_code == 2
    assert watched("watch", "app", "--stack", "shop").exit_code == 2


def test_watch_of_a_stack_without_repositories_is_an_error(
    watching: Watching, cloudformation: StrictCloudFormation
) -> None:
    cloudformation.stack("shop").add("Queue", "q", "AWS::SQS::Queue")
    result = watching(iter([]))("watch", "--stack", "shop")
    assert (result.exit_code, "has no repository of this type" in result.stderr) == (1, True)


def test_throttled_calls_are_counted_from_the_log() -> None:
    lines = [
        '{"Repository": "app", "ThrottledCalls": 3}',
        'INFO {"Repository": "app", "ThrottledCalls": 4}',
        "ThrottledCalls",
    ]
    assert throttled_calls([*lines, '{"Repository": "other", "ThrottledCalls": 9}'], ["app", "base"]) == {
        "app": 7,
        "base": 0,
    }


@pytest.mark.parametrize("rate", [0.0, 240.0])
def test_progress_is_read_as_the_purge_writes_it(rate: float) -> None:
    now = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)
    found = read_progress(progress_tag(12_300, 40_000, 1, now, rate))
    assert found is not None
    assert (found.deleted, found.known, found.number, found.at) == (12_300, 40_000, 1, now)
    assert (found.rate, found.left) == ((240.0, 116) if rate else (None, None))


@pytest.mark.parametrize("value", [None, "", "half", "1/2 pass 1 at yesterday"])
def test_progress_that_says_nothing_is_none(value: str | None) -> None:
    assert read_progress(value) is None


def test_the_bar_moves_at_the_rate_that_was_told() -> None:
    now = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)
    story = Story("app")
    story.add(Seen(True, read_progress(progress_tag(1_000, 2_000, 1, now, 10.0)), running=True), now.timestamp())
    assert story.stage is Stage.DELETING
    assert [story.estimate(now.timestamp() + each) for each in (0, 30, 300)] == [1_000, 1_300, 2_000]
    assert story.seconds_left(now.timestamp() + 30) == 70
