"""The strict ECR can be late: what a client sees of it over boto3, in virtual time, and which clients fail on it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.ecr import EcrError, Lateness, Stale, StrictEcr, VirtualClock
from sandbox.ecr.lateness import READS
from sandbox.iam.ecr import authorizer
from sandbox.iam.policies import Policies
from tests.support.samples import LIFECYCLE, ROLE, manifest
from tests.support.virtual import VirtualPool

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

TAGS: list[Any] = [{"Key": "team", "Value": "shop"}]
MORE_TAGS: list[Any] = [{"Key": "cost", "Value": "42"}]


@pytest.fixture
def client(ecr: StrictEcr) -> ECRClient:
    return ecr.client(config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def lateness(ecr: StrictEcr) -> Lateness:
    return ecr.lateness


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """The error of a call; empty if it succeeds."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def tags_of(client: ECRClient, ecr: StrictEcr) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in client.list_tags_for_resource(resourceArn=ecr.arn("app"))["tags"]}


def listed(client: ECRClient, operation: str = "describe_images") -> list[str]:
    """The digests that a whole listing has."""
    found: list[str] = []
    for page in client.get_paginator(operation).paginate(  # type: ignore[call-overload]
        repositoryName="app", filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": 3}
    ):
        found += [each["imageDigest"] for each in page.get("imageIds", page.get("imageDetails"))]
    return found


def delete(client: ECRClient, *digests: str) -> list[str]:
    """The codes of what failed."""
    answer = client.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": each} for each in digests])
    return [each["failureCode"] for each in answer["failures"]]


