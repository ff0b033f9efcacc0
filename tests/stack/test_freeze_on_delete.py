"""Stacks with FreezeOnDelete: real pushes are refused while the purge runs, and possible again when it has failed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from awstut_ecr_autopurgerepository.rules import push_block
from demo.images import write_layout
from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds, run_command_in
from tests.support.samples import POLICY
from tests.support.stack import Stack

Push = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def push(box: Sandbox, repository_name: str, tmp_path: Path) -> Push:
    """Pushes a two-architecture image with skopeo, under a tag."""
    write_layout(tmp_path / "layout", "1.0")

    def run(tag: str) -> subprocess.CompletedProcess[str]:
        options = ["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", "--retry-times=0"]
        target = f"docker://{box.registry_host}/{repository_name}:{tag}"
        command = ["skopeo", *options, f"oci:{tmp_path}/layout:1.0", target]
        return subprocess.run(command, env=box.environment, capture_output=True, text=True, check=False)

    return run


def policy_now(box: Sandbox, name: str) -> object:
    client = box.client("ecr")
    try:
        return json.loads(client.get_repository_policy(repositoryName=name)["policyText"])
    except client.exceptions.RepositoryPolicyNotFoundException:
        return None


def delete_until_frozen(box: Sandbox, stack: Stack, name: str) -> None:
    """Begin a delete that is slow enough for the test, also on a busy machine; return when it refuses pushes."""
    box.control.seed(name, *IMAGES)
    box.control.set_faults(latency={"BatchDeleteImage": 5.0})
    stack.delete(wait=False)
    until = time.monotonic() + 120
    while push_block.SID not in json.dumps(policy_now(box, name)):
        assert time.monotonic() < until
        time.sleep(0.05)


def protect(box: Sandbox, stack: Stack, name: str) -> None:
    """Let the purge that runs find an image after its first pass, and no longer be allowed to delete it."""
    tag = {"Key": "awstut:deletion-protection", "Value": "on"}
    box.client("ecr").tag_resource(resourceArn=stack.outputs["Arn"], tags=[tag])
    box.control.seed(name, ("with_images", {"count": 1}))


@pytest.mark.parametrize("before", [None, POLICY], ids=["no policy", "a policy"])
def test_pushes_are_refused_during_the_purge_and_possible_after_it_failed(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, push: Push, before: object
) -> None:
    properties = {"RepositoryName": repository_name, "FreezeOnDelete": True}
    stack.create(template(properties | ({"RepositoryPolicyText": before} if before else {})))
    delete_until_frozen(box, stack, repository_name)
    refused = push("during")
    assert refused.returncode != 0
    assert "explicit deny in a resource-based policy" in refused.stderr
    protect(box, stack, repository_name)
    assert stack.wait() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED")
    assert "its deletion protection is on" in message
    assert policy_now(box, repository_name) == before
    after = push("after")
    assert after.returncode == 0, after.stderr
    run_command_in(box, message)
    box.control.clear_faults()
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


@pytest.mark.parametrize("before", [None, POLICY], ids=["no policy", "a policy"])
def test_the_command_in_the_message_makes_pushes_possible_where_the_delete_could_not(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, push: Push, before: object
) -> None:
    properties = {"RepositoryName": repository_name, "FreezeOnDelete": True}
    stack.create(template(properties | ({"RepositoryPolicyText": before} if before else {})))
    delete_until_frozen(box, stack, repository_name)
    box.control.set_faults(deny=["ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy"])
    protect(box, stack, repository_name)
    assert stack.wait() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED").replace('\\"', '"')
    assert push("frozen").returncode != 0
    box.control.clear_faults()
    [command] = re.findall("`([^`]+)`", message)
    done = subprocess.run(command, shell=True, env=box.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert policy_now(box, repository_name) == before
    assert push("after").returncode == 0
    run_command_in(box, message)
    assert stack.delete() == "DELETE_COMPLETE"
