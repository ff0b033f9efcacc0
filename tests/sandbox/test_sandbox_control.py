"""The control endpoint, and ECR as it is reached through the sandbox."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from demo.images import write_layout
from sandbox.control import ControlError
from sandbox.server import Sandbox, start_sandbox
from tests.support.samples import manifest
from tests.support.stub import TYPE_NAME, make_package, register


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        yield box


@pytest.fixture
def box(sandbox: Sandbox) -> Iterator[Sandbox]:
    yield sandbox
    sandbox.control.clear_faults()
    sandbox.control.clear_lateness()
    sandbox.control.reset_settings()
    for name in sandbox.control.repositories():
        sandbox.client("ecr").delete_repository(repositoryName=name, force=True)


def test_seed_runs_the_builders_steps(box: Sandbox) -> None:
    made = box.control.seed("app", ("with_images", {"count": 3}), ("with_archived", {"count": 2}))
    assert made["images"] == 5
    assert made["statuses"] == {"ACTIVE": 3, "ARCHIVED": 2}
    assert len(box.client("ecr").list_images(repositoryName="app")["imageIds"]) == 3


def test_seed_of_an_unknown_step_is_refused(box: Sandbox) -> None:
    with pytest.raises(ControlError, match="there is no with_magic"):
        box.control.seed("app", ("with_magic", {}))


def test_repository_shows_tags_and_policies(box: Sandbox) -> None:
    ecr = box.client("ecr")
    ecr.create_repository(repositoryName="app", tags=[{"Key": "a", "Value": "1"}])
    found = box.control.repository("app")
    assert found is not None
    assert (found["tags"], found["images"], found["policy"]) == ({"a": "1"}, 0, None)
    assert box.control.repository("nothing") is None


def test_addresses_of_repositories_are_where_images_are_pushed_to(box: Sandbox) -> None:
    made = box.client("ecr").create_repository(repositoryName="app")["repository"]
    assert made["repositoryUri"] == f"{box.registry_host}/app"


def test_calls_are_counted(box: Sandbox) -> None:
    box.control.calls(reset=True)
    ecr = box.client("ecr")
    ecr.create_repository(repositoryName="app")
    for _ in range(2):
        ecr.describe_repositories()
    assert box.control.calls(reset=True) == {"CreateRepository": 1, "DescribeRepositories": 2}
    assert box.control.calls() == {}


def test_deletions_are_listed(box: Sandbox) -> None:
    box.control.seed("deleted-from", ("with_images", {"count": 2}))
    box.client("ecr").delete_repository(repositoryName="deleted-from", force=True)
    found = [each for each in box.control.deletions() if each["repository"] == "deleted-from"]
    assert [each["by_force"] for each in found] == [True, True]


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"deny": ["ecr:DescribeRepositories"]}, "AccessDeniedException"),
        ({"every_nth_fails": {"*": 1}}, "ServerException"),
    ],
)
def test_faults_that_are_set(box: Sandbox, faults: dict[str, Any], code: str) -> None:
    box.control.set_faults(**faults)
    with pytest.raises(ClientError) as raised:
        box.client("ecr").describe_repositories()
    assert raised.value.response["Error"]["Code"] == code
    box.control.clear_faults()
    box.client("ecr").describe_repositories()


def test_faults_that_are_called(box: Sandbox) -> None:
    box.control.set_faults(("throttle", {"rate": 0.001, "burst": 1}))
    box.client("ecr").describe_repositories()
    with pytest.raises(ClientError, match="Rate exceeded"):
        box.client("ecr").describe_repositories()


def test_latency_does_not_hold_up_others(box: Sandbox) -> None:
    box.control.set_faults(latency={"DescribeRepositories": 0.3})
    started = time.monotonic()
    box.client("ecr").describe_repositories()
    assert time.monotonic() - started >= 0.3


def test_an_unknown_fault_is_refused(box: Sandbox) -> None:
    with pytest.raises(ControlError, match="set_faults: "):
        box.control.set_faults(no_such_thing=1)


def test_lateness_that_is_set(box: Sandbox) -> None:
    box.control.set_lateness(new_repository=3)  # longer than a busy machine needs for the next calls
    ecr = box.client("ecr")
    ecr.create_repository(repositoryName="app")
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.describe_repositories(repositoryNames=["app"])
    time.sleep(3)
    ecr.describe_repositories(repositoryNames=["app"])


def test_lateness_that_is_called(box: Sandbox) -> None:
    box.control.seed("app")
    box.control.set_lateness(("stale_next", {"operation": "DescribeRepositories", "answer": "not found", "times": 2}))
    ecr = box.client("ecr")
    for _ in range(2):
        with pytest.raises(ClientError, match="RepositoryNotFoundException"):
            ecr.describe_repositories(repositoryNames=["app"])
    ecr.describe_repositories(repositoryNames=["app"])


def test_lateness_is_cleared(box: Sandbox) -> None:
    box.control.set_lateness(("draw", {"source": 1}), new_repository=60)
    box.client("ecr").create_repository(repositoryName="app")
    box.control.clear_lateness()
    [repository] = box.client("ecr").describe_repositories(repositoryNames=["app"])["repositories"]
    assert repository["repositoryName"] == "app"


@pytest.mark.parametrize("wrong", [{"no_such_thing": 1}, {"stale_next": {"operation": "DescribeImages"}}])
def test_unknown_lateness_is_refused(box: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="set_lateness: "):
        box.control.set_lateness(**wrong)


def test_a_policy_that_names_a_role_of_the_sandbox_is_refused_while_the_role_is_new(box: Sandbox) -> None:
    box.control.seed("app")
    box.control.set_lateness(new_role=4)  # the sandbox's IAM tells whole seconds
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    role = box.client("iam").create_role(RoleName="new", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "ecr:BatchGetImage"}
    policy = {"repositoryName": "app", "policyText": json.dumps({"Statement": [statement]})}
    with pytest.raises(ClientError, match="Principal not found"):
        box.client("ecr").set_repository_policy(**policy)
    time.sleep(4)
    box.client("ecr").set_repository_policy(**policy)


def test_deletes_are_replicated_to_another_region(box: Sandbox) -> None:
    regions = "us-east-1", "eu-west-1"
    here, there = (box.client("ecr", region=region) for region in regions)
    for client in (here, there):
        client.create_repository(repositoryName="app")
        digest = client.put_image(repositoryName="app", imageManifest=manifest())["image"]["imageId"]["imageDigest"]
    box.control.put_replication(("eu-west-1", "123456789012"))
    here.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": digest}])
    box.control.put_replication()
    assert there.list_images(repositoryName="app")["imageIds"] == []
    [found] = box.control.replicated_deletions()
    assert found == {"region": "eu-west-1", "registry": "123456789012", "repository": "app", "digest": digest}
    there.delete_repository(repositoryName="app")


def test_accounts_and_regions_have_their_own_images(box: Sandbox) -> None:
    box.control.seed("app", ("with_images", {"count": 1}), account="111111111111", region="eu-west-1")
    there = box.client("ecr", region="eu-west-1", account="111111111111")
    assert there.describe_repositories()["repositories"][0]["registryId"] == "111111111111"
    assert box.control.repositories() == []
    assert box.control.repositories(account="111111111111", region="eu-west-1") == ["app"]


def test_settings_are_changed_and_reset(box: Sandbox) -> None:
    assert box.control.settings(call_seconds=1)["call_seconds"] == 1
    assert box.control.settings()["call_seconds"] == 1
    assert box.control.reset_settings()["call_seconds"] == 60
    with pytest.raises(ControlError, match="speed is not a setting"):
        box.control.settings(speed=1)


def test_invocations_are_reset(box: Sandbox) -> None:
    box.control.invocations(reset=True)
    assert box.control.invocations() == []


def test_functions_of_a_package_are_invoked(box: Sandbox, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    package.write_bytes(make_package())
    box.control.serve_functions(str(package))
    event = {"action": "LIST", "requestData": {}, "request": {"desiredResourceState": None}}
    for name in ("TypeFunction", "TestEntrypoint"):
        answer = box.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        assert json.loads(answer["Payload"].read())["status"] == "SUCCESS"


def test_a_function_that_raises(box: Sandbox, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    package.write_bytes(make_package())
    box.control.serve_functions(str(package))
    answer = box.client("lambda").invoke(FunctionName="TypeFunction", Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert "KeyError" in json.loads(answer["Payload"].read())["errorMessage"]


def test_images_can_be_pushed_before_each_delete(box: Sandbox) -> None:
    register(box)
    box.control.settings(seed_before_delete=[{"method": "with_images", "arguments": {"count": 3}}])
    state = json.dumps({"Name": "seeded", "Size": 1})
    control = box.client("cloudcontrol")
    for request in (
        control.create_resource(TypeName=TYPE_NAME, DesiredState=state),
        *(control.delete_resource(TypeName=TYPE_NAME, Identifier="seeded") for _ in wait_for(control, "seeded")),
    ):
        token = request["ProgressEvent"]["RequestToken"]
        while control.get_resource_request_status(RequestToken=token)["ProgressEvent"]["OperationStatus"] != "SUCCESS":
            time.sleep(0.01)
    found = box.control.repository("seeded")
    assert found is not None
    assert found["images"] == 3


def wait_for(control: Any, name: str) -> Iterator[None]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            control.get_resource(TypeName=TYPE_NAME, Identifier=name)
        except ClientError:
            time.sleep(0.01)
        else:
            yield
            return


@pytest.mark.parametrize("drop", ["drop_before", "drop_after"])
def test_a_connection_that_is_dropped(box: Sandbox, drop: str) -> None:
    box.control.set_faults((drop, {"operation": "CreateRepository"}))
    with pytest.raises(ConnectionClosedError):
        box.client("ecr").create_repository(repositoryName="app")
    assert box.control.repositories() == (["app"] if drop == "drop_after" else [])


def test_images_are_pushed_by_the_registrys_own_protocol(box: Sandbox, tmp_path: Path) -> None:
    box.client("ecr").create_repository(repositoryName="team/app")
    write_layout(tmp_path / "layout", "1.0")
    target = f"docker://{box.registry_host}/team/app:latest"
    options = ["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false"]
    command = ["skopeo", *options, f"oci:{tmp_path}/layout:1.0", target]
    subprocess.run(command, check=True, env=box.environment)
    assert images_in(box, "team/app") == 3
    back = ["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false"]
    subprocess.run([*back, target, f"oci:{tmp_path}/back:1.0"], check=True, env=box.environment)


def test_a_push_finds_the_region_of_its_repository(box: Sandbox) -> None:
    place = {"region": "eu-west-1"}
    box.client("ecr", **place).create_repository(repositoryName="elsewhere")
    connection = HTTPConnection(box.registry_host)
    connection.request("POST", "/v2/elsewhere/blobs/uploads/")
    assert connection.getresponse().status == 202
    connection.close()
    box.client("ecr", **place).delete_repository(repositoryName="elsewhere")


def images_in(box: Sandbox, name: str) -> int:
    found = box.control.repository(name)
    assert found is not None
    count: int = found["images"]
    return count
