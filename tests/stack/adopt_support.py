"""What tests of `autopurge adopt` share: the command, which may be killed at any call, and what a repository holds."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from click.testing import CliRunner, Result

from autopurge.app import app
from autopurge.aws import MakeClient, Target
from autopurge.command import Surroundings
from sandbox.server import Sandbox
from tests.support.samples import LIFECYCLE, POLICY

Json = dict[str, Any]
Moment = Literal["lost", "answered", "next"]
NATIVE = "AWS::ECR::Repository"
WAITING = frozenset({"describe_stacks", "describe_change_set", "describe_stack_drift_detection_status"})
# A change set that is not executed changes nothing.
CHANGING = frozenset(
    {
        *("update_stack", "execute_change_set", "tag_resource", "untag_resource"),
        *("set_repository_policy", "put_lifecycle_policy"),
    }
)
# The calls of CloudFormation that adopt makes, without those that wait.
COUNTED = frozenset(
    {
        *("get_template", "list_stack_resources", "get_stack_policy", "detect_stack_drift"),
        *("update_stack", "create_change_set", "execute_change_set", "delete_change_set"),
        *("describe_stack_events", "describe_stack_resource_drifts"),
    }
)


class Killed(BaseException):
    """The process ended here. Nothing catches it."""


class HurriedClock:
    """Waits a hundredth of the time."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds / 100)


@dataclass
class Meddling:
    """A client whose calls are counted, and before or after which something else happens."""

    client: Any
    calls: Counter[tuple[str, str]]  # by operation and stack
    before: Callable[[str, Json], None]
    after: Callable[[str, Json], None]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if name in ("exceptions", "meta"):
            return method
        if name == "get_paginator":
            return lambda operation: self._paginator(operation, method(operation))

        def call(**parameters: Any) -> Any:
            self.before(name, parameters)
            self.calls[name, str(parameters.get("StackName", ""))] += 1
            answer = method(**parameters)
            self.after(name, parameters)
            return answer

        return call

    def _paginator(self, operation: str, paginator: Any) -> Any:
        outer = self

        class Counted:
            def paginate(self, **parameters: Any) -> Any:
                outer.before(operation, parameters)
                for page in paginator.paginate(**parameters):
                    outer.calls[operation, str(parameters.get("StackName", ""))] += 1
                    outer.after(operation, parameters)
                    yield page

        return Counted()


def _nothing(name: str, parameters: Json) -> None:
    pass


@dataclass
class Adopt:
    """Runs `autopurge adopt` in this process, with a journal in a folder."""

    box: Sandbox
    folder: Path
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def __call__(
        self,
        *arguments: str,
        before: Callable[[str, Json], None] = _nothing,
        after: Callable[[str, Json], None] = _nothing,
    ) -> Result:
        """What it printed, and its exit code. Raises what `before` and `after` raise."""

        def make(service: str, config: object = None, /) -> Any:
            return Meddling(self.box.client(service), self.calls, before, after)

        def connect(_: Target) -> MakeClient:
            return make

        around = Surroundings(connect, HurriedClock())
        result = CliRunner().invoke(app, ["adopt", *arguments, "--journal", str(self.journal)], obj=around)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def until_killed(
        self, number: int, *arguments: str, calls: frozenset[str] = CHANGING, moment: Moment = "answered"
    ) -> bool:
        """Run the command, and kill it at call `number`, counted over `calls`. True if it was killed.

        `moment` says when: "lost", the call was made and did not arrive; "answered", right after its answer; "next",
        when the next call, of any kind, begins.
        """
        left = [number]

        def before(name: str, parameters: Json) -> None:
            if left[0] == 0:
                raise Killed
            if moment == "lost" and left[0] == 1 and name in calls:
                self.calls[name, str(parameters.get("StackName", ""))] += 1
                raise Killed

        def after(name: str, _: Json) -> None:
            left[0] -= name in calls
            if left[0] == 0 and moment == "answered":
                raise Killed

        try:
            result = self(*arguments, "--yes", before=before, after=after)
        except Killed:
            return True
        assert result.exit_code == 0, result.output
        return False

    def json(self, *arguments: str, code: int = 0) -> list[Json]:
        """The stacks that it tells of with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == code, result.output
        stacks: list[Json] = json.loads(result.stdout)["stacks"]
        return stacks


def contents(box: Sandbox, name: str) -> Json:
    """All that must be as before of a repository: images with their tags, tags, policies, settings."""
    client = box.client("ecr")
    pages = client.get_paginator("describe_images").paginate(repositoryName=name, filter={"imageStatus": "ANY"})
    images = {each["imageDigest"]: sorted(each.get("imageTags", [])) for page in pages for each in page["imageDetails"]}
    found = box.control.repository(name)
    assert found is not None
    own = {key: value for key, value in found["tags"].items() if not key.startswith("awstut:")}
    kept = {key: value for key, value in found.items() if key not in ("tags", "images")}
    policies = {key: json.loads(kept[key]) if kept[key] else None for key in ("policy", "lifecycle")}  # not the layout
    return {**kept, **policies, "tags": own, "images": images}


def mark_of(box: Sandbox, name: str) -> str | None:
    found = box.control.repository(name)
    assert found is not None
    mark: str | None = found["tags"].get("awstut:auto-purge")
    return mark


def add_contents(box: Sandbox, name: str, images: int = 120) -> Json:
    """Give a repository images, and policies that no template has. Returns its contents."""
    client = box.client("ecr")
    client.set_repository_policy(repositoryName=name, policyText=json.dumps(POLICY))
    client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=LIFECYCLE)
    box.control.seed(name, ("with_images", {"count": images}), ("with_multi_arch", {"count": 2}))
    return contents(box, name)


def calls_beyond_waiting(calls: Counter[tuple[str, str]], stack_id: str) -> int:
    """Calls of CloudFormation for a stack that are not looks at whether something is done."""
    return sum(number for (name, stack), number in calls.items() if stack == stack_id and name not in WAITING)