def policy(principals: object, actions: object = "ecr:BatchGetImage", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Principal": principals, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# New repositories

ON_A_REPOSITORY: dict[str, dict[str, Any]] = {
    "describe_repositories": {"repositoryNames": ["app"]},
    "list_tags_for_resource": {"resourceArn": "arn:aws:ecr:eu-west-1:123456789012:repository/app"},
    "describe_images": {"repositoryName": "app"},
    "list_images": {"repositoryName": "app"},
    "set_repository_policy": {"repositoryName": "app", "policyText": policy("*")},
    "get_repository_policy": {"repositoryName": "app"},
    "put_lifecycle_policy": {"repositoryName": "app", "lifecyclePolicyText": LIFECYCLE},
    "get_lifecycle_policy": {"repositoryName": "app"},
    "tag_resource": {"resourceArn": "arn:aws:ecr:eu-west-1:123456789012:repository/app", "tags": TAGS},
    "put_image_tag_mutability": {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"},
    "batch_delete_image": {"repositoryName": "app", "imageIds": [{"imageTag": "none"}]},
    "put_image": {"repositoryName": "app", "imageManifest": manifest()},
    "delete_repository": {"repositoryName": "app"},
}


@pytest.mark.parametrize("operation", ON_A_REPOSITORY)
def test_a_new_repository_is_found_late(
    client: ECRClient, lateness: Lateness, clock: VirtualClock, operation: str
) -> None:
    lateness.new_repository = 5
    client.create_repository(repositoryName="app")
    call = getattr(client, operation)
    clock.advance(4.9)
    assert code_of(call, **ON_A_REPOSITORY[operation]) == "RepositoryNotFoundException"
    clock.advance(0.1)
    assert code_of(call, **ON_A_REPOSITORY[operation]) in (
        "",
        *({"RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"} if "get_" in operation else ()),
    )


def test_a_new_repository_is_missing_from_the_list_of_all(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    ecr.repository("aaa")
    ecr.repository("zzz")
    lateness.new_repository = 5
    client.create_repository(repositoryName="app")

    def names() -> list[str]:
        pages = client.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1})
        return [each["repositoryName"] for page in pages for each in page["repositories"]]

    assert names() == ["aaa", "zzz"]
    clock.advance(5)
    assert names() == ["aaa", "app", "zzz"]


def test_the_name_of_a_new_repository_is_taken_at_once(client: ECRClient, lateness: Lateness) -> None:
    lateness.new_repository = 5
    client.create_repository(repositoryName="app")
    assert code_of(client.create_repository, repositoryName="app") == "RepositoryAlreadyExistsException"


def test_a_repository_of_the_builder_has_been_there_all_along(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness
) -> None:
    ecr.repository("app", tags={"team": "shop"})
    lateness.new_repository = lateness.new_tags = 5
    client.describe_repositories(repositoryNames=["app"])
    assert tags_of(client, ecr) == {"team": "shop"}


# Tags


def test_the_tags_of_a_new_repository_are_seen_late(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    lateness.new_repository, lateness.new_tags = 1, 5
    client.create_repository(repositoryName="app", tags=TAGS)
    clock.advance(4.9)
    assert tags_of(client, ecr) == {}
    clock.advance(0.1)
    assert tags_of(client, ecr) == {"team": "shop"}


def test_changes_of_tags_are_seen_late_one_after_the_other(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    ecr.repository("app", tags={"team": "shop"})
    lateness.changed_tags = 5
    client.tag_resource(resourceArn=ecr.arn("app"), tags=MORE_TAGS)
    clock.advance(3)
    client.untag_resource(resourceArn=ecr.arn("app"), tagKeys=["team"])
    assert tags_of(client, ecr) == {"team": "shop"}
    clock.advance(2)
    assert tags_of(client, ecr) == {"team": "shop", "cost": "42"}
    clock.advance(3)
    assert tags_of(client, ecr) == {"cost": "42"}


def role_of_marked_repositories() -> Any:
    """A role that may do everything with repositories whose tag team is shop, and may make them."""
    condition = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    create = {"Effect": "Allow", "Action": ["ecr:CreateRepository", "ecr:TagResource"], "Resource": "*"}
    return authorizer(Policies([{"Version": "2012-10-17", "Statement": [everything, create]}]), "role")


@pytest.mark.parametrize("late", [{"new_repository": 5}, {"new_tags": 5}])
def test_conditions_of_iam_see_the_tags_late(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock, late: dict[str, float]
) -> None:
    vars(lateness).update(late)
    ecr.authorize = role_of_marked_repositories()
    client.create_repository(repositoryName="app", tags=TAGS)
    clock.advance(4.9)
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == "AccessDeniedException"
    assert code_of(client.delete_repository, repositoryName="app") == "AccessDeniedException"
    clock.advance(0.1)
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == ""


# Deleted images


@pytest.mark.parametrize("operation", ["describe_images", "list_images"])
def test_deleted_images_are_still_listed_in_their_order(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock, operation: str
) -> None:
    ecr.repository("app").with_images(10)
    digests = [image.digest for image in ecr.images("app")]
    lateness.deleted_images = 5
    assert delete(client, *digests[7:], *digests[2:5]) == []
    assert ecr.holds("app") == 4
    clock.advance(4.9)
    assert listed(client, operation) == digests
    clock.advance(0.1)
    assert listed(client, operation) == digests[:2] + digests[5:7]


def test_a_deleted_image_is_described_and_not_found_by_a_delete(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    digest = ecr.repository("app").push(("v1",))
    lateness.deleted_images = 5
    delete(client, digest)
    asked: Any = {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
    [detail] = client.describe_images(**asked)["imageDetails"]
    assert detail["imageTags"] == ["v1"]
    assert delete(client, digest) == ["ImageNotFound"]
    clock.advance(5)
    assert code_of(client.describe_images, **asked) == "ImageNotFoundException"


def test_a_deleted_image_that_is_pushed_again_is_listed_once(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness
) -> None:
    ecr.repository("app")
    lateness.deleted_images = 5
    for _ in range(2):
        put = client.put_image(repositoryName="app", imageManifest=manifest())
        digest = put["image"]["imageId"]["imageDigest"]
        assert listed(client) == [digest]
        assert delete(client, digest) == []
    assert listed(client) == [digest]


def test_a_deleted_index_still_counts_as_a_reference(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    builder = ecr.repository("app")
    children = (builder.push(), builder.push())
    index = builder.push(("v1",), children=children)
    lateness.deleted_index = 5
    assert delete(client, index) == []
    clock.advance(4.9)
    assert delete(client, *children) == ["ImageReferencedByManifestList"] * 2
    clock.advance(0.1)
    assert delete(client, *children) == []


def test_an_emptied_repository_still_counts_as_not_empty(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    digest = ecr.repository("app").push()
    lateness.emptied_repository = 5
    delete(client, digest)
    clock.advance(4.9)
    assert code_of(client.delete_repository, repositoryName="app") == "RepositoryNotEmptyException"
    clock.advance(0.1)
    assert code_of(client.delete_repository, repositoryName="app") == ""


# Deleted repositories


def test_a_deleted_repository_is_still_described_with_all_it_had(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    ecr.repository("app", tags={"team": "shop"}).with_images(2)
    lateness.deleted_repository = 5
    client.set_repository_policy(repositoryName="app", policyText=policy("*"))
    before = client.describe_repositories(repositoryNames=["app"])["repositories"]
    images = listed(client)
    client.delete_repository(repositoryName="app", force=True)
    clock.advance(4.9)
    assert client.describe_repositories(repositoryNames=["app"])["repositories"] == before
    assert client.describe_repositories()["repositories"] == before
    assert tags_of(client, ecr) == {"team": "shop"}
    assert client.get_repository_policy(repositoryName="app")["policyText"]
    assert listed(client) == images
    clock.advance(0.1)
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == "RepositoryNotFoundException"
    assert client.describe_repositories()["repositories"] == []


@pytest.mark.parametrize("operation", ["delete_repository", "tag_resource", "set_repository_policy", "put_image"])
def test_a_deleted_repository_is_not_found_by_writes(client: ECRClient, lateness: Lateness, operation: str) -> None:
    lateness.deleted_repository = 5
    client.create_repository(repositoryName="app")
    client.delete_repository(repositoryName="app")
    client.describe_repositories(repositoryNames=["app"])
    assert code_of(getattr(client, operation), **ON_A_REPOSITORY[operation]) == "RepositoryNotFoundException"


def test_a_repository_that_is_created_again_is_hidden_by_the_one_before(
    client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    lateness.deleted_repository = 5

    def created_at() -> object:
        return client.describe_repositories(repositoryNames=["app"])["repositories"][0]["createdAt"]

    first = client.create_repository(repositoryName="app")["repository"]["createdAt"]
    client.delete_repository(repositoryName="app")
    second = client.create_repository(repositoryName="app")["repository"]["createdAt"]
    assert created_at() == first
    clock.advance(5)
    assert created_at() == second


def test_the_name_of_a_deleted_repository_can_be_taken_for_a_while(
    client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    lateness.deleted_name = 5
    client.create_repository(repositoryName="app")
    client.delete_repository(repositoryName="app")
    assert code_of(client.create_repository, repositoryName="app") == "RepositoryAlreadyExistsException"
    clock.advance(5)
    assert code_of(client.create_repository, repositoryName="app") == ""


# Policies


def test_a_changed_policy_is_answered_late(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    ecr.repository("app")
    lateness.changed_policy = 5
    client.set_repository_policy(repositoryName="app", policyText=policy("*"))
    assert code_of(client.get_repository_policy, repositoryName="app") == "RepositoryPolicyNotFoundException"
    clock.advance(5)
    client.delete_repository_policy(repositoryName="app")
    assert code_of(client.get_repository_policy, repositoryName="app") == ""
    clock.advance(5)
    assert code_of(client.get_repository_policy, repositoryName="app") == "RepositoryPolicyNotFoundException"


def test_pushes_obey_a_changed_policy_late(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock
) -> None:
    ecr.repository("app")
    lateness.enforced_policy = 5
    client.set_repository_policy(repositoryName="app", policyText=policy("*", "ecr:PutImage", "Deny"))
    assert code_of(client.put_image, repositoryName="app", imageManifest=manifest()) == ""
    clock.advance(5)
    assert code_of(client.put_image, repositoryName="app", imageManifest="[]") == "AccessDeniedException"


@pytest.mark.parametrize("principal", [{"AWS": ROLE}, {"AWS": [ROLE, "111122223333"]}])
def test_a_policy_that_names_a_new_role_is_refused_for_a_while(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, clock: VirtualClock, principal: object
) -> None:
    """The sandbox does not know this role: it counts as made when it is named first."""
    ecr.repository("app")
    lateness.new_role = 5
    asked: Any = {"repositoryName": "app", "policyText": policy(principal)}
    with pytest.raises(ClientError, match="failed to satisfy constraint: 'Principal not found'"):
        client.set_repository_policy(**asked)
    lateness.refusal_of_role = "Invalid repository policy provided"
    clock.advance(4.9)
    with pytest.raises(ClientError, match="failed to satisfy constraint: 'Invalid repository policy provided'"):
        client.set_repository_policy(**asked)
    assert ecr.repositories["app"].policy is None
    clock.advance(0.1)
    client.set_repository_policy(**asked)


@pytest.mark.parametrize(("age", "code"), [(4.9, "InvalidParameterException"), (5.0, "")])
def test_the_age_of_a_known_role_decides(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, age: float, code: str
) -> None:
    ecr.repository("app")
    ecr.role_age = {ROLE: age}.get
    lateness.new_role = 5
    assert code_of(client.set_repository_policy, repositoryName="app", policyText=policy({"AWS": ROLE})) == code


@pytest.mark.parametrize("principal", ["*", {"AWS": "arn:aws:iam::111122223333:role/theirs"}, {"Service": "x.aws"}])
def test_other_principals_are_never_refused(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, principal: object
) -> None:
    ecr.repository("app")
    lateness.new_role = 5
    client.set_repository_policy(repositoryName="app", policyText=policy(principal))
    assert ecr.repositories["app"].policy == policy(principal)


# Single answers


@pytest.mark.parametrize("operation", ON_A_REPOSITORY)
def test_one_answer_does_not_know_the_repository(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, operation: str
) -> None:
    ecr.repository("app")
    name = "".join(word.capitalize() for word in operation.split("_"))
    lateness.stale_next(name, times=2)
    call, asked = getattr(client, operation), ON_A_REPOSITORY[operation]
    assert [code_of(call, **asked) for _ in range(2)] == ["RepositoryNotFoundException"] * 2
    assert ecr.names() == ["app"]
    assert code_of(call, **asked) != "RepositoryNotFoundException"


def test_a_stale_answer_waits_for_a_call_that_names_an_existing_repository(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness
) -> None:
    lateness.stale_next("DescribeRepositories")
    client.describe_repositories()
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == "RepositoryNotFoundException"
    ecr.repository("app")
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == "RepositoryNotFoundException"
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == ""


def test_one_answer_describes_an_earlier_repository(ecr: StrictEcr, client: ECRClient, lateness: Lateness) -> None:
    first = client.create_repository(repositoryName="app", tags=TAGS)["repository"]
    client.delete_repository(repositoryName="app")
    second = client.create_repository(repositoryName="app")["repository"]
    for operation in ("DescribeRepositories", "ListTagsForResource"):
        lateness.stale_next(operation, Stale.EARLIER_REPOSITORY)
    assert client.describe_repositories(repositoryNames=["app"])["repositories"] == [first]
    assert client.describe_repositories(repositoryNames=["app"])["repositories"] == [second]
    assert tags_of(client, ecr) == {"team": "shop"}
    assert tags_of(client, ecr) == {}


def test_an_earlier_repository_is_made_up_where_there_was_none(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness
) -> None:
    ecr.repository("app", tags={"team": "shop"}).with_images(1)
    lateness.stale_next("DescribeRepositories", "earlier repository")
    stale, right = (client.describe_repositories(repositoryNames=["app"])["repositories"][0] for _ in range(2))
    assert (right["createdAt"] - stale["createdAt"]).days == 1


@pytest.mark.parametrize(("answer", "seen"), [("earlier tags", {"team": "shop"}), ("no tags", {})])
def test_one_answer_has_other_tags(
    ecr: StrictEcr, client: ECRClient, lateness: Lateness, answer: str, seen: dict[str, str]
) -> None:
    ecr.repository("app", tags={"team": "shop"})
    client.tag_resource(resourceArn=ecr.arn("app"), tags=MORE_TAGS)
    lateness.stale_next("ListTagsForResource", answer)
    assert tags_of(client, ecr) == seen
    assert tags_of(client, ecr) == {"team": "shop", "cost": "42"}


def test_one_call_is_denied_as_iam_sees_no_tags(ecr: StrictEcr, client: ECRClient, lateness: Lateness) -> None:
    ecr.repository("app", tags={"team": "shop"})
    ecr.authorize = role_of_marked_repositories()
    lateness.stale_next("DescribeImages", Stale.NO_TAGS)
    assert code_of(client.describe_images, repositoryName="app") == "AccessDeniedException"
    assert code_of(client.describe_images, repositoryName="app") == ""


def test_one_answer_has_no_policy(ecr: StrictEcr, client: ECRClient, lateness: Lateness) -> None:
    ecr.repository("app")
    client.set_repository_policy(repositoryName="app", policyText=policy("*"))
    client.put_lifecycle_policy(repositoryName="app", lifecyclePolicyText=LIFECYCLE)
    for kind in ("Repository", "Lifecycle"):
        lateness.stale_next(f"Get{kind}Policy", Stale.NO_POLICY)
        call = getattr(client, f"get_{kind.lower()}_policy")
        assert code_of(call, repositoryName="app") == f"{kind}PolicyNotFoundException"
        assert code_of(call, repositoryName="app") == ""


def test_one_answer_has_the_earlier_policy(ecr: StrictEcr, client: ECRClient, lateness: Lateness) -> None:
    ecr.repository("app")
    for action in ("ecr:PutImage", "ecr:ListImages"):
        client.set_repository_policy(repositoryName="app", policyText=policy("*", action))
    lateness.stale_next("GetRepositoryPolicy", Stale.EARLIER_POLICY)
    assert "ecr:PutImage" in client.get_repository_policy(repositoryName="app")["policyText"]
    assert "ecr:ListImages" in client.get_repository_policy(repositoryName="app")["policyText"]


@pytest.mark.parametrize("operation", ["DescribeImages", "ListImages"])
def test_one_listing_has_other_images(ecr: StrictEcr, client: ECRClient, lateness: Lateness, operation: str) -> None:
    builder = ecr.repository("app").with_images(2)
    method = operation.replace("Images", "_images").lower()
    first, second = listed(client, method)
    third = builder.push()
    for answer, seen in (
        (Stale.NO_IMAGES, []),
        (Stale.NO_NEW_IMAGES, [first, second]),
    ):
        lateness.stale_next(operation, answer)
        assert listed(client, method) == seen
    delete(client, first)
    lateness.stale_next(operation, Stale.DELETED_IMAGES)
    assert listed(client, method) == [first, second, third]
    assert listed(client, method) == [second, third]


@pytest.mark.parametrize(
    ("operation", "answer"),
    [("CreateRepository", "not found"), ("DescribeImages", "no policy"), ("ListImages", "something else")],
)
def test_a_stale_answer_that_does_not_exist_is_refused(lateness: Lateness, operation: str, answer: str) -> None:
    with pytest.raises(ValueError):
        lateness.stale_next(operation, answer)


# All of it


def test_clear_makes_everything_seen_at_once(ecr: StrictEcr, client: ECRClient, lateness: Lateness) -> None:
    lateness.draw(1)
    lateness.new_repository = lateness.deleted_images = 60
    lateness.stale_next("DescribeRepositories")
    client.create_repository(repositoryName="app", tags=TAGS)
    lateness.clear()
    client.describe_repositories(repositoryNames=["app"])
    assert tags_of(client, ecr) == {"team": "shop"}
    assert delete(client, ecr.repository("app").push()) == []
    assert listed(client) == []
    assert code_of(client.delete_repository, repositoryName="app") == ""


def test_drawn_lateness_is_the_same_for_the_same_seed(ecr: StrictEcr) -> None:
    drawn = []
    for source in (7, random.Random(7), 8):
        lateness = Lateness(ecr.clock)
        lateness.draw(source, longest=9)
        drawn.append(lateness)
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(0 <= value <= 9 for each in drawn for value in vars(each).values() if isinstance(value, float))


@pytest.mark.parametrize("seed", range(20))
def test_drawn_lateness_changes_what_is_seen_and_never_what_is_there(seed: int) -> None:
    """The same random calls on a registry that is late and on one that is not: what both did, both hold."""
    late, prompt = (StrictEcr(clock=VirtualClock()) for _ in range(2))
    source = random.Random(seed)
    late.lateness.draw(source)
    for _ in range(150):
        operation = source.choice(list(ON_A_REPOSITORY))
        name = "".join(word.capitalize() for word in operation.split("_"))
        if source.random() < 0.2:
            name, asked = "CreateRepository", {"repositoryName": "app", "tags": TAGS}
        else:
            asked = dict(ON_A_REPOSITORY[operation])
        if name == "PutImage":
            asked["imageManifest"] = manifest(n=source.randint(1, 3))
        if name == "BatchDeleteImage" and late.holds("app"):
            asked["imageIds"] = [{"imageDigest": source.choice(late.images("app")).digest}]
        done = served(late, name, asked)
        if done and name not in READS:
            assert served(prompt, name, asked)
        for ecr in (late, prompt):
            ecr.clock.sleep(5)
        assert state(late) == state(prompt)


def served(ecr: StrictEcr, operation: str, parameters: dict[str, Any]) -> bool:
    """Whether a call succeeded. Errors other than ECR's are raised."""
    try:
        ecr.serve(operation, parameters)
    except EcrError:
        return False
    return True


def state(ecr: StrictEcr) -> object:
    return [
        (each.name, each.tags, each.policy, each.lifecycle, [image.digest for image in each.images])
        for each in ecr.repositories.values()
    ]


def test_time_that_runs_side_by_side_does_no_harm(ecr: StrictEcr, client: ECRClient, clock: VirtualClock) -> None:
    """A pool of virtual threads turns the clock back."""
    ecr.repository("app").with_images(30)
    digests = [image.digest for image in ecr.images("app")]
    ecr.lateness.deleted_images = 5
    ecr.faults.latency = {"*": 0.5}
    pool = VirtualPool(3, clock)
    waiting = {pool.submit(delete, client, digest) for digest in digests}
    while waiting:
        waiting -= pool.first_done(waiting)
    clock.advance(5)
    assert listed(client) == []


# Clients that are wrong


def test_a_client_that_believes_a_single_not_found_leaves_the_repository(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app").with_images(1)
    ecr.lateness.stale_next("DescribeRepositories")
    assert code_of(client.describe_repositories, repositoryNames=["app"]) == "RepositoryNotFoundException"
    assert ecr.holds("app") == 1


def test_a_client_that_tags_right_after_a_create_fails(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.lateness.new_repository = 5
    client.create_repository(repositoryName="app")
    assert code_of(client.tag_resource, resourceArn=ecr.arn("app"), tags=TAGS) == "RepositoryNotFoundException"


def test_a_client_that_refuses_by_tags_it_does_not_see_yet_refuses_its_own(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.lateness.new_tags = 5
    client.create_repository(repositoryName="app", tags=TAGS)
    assert "team" not in tags_of(client, ecr)


def test_a_client_that_removes_the_tags_that_it_lists_leaves_those_it_does_not_see_yet(
    ecr: StrictEcr, client: ECRClient
) -> None:
    ecr.repository("app")
    ecr.lateness.changed_tags = 5
    client.tag_resource(resourceArn=ecr.arn("app"), tags=TAGS)
    client.untag_resource(resourceArn=ecr.arn("app"), tagKeys=list(tags_of(client, ecr)))
    assert ecr.repositories["app"].tags == {"team": "shop"}


def test_a_client_that_believes_an_empty_listing_can_not_delete(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app").with_images(1)
    ecr.lateness.stale_next("DescribeImages", Stale.NO_IMAGES)
    assert listed(client) == []
    assert code_of(client.delete_repository, repositoryName="app") == "RepositoryNotEmptyException"


def test_a_client_that_gives_up_at_the_first_not_empty_leaves_the_repository(ecr: StrictEcr, client: ECRClient) -> None:
    digest = ecr.repository("app").push()
    ecr.lateness.emptied_repository = 5
    assert delete(client, digest) == []
    assert code_of(client.delete_repository, repositoryName="app") == "RepositoryNotEmptyException"
    assert ecr.names() == ["app"]


def test_a_client_that_counts_what_is_still_listed_as_new_pushes_never_ends(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app").with_images(3)
    ecr.lateness.deleted_images = 60
    passes = [[delete(client, *listed(client))] for _ in range(4)]
    assert passes[1:] == [[["ImageNotFound"] * 3]] * 3


def test_a_client_that_makes_one_pass_after_the_indexes_leaves_the_children(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app").with_multi_arch(2)
    ecr.lateness.deleted_index = 5
    for _ in range(2):
        delete(client, *[image.digest for image in ecr.images("app")])
    assert ecr.holds("app") == 4


def test_a_client_that_waits_for_the_first_look_takes_the_repository_before_for_the_new_one(
    ecr: StrictEcr, client: ECRClient
) -> None:
    ecr.lateness.deleted_repository = 5
    client.create_repository(repositoryName="app")
    client.delete_repository(repositoryName="app")
    made = client.create_repository(repositoryName="app")["repository"]
    seen = client.describe_repositories(repositoryNames=["app"])["repositories"][0]
    assert seen["createdAt"] < made["createdAt"]


def test_a_client_that_puts_a_policy_once_fails_for_a_role_of_the_same_stack(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app")
    ecr.lateness.new_role = 5
    code = code_of(client.set_repository_policy, repositoryName="app", policyText=policy({"AWS": ROLE}))
    assert code == "InvalidParameterException"
