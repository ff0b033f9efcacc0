"""The examples as users deploy them: created, filled with images, deleted, after `cfn submit` registered the type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cfn_flip
import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox
from tests.stack.support import holds, run_command_in, user_tags
from tests.support.project_copy import ROOT
from tests.support.stack import Stack, unique_name

EXAMPLES = ROOT / "examples"
IMAGES = (("with_images", {"count": 20}), ("with_multi_arch", {"count": 2}), ("with_archived", {"count": 2}))
IMAGES_IN_ALL = 20 + 6 + 2
EVERYTHING = {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"}


def text_of(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def parameters(**values: str) -> dict[str, Any]:
    """Options of an operation: the parameters, and the capabilities that its examples name."""
    listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    return {"Parameters": listed, "Capabilities": sorted(EVERYTHING)}


def images_pushed_long_ago(**more: Any) -> tuple[str, dict[str, Any]]:
    return ("with_images", {"count": 3, "pushed_days_ago": 400, **more})


@pytest.fixture
def bucket(box: Sandbox) -> str:
    name = unique_name("bucket")
    box.client("s3").create_bucket(Bucket=name)
    return name


def test_minimal(box: Sandbox, stack: Stack, repository_name: str) -> None:
    template = text_of("minimal.yaml").replace("RepositoryName: my-app", f"RepositoryName: {repository_name}")
    assert stack.create(template) == "CREATE_COMPLETE"
    assert stack.outputs["Uri"].endswith(f"/{repository_name}")
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_repository(box: Sandbox, stack: Stack, repository_name: str) -> None:
    options = parameters(RepositoryName=repository_name)
    assert stack.create(text_of("repository.yaml"), **options) == "CREATE_COMPLETE"
    assert stack.outputs["Name"] == repository_name
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


@pytest.fixture
def everything(box: Sandbox, stack: Stack, repository_name: str, bucket: str) -> Stack:
    options = parameters(
        RepositoryName=repository_name,
        ReportBucket=bucket,
        ReportBucketOwner=box.client("sts").get_caller_identity()["Account"],
    )
    assert stack.create(text_of("everything.yaml"), **options) == "CREATE_COMPLETE"
    return stack


def test_everything_reads_as_it_is_written(box: Sandbox, everything: Stack) -> None:
    assert everything.detect_drift() == "IN_SYNC", everything.drifts()
    assert user_tags(box, everything.outputs["Name"]) == {"team": "platform"}


@pytest.mark.usefixtures("generated_role")
def test_everything_keeps_what_it_protects_and_purges_the_rest(box: Sandbox, everything: Stack) -> None:
    name = everything.outputs["Name"]
    box.control.seed(name, images_pushed_long_ago(tag="release-{n}"), images_pushed_long_ago(tag="build-{n}"))
    assert everything.delete() == "DELETE_FAILED"
    assert holds(box, name) == 6
    run_command_in(box, everything.reason("DELETE_FAILED"))
    assert everything.delete() == "DELETE_COMPLETE"
    assert holds(box, name) is None


@pytest.mark.usefixtures("generated_role")
def test_ci_repository(box: Sandbox, stack: Stack, repository_name: str) -> None:
    options = parameters(RepositoryName=repository_name)
    assert stack.create(text_of("ci-repository.yaml"), **options) == "CREATE_COMPLETE"
    reports = stack.outputs["ReportBucket"]
    box.control.seed(repository_name, images_pushed_long_ago(tag="build-{n}"))
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None
    s3 = box.client("s3")  # the bucket stays, and has the report
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=reports)["Contents"]]
    [summary] = [key for key in keys if key.endswith("/summary.json")]
    assert summary.startswith(f"purged/{repository_name}/")
    assert json.loads(s3.get_object(Bucket=reports, Key=summary)["Body"].read())["images"]["confirmed"] == 3


@pytest.mark.parametrize(("days", "tag"), [(400, "release-{n}"), (2, "build-{n}")])
def test_ci_repository_keeps_releases_and_what_was_just_pulled(
    box: Sandbox, stack: Stack, repository_name: str, days: int, tag: str
) -> None:
    stack.create(text_of("ci-repository.yaml"), **parameters(RepositoryName=repository_name))
    images = {"count": 3, "tag": tag, "pushed_days_ago": 500, "pulled_days_ago": days}
    box.control.seed(repository_name, ("with_images", images))
    assert stack.delete() == "DELETE_FAILED"
    assert holds(box, repository_name) == 3


def test_many_repositories(box: Sandbox, stack: Stack) -> None:
    team = unique_name("team")
    services = ("cart", "orders")
    options = parameters(Team=team, Services=",".join(services))
    assert stack.create(text_of("many-repositories.yaml"), **options) == "CREATE_COMPLETE"
    for service in services:
        assert stack.outputs[f"Uri{service}"].endswith(f"/{team}/{service}")
        box.control.seed(f"{team}/{service}", *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    assert [holds(box, f"{team}/{service}") for service in services] == [None, None]


def test_many_repositories_purges_the_one_that_is_taken_out(box: Sandbox, stack: Stack) -> None:
    team = unique_name("team")
    stack.create(text_of("many-repositories.yaml"), **parameters(Team=team, Services="cart,orders"))
    for service in ("cart", "orders"):
        box.control.seed(f"{team}/{service}", *IMAGES)
    options = parameters(Team=team, Services="orders")
    assert stack.update(text_of("many-repositories.yaml"), **options) == "UPDATE_COMPLETE"
    assert holds(box, f"{team}/cart") is None
    assert holds(box, f"{team}/orders") == IMAGES_IN_ALL
    stack.delete()


def test_sam(box: Sandbox, stack: Stack, repository_name: str) -> None:
    """The function is created from the image, but not run: that would take docker."""
    template = text_of("sam.yaml")
    assert stack.create(template, **parameters(RepositoryName=repository_name)) == "CREATE_COMPLETE"
    uri = stack.outputs["Uri"]
    assert "FunctionName" not in stack.outputs
    box.control.seed(repository_name, ("with_images", {"count": 1, "tag": "1.0"}))
    assert stack.update(template, **parameters(RepositoryName=repository_name, ImageTag="1.0")) == "UPDATE_COMPLETE"
    function = box.client("lambda").get_function(FunctionName=stack.outputs["FunctionName"])
    assert function["Code"]["ImageUri"] == f"{uri}:1.0"
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None
    gone = [event for event in stack.finished("DELETE_COMPLETE") if event in ("Function", "Repository")]
    assert gone == ["Function", "Repository"]


def test_cross_stack(box: Sandbox, make_stack: Callable[[], Stack], repository_name: str) -> None:
    shared, user = make_stack(), make_stack()
    shared.create(text_of("cross-stack-export.yaml"), **parameters(RepositoryName=repository_name))
    options = parameters(RepositoryStack=shared.name, ImageTag="2.0")
    assert user.create(text_of("cross-stack-import.yaml"), **options) == "CREATE_COMPLETE"
    task = box.client("ecs").describe_task_definition(taskDefinition=user.outputs["TaskArn"])["taskDefinition"]
    assert task["containerDefinitions"][0]["image"] == f"{shared.outputs['Uri']}:2.0"
    box.control.seed(repository_name, *IMAGES)
    with pytest.raises(ClientError, match="imported by"):
        shared.delete()
    assert holds(box, repository_name) == IMAGES_IN_ALL
    assert [user.delete(), shared.delete()] == ["DELETE_COMPLETE"] * 2
    assert holds(box, repository_name) is None


def test_tutorial(box: Sandbox, stack: Stack, repository_name: str, bucket: str) -> None:
    for path in (EXAMPLES / "tutorial").glob("*.yaml"):
        box.client("s3").upload_file(str(path), bucket, f"tutorial/{path.name}")
    options = parameters(TemplateBucket=bucket, RepositoryName=repository_name)
    assert stack.create(text_of("tutorial/root.yaml"), **options) == "CREATE_COMPLETE"
    assert stack.outputs["Uri"].endswith(f"/{repository_name}")
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_tutorial_s_delete_fails_where_the_repository_s_does(
    box: Sandbox, stack: Stack, repository_name: str, bucket: str
) -> None:
    for path in (EXAMPLES / "tutorial").glob("*.yaml"):
        box.client("s3").upload_file(str(path), bucket, f"tutorial/{path.name}")
    stack.create(text_of("tutorial/root.yaml"), **parameters(TemplateBucket=bucket, RepositoryName=repository_name))
    client = box.client("ecr")
    arn = client.describe_repositories(repositoryNames=[repository_name])["repositories"][0]["repositoryArn"]
    protection = {"Key": "awstut:deletion-protection", "Value": "on"}
    client.tag_resource(resourceArn=arn, tags=[protection])
    assert stack.delete() == "DELETE_FAILED"
    client.tag_resource(resourceArn=arn, tags=[{**protection, "Value": "off"}])
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_tutorial_needs_neither_a_function_nor_a_custom_resource() -> None:
    kinds = set()
    for path in (EXAMPLES / "tutorial").glob("*.yaml"):
        kinds |= {each["Type"] for each in cfn_flip.load(path.read_text())[0]["Resources"].values()}
    before = cfn_flip.load((ROOT / "demo" / "tutorial.yaml").read_text())[0]["Resources"]
    gone = {each["Type"] for each in before.values()} - kinds
    assert gone == {"AWS::ECR::Repository", "AWS::Lambda::Function", "Custom::EmptyRepository"}
    assert "Awstut::ECR::AutoPurgeRepository" in kinds


def test_type_configuration(box: Sandbox, make_stack: Callable[[], Stack], repository_name: str) -> None:
    rules, stack = make_stack(), make_stack()
    template = text_of("type-configuration.yaml")
    assert rules.create(template, **parameters()) == "CREATE_COMPLETE"
    stack.create(text_of("repository.yaml"), **parameters(RepositoryName=repository_name))
    box.control.seed(repository_name, images_pushed_long_ago(tag="release-{n}"))
    assert stack.delete() == "DELETE_FAILED"
    assert "type configuration" in stack.reason("DELETE_FAILED")
    options = parameters(Configuration=json.dumps({"PurgeProtection": {"TagPatterns": ["gold-*"]}}))
    assert rules.update(template, **options) == "UPDATE_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"
    assert rules.delete() == "DELETE_COMPLETE"
    asked = [{"Type": "RESOURCE", "TypeName": "Awstut::ECR::AutoPurgeRepository"}]
    answer = box.client("cloudformation").batch_describe_type_configurations(TypeConfigurationIdentifiers=asked)
    assert [json.loads(each["Configuration"]) for each in answer["TypeConfigurations"]] == [{}]


def test_type_configuration_that_does_not_fit_the_schema_fails(stack: Stack) -> None:
    wrong = parameters(Configuration=json.dumps({"Concurrency": 99}))
    assert stack.create(text_of("type-configuration.yaml"), **wrong) == "ROLLBACK_COMPLETE"
    assert "99" in stack.reason("CREATE_FAILED", "TypeConfiguration")
