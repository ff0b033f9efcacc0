"""The guides get-started.md and roll-out.md, typed as they are, in a sandbox in which nothing is registered yet."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.stack.support import blocks, holds, type_in, type_in_and_wait
from tests.support.project_copy import ROOT, TYPE_NAME, copy_project
from tests.support.stack import Stack

ARN = "arn:aws:ecr:us-east-1:123456789012:repository/my-app"
MINIMAL = (ROOT / "examples" / "minimal.yaml").read_text(encoding="utf-8")


@contextmanager
def quick_sandbox() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        box.control.settings(callback_delay_cap_seconds=0.05)
        yield box


@pytest.fixture
def new() -> Iterator[Sandbox]:
    with quick_sandbox() as box:
        yield box


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with what `make setup` makes."""
    project = copy_project(tmp_path_factory.mktemp("clone") / "project")
    (project / ".venv").symlink_to(sys.prefix)
    return project


@pytest.fixture(scope="module")
def started(clone: Path) -> Iterator[Sandbox]:
    """A sandbox in which the type is registered as get-started.md says."""
    with quick_sandbox() as box:
        type_in(box, blocks("get-started.md", "sh")[0], clone)
        yield box


def test_get_started(started: Sandbox, clone: Path) -> None:
    _, make, fill, lock, unlock, *_ = blocks("get-started.md", "sh")
    activated = ". .venv/bin/activate\n"
    type_in_and_wait(started, make, clone)
    assert type_in(started, activated + fill, clone) == "my-app holds 2,500 images now.\n"
    said = type_in_and_wait(started, lock, clone, ARN=ARN)
    assert "its deletion protection is on" in said
    assert unlock.partition("\n")[0].replace('"$ARN"', ARN).removeprefix("aws ecr tag-resource ") in said
    [explain] = blocks("troubleshooting.md", "sh")
    assert "its deletion protection is on" in type_in(started, explain, clone, STACK="app")
    assert holds(started, "my-app") == 2_500
    type_in_and_wait(started, unlock, clone, ARN=ARN)
    assert holds(started, "my-app") is None


def test_get_started_watches_a_stack(started: Sandbox, clone: Path) -> None:
    """With fewer images than the guide says, which ECR deletes more slowly."""
    watch = blocks("get-started.md", "sh")[5].replace("40000", "600")
    slow = {"operations": ["BatchDeleteImage"], "rate": 1.0, "burst": 1}
    started.control.set_faults(("throttle", slow))
    try:
        create, _, rest = watch.partition("python -m")
        type_in_and_wait(started, create, clone)
        printed = type_in(started, f". .venv/bin/activate\npython -m{rest}", clone)
        assert "\nmy-app\tdeleted\t" in printed
    finally:
        started.control.clear_faults()
    assert holds(started, "my-app") is None


def test_get_started_shows_the_tag_of_a_purge(started: Sandbox, clone: Path) -> None:
    watch = blocks("get-started.md", "sh")[6]
    stack = Stack(started)
    stack.create(MINIMAL)
    value = "5/10 pass 1 at 2026-11-23T20:15:00Z"
    tags = [{"Key": "awstut:purge-progress", "Value": value}]
    started.client("ecr").tag_resource(resourceArn=ARN, tags=tags)
    delete = f"(sleep 3; aws cloudformation delete-stack --stack-name {stack.name}) &\n"
    printed = type_in(started, delete + watch, clone, ARN=ARN)
    assert set(printed.split("\n")) == {value, ""}
    assert holds(started, "my-app") is None
    stack.wait()


def test_get_started_deletes_by_cloud_control(started: Sandbox, clone: Path) -> None:
    started.control.seed("my-app", ("with_images", {"count": 10}))
    started.client("ecr").tag_resource(resourceArn=ARN, tags=[{"Key": "awstut:auto-purge", "Value": "on"}])
    assert type_in(started, blocks("get-started.md", "sh")[7], clone).startswith(("IN_PROGRESS", "PENDING", "SUCCESS"))
    until = time.monotonic() + 120
    while holds(started, "my-app") is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_get_started_has_no_other_commands() -> None:
    assert len(blocks("get-started.md", "sh")) == 8
    assert blocks("get-started.md", "terminal") == ["make sandbox\n"]


def test_roll_out(new: Sandbox, clone: Path, package_command: tuple[Path, str]) -> None:
    make, digest, upload, register, upgrade, configure, remove, publish = blocks("roll-out.md", "sh")
    assert (make, publish) == ("make package\n", "make publish-check\n")  # run by test_packaging and its neighbour
    package, printed = package_command
    (clone / "build").mkdir(exist_ok=True)
    shutil.copy(package, clone / "build")
    assert type_in(new, digest, clone).split()[0] == printed.split()[0]
    new.client("s3").create_bucket(Bucket="types")
    type_in(new, upload, clone, BUCKET="types")
    type_in_and_wait(new, register, clone, BUCKET="types", KEY=package.name)
    repository = Stack(new)
    assert repository.create(MINIMAL) == "CREATE_COMPLETE"
    new.client("s3").upload_file(str(package), "types", "new.zip")
    before = version(new)
    type_in_and_wait(new, upgrade, clone, KEY="new.zip")
    assert version(new) != before
    type_in(new, configure, clone)
    new.control.seed("my-app", ("with_images", {"count": 2, "tag": "release-{n}"}))
    assert repository.delete() == "DELETE_FAILED"
    assert "tag pattern release-*" in repository.reason("DELETE_FAILED")
    type_in(new, configure.replace('{"PurgeProtection": {"TagPatterns": ["release-*"]}}', "{}"), clone)
    assert repository.delete() == "DELETE_COMPLETE"
    type_in_and_wait(new, remove, clone)
    assert new.client("cloudformation").list_types()["TypeSummaries"] == []


def version(box: Sandbox) -> str:
    found: str = box.client("cloudformation").describe_type(Type="RESOURCE", TypeName=TYPE_NAME)["DefaultVersionId"]
    return found


@pytest.mark.parametrize("script", blocks("roll-out.md", "stackset"))
def test_roll_out_stack_set_commands_are_what_the_cli_takes(new: Sandbox, clone: Path, script: str) -> None:
    """Neither the sandbox nor anything else here has StackSets: the AWS CLI checks its input, and calls nobody."""
    commands = script.replace("\\\n", " ").splitlines()
    checked = "\n".join(f"{command} --generate-cli-skeleton output" for command in commands)
    type_in(new, checked, clone, BUCKET="types", KEY="type.zip", OU="ou-ab12-abcd1234")
