"""Images in use keep the repository: what Lambda, ECS and Amazon Inspector are asked, and what the user reads."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.deletion.asking import what_would_delete_do
from awstut_ecr_autopurgerepository.deletion.verdict import Outcome
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import Owner
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from tests.support.samples import LONG_NAME, put_tag, tags_of
from tests.support.strict import ACCOUNT, MARKED, REGION, Purge, Users, Wire, run_command_in
from tests.support.virtual import VirtualPool

SUCCESS = OperationStatus.SUCCESS
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
URI = f"{HOST}/app"
GONE = f"sha256:{'0' * 64}"
ALL = "lambda ecs inspector"


def fill(
    ecr: StrictEcr, services: str = ALL, images: int = 3, name: str = "app", more: dict[str, str] | None = None
) -> RepositoryBuilder:
    """A repository whose images may not be in use by these services."""
    tags = {"awstut:auto-purge": "on protect-in-use", "awstut:protect-in-use": services}
    return ecr.repository(name, tags=tags | (more or {})).with_images(images)


def digest_of(ecr: StrictEcr, tag: str, name: str = "app") -> str:
    return next(image.digest for image in ecr.images(name) if tag in image.tags)


def assert_kept(ecr: StrictEcr, event: Any, *reasons: str) -> None:
    """The delete was refused for these reasons before it touched an image."""
    assert event.status is OperationStatus.FAILED, event
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    for reason in reasons:
        assert reason in event.message
    assert not ecr.calls["BatchDeleteImage"]
    assert len(event.message) <= LONGEST_MESSAGE


# Lambda


def test_an_image_that_a_function_resolved_keeps_all(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda")
    digest = digest_of(ecr, "v1")
    users.functions.add("checkout", f"{URI}:v1", f"{URI}@{digest}", version="7")
    event = delete()
    assert_kept(ecr, event, f"1 image is in use: v1 ({digest[:19]}) by the Lambda function checkout:7")
    run_command_in(ecr, event.message)
    assert tags_of(ecr)["awstut:protect-in-use"] == "off"
    assert delete().status is SUCCESS
    assert ecr.holds("app") is None


def test_a_function_protects_the_image_that_it_resolved_although_the_tag_has_moved(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    builder = fill(ecr, "lambda")
    digest = digest_of(ecr, "v1")
    builder.with_tagged("v1")  # The old image has no tag now.
    users.functions.add("checkout", f"{URI}:v1", f"{URI}@{digest}")
    assert_kept(ecr, delete(), "2 images are in use", f"{digest[:19]} by the Lambda function checkout")


def test_a_function_protects_what_its_tag_names_now(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda").with_tagged("latest")
    users.functions.add("checkout", URI, f"{URI}@{GONE}")  # Without a tag, it is latest.
    assert_kept(ecr, delete(), f"latest ({digest_of(ecr, 'latest')[:19]}) by the Lambda function checkout")


def test_a_function_whose_image_is_gone_uses_none(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda")
    users.functions.add("checkout", f"{URI}:gone", f"{URI}@{GONE}")
    users.functions.add("zip")
    assert delete().status is SUCCESS


def test_a_function_that_is_deleted_meanwhile_uses_none(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda")
    users.functions.add("checkout", f"{URI}:v1")
    users.functions.faults.fail_next("GetFunction", "ResourceNotFoundException", "Function not found", 404)
    assert delete().status is SUCCESS


@pytest.mark.parametrize("status", ["ARCHIVED", "ACTIVATING"])
def test_an_image_of_any_status_can_be_in_use(ecr: StrictEcr, delete: Purge, users: Users, status: str) -> None:
    fill(ecr, "lambda").with_tagged("old", status=status)
    users.functions.add("checkout", f"{URI}:old")
    assert_kept(ecr, delete(), "1 image is in use: old (")


def test_images_of_an_index_need_no_look(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda").with_multi_arch(1, tag="multi")
    users.functions.add("checkout", f"{URI}:multi")
    assert_kept(ecr, delete(), "1 image is in use: multi (")


def test_many_functions_are_listed_page_by_page_and_only_those_of_images_are_asked_for(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "lambda")
    for number in range(120):
        users.functions.add(f"zip-{number:03}")
    for number in range(10):
        users.functions.add(f"image-{number:03}", f"{HOST}/other:v1", version="1")
    assert delete().status is SUCCESS
    assert users.functions.calls == {"ListFunctions": 3, "GetFunction": 10}


def test_lambda_is_asked_at_a_pace_that_leaves_room_for_deployments(
    ecr: StrictEcr, delete: Purge, users: Users, clock: VirtualClock
) -> None:
    fill(ecr, "lambda")
    for number in range(500):
        users.functions.add(f"a-{number:04}")
    for number in range(100):
        users.functions.add(f"b-{number:04}", f"{HOST}/other:v1")
    assert delete().status is SUCCESS
    for operation, most in (("ListFunctions", 5), ("GetFunction", 25)):
        seconds = Counter(int(time) for time, each in users.functions.times if each == operation)
        assert max(seconds.values()) <= most + 1, operation
    assert users.functions.calls == {"ListFunctions": 12, "GetFunction": 100}


def test_a_large_account_is_asked_over_several_calls_with_nothing_but_a_token(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "lambda")
    for number in range(350):
        users.functions.add(f"f-{number:04}", f"{HOST}/other:v1")
    users.functions.faults.latency["GetFunction"] = 2.0
    users.functions.add("the-last", f"{URI}:v1")
    slices = list(delete.slices())
    assert len(slices) >= 3
    for each in slices[:-1]:
        assert each.callbackContext is not None
        assert len(repr(each.callbackContext["use"])) < 300
        assert each.message == "Asking Lambda which images of app are in use. Images are deleted only after that."
    assert_kept(ecr, slices[-1], "by the Lambda function the-last")
    assert users.functions.calls["GetFunction"] < 350 + 150  # a page that a call had no time for is asked again


def test_a_token_that_lambda_no_longer_takes_means_to_list_again(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda")
    users.functions.faults.latency["GetFunction"] = 2.0
    for number in range(180):
        users.functions.add(f"f-{number:04}", f"{HOST}/other:v1")
    users.functions.add("a-first", f"{URI}:gone")
    slices = delete.slices()
    context = next(slices).callbackContext
    assert context is not None
    assert context["use"]["place"]
    users.functions.faults.fail_next("ListFunctions", "InvalidParameterValueException", "Invalid Marker")
    assert list(slices)[-1].status is SUCCESS
    assert users.functions.calls["GetFunction"] > 181 + 100


# ECS


def test_a_running_task_protects_the_image_that_it_pulled(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    builder = fill(ecr, "ecs")
    digest = digest_of(ecr, "v1")
    builder.with_tagged("v1")
    users.containers.add_task("prod", f"{URI}:v1", digest)
    assert_kept(ecr, delete(), f"1 image is in use: {digest[:19]} by the ECS task job:1 in cluster prod")


def test_a_task_that_has_not_pulled_yet_protects_what_its_tag_names(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "ecs")
    users.containers.add_task("prod", f"{URI}:v1", group="service:web")
    assert_kept(ecr, delete(), "1 image is in use: v1 (", "by the ECS service web in cluster prod")


def test_a_service_without_a_task_protects_the_images_of_its_task_definitions(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "ecs")
    digest, ecs = digest_of(ecr, "v2"), users.containers
    pinned = ecs.add_task_definition("web", "docker.io/library/nginx", f"{URI}@{digest}")
    ecs.add_service(
        "prod", "web", pinned, deployments=[{"taskDefinition": ecs.add_task_definition("web", f"{URI}:v1")}]
    )
    event = delete()
    assert_kept(ecr, event, "2 images are in use", f"v2 ({digest[:19]}) by the ECS service web in cluster prod; v1 (")


def test_what_ecs_no_longer_runs_is_no_use(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "ecs")
    ecs = users.containers
    ecs.add_task("prod", f"{URI}:v1", digest_of(ecr, "v1"))["desiredStatus"] = "STOPPED"
    ecs.add_service("prod", "web", ecs.add_task_definition("web", f"{URI}:v1"))["status"] = "INACTIVE"
    ecs.add_task_definition("alone", f"{URI}:v1")
    ecs.add_task("prod", f"{URI}:gone", GONE)
    assert delete().status is SUCCESS


def test_images_of_other_accounts_and_regions_are_not_ours(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr)
    users.inspector.cover("app")
    users.inspector.count("app", digest_of(ecr, "v1"), 4, account="999999999999")
    for uri in (HOST.replace(ACCOUNT, "999999999999"), HOST.replace(REGION, "us-east-1")):
        users.functions.add("checkout", f"{uri}/app:v1", f"{uri}/app@{digest_of(ecr, 'v1')}")
        users.containers.add_service("prod", "web", users.containers.add_task_definition("web", f"{uri}/app:v1"))
    assert delete().status is SUCCESS


def test_all_clusters_tasks_and_services_are_looked_at(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "ecs")
    ecs = users.containers
    other = ecs.add_task_definition("other", f"{HOST}/other:v1")
    for number in range(103):
        ecs.add_cluster(f"c-{number:03}")
    for _ in range(205):
        ecs.add_task("c-007", f"{HOST}/other:v1", GONE)
    for number in range(25):
        ecs.add_service("c-007", f"s-{number:03}", other)
    ecs.add_service("c-102", "the-last", ecs.add_task_definition("last", f"{URI}:v1"))
    assert_kept(ecr, delete(), "by the ECS service the-last in cluster c-102")
    assert ecs.calls == {
        "ListClusters": 2,
        "ListTasks": 105,
        "DescribeTasks": 3,
        "ListServices": 103,
        "DescribeServices": 4,
        "DescribeTaskDefinition": 2,
    }
    assert len(delete.events) == 1


def test_many_clusters_are_looked_at_over_several_calls(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "ecs")
    for number in range(50):
        users.containers.add_cluster(f"c-{number:03}")
    users.containers.faults.latency["*"] = 1.0
    users.containers.add_task("c-049", f"{URI}:v1", digest_of(ecr, "v1"))
    slices = list(delete.slices())
    assert len(slices) >= 3
    assert_kept(ecr, slices[-1], "in cluster c-049")
    assert users.containers.calls["ListTasks"] < 50 + 5


def test_a_cluster_that_is_deleted_meanwhile_uses_nothing(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "ecs")
    users.containers.add_cluster("prod")
    users.containers.faults.fail_next("ListTasks", "ClusterNotFoundException", "Cluster not found.")
    users.containers.faults.fail_next("ListServices", "ClusterNotFoundException", "Cluster not found.")
    assert delete().status is SUCCESS


# Amazon Inspector


def test_an_image_that_inspector_counts_keeps_all(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "inspector", images=450)
    users.inspector.cover("app")
    for image in ecr.images("app"):
        users.inspector.count("app", image.digest, 3 if "v449" in image.tags else 0)
    assert_kept(ecr, delete(), "1 image is in use: v449 (", "by 3 containers in ECS or EKS")
    assert users.inspector.calls["ListCoverage"] == 3


def test_a_repository_that_inspector_scans_and_nobody_runs_is_deleted(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "inspector")
    users.inspector.cover("app")
    users.inspector.count("app", digest_of(ecr, "v1"), 0)
    users.inspector.count("app", GONE, 7)
    assert delete().status is SUCCESS


def test_what_inspector_does_not_scan_counts_as_in_use(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "inspector")
    users.inspector.cover("app", scanned=False)
    users.inspector.cover("other")
    event = delete()
    assert_kept(ecr, event, "Amazon Inspector does not scan the repository app, or is off in this account and Region")
    run_command_in(ecr, event.message)
    assert delete().status is SUCCESS


def test_where_inspector_is_off_all_counts_as_in_use(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "inspector")
    users.inspector.is_enabled = lambda: False
    assert_kept(
        ecr, delete(), "Amazon Inspector is off in this account and Region, or inspector2:ListCoverage was denied"
    )


# What cannot be asked


PERMISSIONS = {
    "lambda:ListFunctions": "lambda",
    "lambda:GetFunction": "lambda",
    "ecs:ListClusters": "ecs",
    "ecs:ListTasks": "ecs",
    "ecs:DescribeTasks": "ecs",
    "ecs:ListServices": "ecs",
    "ecs:DescribeServices": "ecs",
    "ecs:DescribeTaskDefinition": "ecs",
    "inspector2:ListCoverage": "inspector",
}


@pytest.mark.parametrize("action", PERMISSIONS)
def test_a_missing_permission_counts_as_use_and_is_named(
    ecr: StrictEcr, delete: Purge, users: Users, action: str
) -> None:
    fill(ecr, PERMISSIONS[action])
    users.functions.add("checkout", f"{HOST}/other:v1")
    users.containers.add_task("prod", f"{HOST}/other:v1", GONE)
    users.containers.add_service("prod", "web", users.containers.add_task_definition("web", f"{HOST}/other:v1"))
    users.inspector.cover("app")
    for service in (users.functions, users.containers, users.inspector):
        service.denied.add(action)
    assert_kept(ecr, delete(), f"all count as in use: {action} was denied to the role that runs this resource type")
    assert ecr.holds("app") == 3


@pytest.mark.parametrize("services", ["lambda", "ecs", "inspector"])
def test_a_failure_that_passes_is_tried_again(ecr: StrictEcr, delete: Purge, users: Users, services: str) -> None:
    fill(ecr, services)
    users.inspector.cover("app")
    users.containers.add_cluster("prod")
    users.functions.add("checkout", f"{HOST}/other:v1")
    for service, operations in (
        (users.functions, ("ListFunctions", "GetFunction")),
        (users.containers, ("ListClusters", "ListTasks", "ListServices")),
        (users.inspector, ("ListCoverage",)),
    ):
        for operation in operations:
            service.faults.fail_next(operation, "InternalServerException", "boom", 500, times=2)
            service.faults.drop_before(operation)
            service.faults.fail_next(operation, "ThrottlingException", "Rate exceeded", times=2)
    assert delete().status is SUCCESS


@pytest.mark.parametrize("code", ["InternalServerException", "ThrottlingException"])
def test_a_failure_that_stays_counts_as_in_use(ecr: StrictEcr, delete: Purge, users: Users, code: str) -> None:
    fill(ecr, "lambda ecs")
    status = 500 if code == "InternalServerException" else 400
    users.containers.faults.fail_next("ListTasks", code, "boom", status, times=10_000)
    users.containers.add_cluster("prod")
    assert_kept(ecr, delete(), "ECS could not be asked: boom")
    assert 60 < sum(delete.slice_seconds) < 200


def test_an_answer_that_nobody_expects_counts_as_in_use(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "ecs")
    users.containers.faults.fail_next("ListClusters", "ClientException", "The request is not taken.")
    assert_kept(ecr, delete(), "ECS could not be asked: The request is not taken")


def test_a_failure_of_ecr_is_not_taken_for_one_of_a_user(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda")
    users.functions.add("checkout", f"{URI}:v1")
    ecr.before("DescribeImages", lambda _: ecr.faults.deny.add("ecr:DescribeImages"), nth=1)
    event = delete()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert "ecr:DescribeImages was denied" in event.message


# Who is asked when


def test_where_nobody_asks_not_one_call_more_is_made(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    users.functions.add("checkout", f"{URI}:v1")
    assert delete().status is SUCCESS
    assert users.made == []
    assert ecr.calls["DescribeImages"] == 1


def test_an_empty_repository_is_deleted_without_asking(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, images=0)
    assert delete().status is SUCCESS
    assert users.made == []


def test_all_services_are_asked_and_all_users_named(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr)
    users.functions.add("checkout", f"{URI}:v1", version="7")
    users.containers.add_service("prod", "web", users.containers.add_task_definition("web", f"{URI}:v1", f"{URI}:v2"))
    users.inspector.is_enabled = lambda: False
    event = delete()
    shown = {tag: digest_of(ecr, tag)[:19] for tag in ("v1", "v2")}
    assert_kept(
        ecr,
        event,
        f"2 images are in use: v1 ({shown['v1']}) by the Lambda function checkout:7, the ECS service web in cluster "
        f"prod; v2 ({shown['v2']}) by the ECS service web in cluster prod",
        "Amazon Inspector is off",
    )


def test_only_what_refused_is_switched_off(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, more={"awstut:auto-purge": "on protect-in-use protect-pulled-days", "awstut:protect-pulled-days": "5"})
    users.inspector.cover("app")
    users.functions.add("checkout", f"{URI}:v1")
    event = delete()
    run_command_in(ecr, event.message)
    assert tags_of(ecr)["awstut:protect-in-use"] == "ecs inspector"
    assert tags_of(ecr)["awstut:protect-pulled-days"] == "5"
    assert delete().status is SUCCESS


def test_the_account_asks_for_all_repositories(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    users.functions.add("checkout", f"{URI}:v1")
    delete.configuration = AccountRules(in_use_by=("LAMBDA",))
    event = delete()
    assert_kept(ecr, event, "1 image is in use (type configuration of the account): v1 (", "set-type-configuration")
    assert "tag-resource" not in event.message


def test_use_is_checked_again_once_pushes_are_refused(ecr: StrictEcr, delete: Purge, users: Users) -> None:
    fill(ecr, "lambda", more={"awstut:freeze-on-delete": "on"})
    ecr.after("SetRepositoryPolicy", lambda _: users.functions.add("checkout", f"{URI}:v1"))
    assert_kept(ecr, delete(), "by the Lambda function checkout")
    assert ecr.repositories["app"].policy is None


def test_use_is_checked_again_in_a_call_that_begins_ten_minutes_later(
    ecr: StrictEcr, delete: Purge, users: Users, clock: VirtualClock
) -> None:
    fill(ecr, "lambda", images=6_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=0.5, burst=1)
    slices = delete.slices()
    next(slices)
    next(slices)
    assert users.functions.calls["ListFunctions"] == 1
    clock.advance(600)
    users.functions.add("checkout", f"{URI}:v5999")
    left = ecr.holds("app")
    event = next(slices)
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "Stopped after deleting" in event.message
    assert "v5999" in event.message
    assert ecr.holds("app") == left


def test_a_service_that_an_operator_adds_during_a_purge_is_asked_at_once(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "lambda", images=6_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=0.5, burst=1)
    slices = delete.slices()
    next(slices)
    users.containers.add_task("prod", f"{URI}:v5999", digest_of(ecr, "v5999"))
    put_tag(ecr, "awstut:protect-in-use", "lambda ecs")
    assert "by the ECS task job:1 in cluster prod" in next(slices).message


def test_it_is_looked_for_more_for_ten_seconds_and_said_that_there_may_be_more(
    ecr: StrictEcr, delete: Purge, users: Users, clock: VirtualClock
) -> None:
    fill(ecr, "ecs")
    users.containers.add_task("a-cluster", f"{URI}:v1", digest_of(ecr, "v1"))
    users.containers.faults.latency["*"] = 1.0
    for number in range(20):
        users.containers.add_cluster(f"c-{number:03}")
    began = clock.monotonic()
    event = delete()
    assert_kept(ecr, event, "1 image is in use: v1 (", "perhaps more")
    assert 9 < clock.monotonic() - began < 15


def test_a_message_with_many_images_and_long_names_fits_and_keeps_its_command(
    ecr: StrictEcr, delete: Purge, users: Users
) -> None:
    fill(ecr, "lambda", images=60, name=LONG_NAME)
    for number in range(60):
        users.functions.add(f"{number:02}{'f' * 62}", f"{HOST}/{LONG_NAME}:v{number}")
    event = delete(LONG_NAME)
    assert_kept(ecr, event, "59 images are in use: v")
    run_command_in(ecr, event.message)
    assert tags_of(ecr, LONG_NAME)["awstut:protect-in-use"] == "off"


# Asked without a delete


def test_who_asks_first_reads_what_the_delete_would_say(
    ecr: StrictEcr, delete: Purge, users: Users, clock: VirtualClock
) -> None:
    fill(ecr)
    users.functions.add("checkout", f"{URI}:v1")
    users.inspector.is_enabled = lambda: False
    client, pool = ecr.client(), VirtualPool(8, clock)
    arguments = (client, "app", Owner(), AccountRules(), ACCOUNT, clock, pool, delete.s3.client, users.client)
    answer = what_would_delete_do(*arguments)
    assert answer.outcome is Outcome.REFUSE
    assert [each.rule for each in answer.objections] == ["PurgeProtection.InUseBy"] * 2
    assert all(each.command for each in answer.objections)
    assert answer.refusal == delete().message
    assert answer.command is not None
    run_command_in(ecr, answer.command)
    assert what_would_delete_do(*arguments).outcome is Outcome.PURGE


# Over the wire


def test_a_template_sets_it_and_a_delete_obeys(wire: Wire, ecr: StrictEcr, users: Users) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app", "PurgeProtection": {"InUseBy": ["LAMBDA"]}})
    assert tags_of(ecr)["awstut:protect-in-use"] == "lambda"
    ecr.repository("app").with_images(1)
    users.functions.add("checkout", f"{URI}:v0", version="1")
    users.functions.add("checkout", f"{URI}:v1", version="2")
    tag = next(tag for image in ecr.images("app") for tag in image.tags)
    users.functions.add("pay", f"{URI}:{tag}")
    code, message = wire.fail("DELETE", {"RepositoryName": "app"})
    assert code == "InvalidRequest"
    assert "the Lambda function " in message
    changed = {"RepositoryName": "app"}
    wire.succeed("UPDATE", changed, previous=changed | {"PurgeProtection": {"InUseBy": ["LAMBDA"]}})
    assert "awstut:protect-in-use" not in tags_of(ecr)
    wire.succeed("DELETE", {"RepositoryName": "app"})
