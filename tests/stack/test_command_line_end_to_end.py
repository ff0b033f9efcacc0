"""`autopurge` as a process of its own, on the local AWS: it finds this as the AWS CLI does, by the environment."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from sandbox.server import Sandbox
from tests.stack.support import Template, blocks, holds
from tests.support.stack import Stack, unique_name

Json = dict[str, Any]


def autopurge(box: Sandbox, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command that ends with this exit code, and without a stack trace."""
    done = subprocess.run(
        ["autopurge", *arguments],
        env=box.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def document(box: Sandbox, *arguments: str, code: int = 0) -> Json:
    found: Json = json.loads(autopurge(box, *arguments, "--json", code=code).stdout)
    return found


def test_a_repository_from_its_lock_to_its_report(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, tmp_path: Path
) -> None:
    prefix = unique_name("purges/report")
    report = {"BucketName": "purge-reports", "Prefix": prefix}
    stack.create(template({"RepositoryName": repository_name, "PurgeReport": report}))
    box.control.seed(repository_name, ("with_images", {"count": 30}), ("with_multi_arch", {"count": 2}))

    autopurge(box, "lock", repository_name, "--yes")
    (planned,) = document(box, "plan", "--stack", stack.name, code=3)["repositories"]
    assert (planned["verdict"], planned["images"]) == ("refuse", 36)
    assert [each["rule"] for each in planned["reasons"]] == ["DeletionProtection"]
    assert stack.delete() == "DELETE_FAILED"
    assert "deletion protection is on" in autopurge(box, "watch", "--stack", stack.name, code=3).stdout
    assert holds(box, repository_name) == 36

    autopurge(box, "unlock", repository_name, "--yes")
    (planned,) = document(box, "plan", repository_name)["repositories"]
    assert planned["verdict"] == "purge"
    (listed,) = [each for each in document(box, "list")["repositories"] if each["name"] == repository_name]
    assert (listed["stack"], listed["logicalId"], listed["images"]) == (stack.name, "Repository", 36)

    box.control.set_faults(latency={"BatchDeleteImage": 2.0})
    stack.delete(wait=False)
    (watched,) = document(box, "watch", repository_name)["repositories"]
    assert watched["result"] == "deleted"
    assert stack.wait() == "DELETE_COMPLETE"
    page = tmp_path / "report.html"
    found = document(box, "report", f"s3://purge-reports/{prefix}", "--output", str(page))
    assert (found["images"], found["deletes"][0]["stack"]) == (36, stack.name)
    assert "36</b> images deleted" in page.read_text(encoding="utf-8")


def _in_the_guide(command: str) -> list[str]:
    """The words of a command that the guide shows, without the first."""
    shown = "".join(blocks("command-line.md", "shell")).splitlines()
    assert f"autopurge {command}" in shown
    return command.split()


def test_the_account_is_locked_by_a_merge(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    try:
        autopurge(box, "lock", "--account", "--pattern", "release-*", "--yes")
        changed = document(box, *_in_the_guide("lock --account"), "--yes")
        assert changed["before"] == {"PurgeProtection": {"TagPatterns": ["release-*"]}}
        assert changed["after"] == {**changed["before"], "DeletionProtection": True}
        assert stack.delete() == "DELETE_FAILED"
        autopurge(box, "plan", repository_name, code=3)
    finally:
        autopurge(box, *_in_the_guide("unlock --account --yes"))
        autopurge(box, "unlock", "--account", "--pattern", "release-*", "--yes")
    assert stack.delete() == "DELETE_COMPLETE"


def test_ctrl_c_says_how_to_go_on(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    command = ["env", "--default-signal=INT", "autopurge", "watch", repository_name]  # not ignored in the background
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=box.environment, stdout=pipe, stderr=pipe, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == f"{repository_name}: waiting\n"
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=240)
    assert watching.returncode == 1
    assert said == "Error: Stopped by Ctrl-C. The deletes go on without it: run it again to look at them.\n"


def test_an_endpoint_that_is_not_there_is_one_sentence(box: Sandbox) -> None:
    done = autopurge(box, "list", "--endpoint-url", "http://127.0.0.1:9", code=1)
    assert done.stderr.startswith("Error: The endpoint cannot be reached. Check the network, --endpoint-url")
    assert done.stderr.count("\n") == 1
