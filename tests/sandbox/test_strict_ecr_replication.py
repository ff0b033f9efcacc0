"""What the strict ECR replicates, how it answers policies, and what it says of images that were archived."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ecr import EcrError, StrictEcr, VirtualClock
from sandbox.iam.ecr import checks
from tests.support.samples import manifest

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

THERE, ACCOUNT, OTHER = "eu-central-1", "123456789012", "111122223333"


@pytest.fixture
def client(ecr: StrictEcr) -> ECRClient:
    return ecr.client()


def rule(*destinations: tuple[str, str], prefix: str = "", enabled: bool | None = True) -> dict[str, Any]:
    found: dict[str, Any] = {"destinations": [{"region": region, "registryId": each} for region, each in destinations]}
    if prefix:
        found["repositoryFilters"] = [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    return found if enabled is None else {**found, "deleteReplication": {"enabled": enabled}}


def configure(ecr: StrictEcr, *rules: dict[str, Any]) -> None:
    ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": list(rules)}})


def delete(client: ECRClient, **image: str) -> None:
    assert client.batch_delete_image(repositoryName="app", imageIds=[image])["failures"] == []  # type: ignore[list-item]


# Replication


def test_a_registry_has_no_rules_at_first(ecr: StrictEcr, client: ECRClient) -> None:
    answer = client.describe_registry()
    assert answer["registryId"] == ACCOUNT
    assert answer["replicationConfiguration"] == {"rules": []}


def test_put_replication_configuration_replaces_it_all(ecr: StrictEcr) -> None:
    configure(ecr, rule((THERE, ACCOUNT)), rule((THERE, OTHER), prefix="team/"))
    configure(ecr, rule((THERE, OTHER), prefix="team/"))
    answer = ecr.call("DescribeRegistry", {})
    assert answer["replicationConfiguration"] == {"rules": [rule((THERE, OTHER), prefix="team/")]}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (rule(("eu-west-1", ACCOUNT)), "InvalidParameterException"),
        ({**rule((THERE, ACCOUNT)), "deleteReplication": {}}, "InvalidParameterException"),
        (
            {**rule((THERE, ACCOUNT)), "repositoryFilters": [{"filter": "a", "filterType": "SUFFIX"}]},
            "InvalidParameterException",
        ),
    ],
)
def test_put_replication_configuration_refuses(ecr: StrictEcr, wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(EcrError) as raised:
        configure(ecr, wrong)
    assert raised.value.code == code
    assert ecr.call("DescribeRegistry", {})["replicationConfiguration"] == {"rules": []}


def test_put_replication_configuration_refuses_more_than_25_rules(ecr: StrictEcr) -> None:
    with pytest.raises(EcrError, match="at most 25"):
        configure(ecr, *[rule((THERE, ACCOUNT))] * 26)


def test_a_delete_by_digest_is_replicated_to_each_destination(ecr: StrictEcr, client: ECRClient) -> None:
    digest = ecr.repository("app").push(("v1", "v2"))
    configure(ecr, rule((THERE, ACCOUNT), (THERE, OTHER)), rule(("us-east-1", ACCOUNT), prefix="ap"))
    delete(client, imageDigest=digest)
    assert ecr.replicated_deletions == [
        (THERE, ACCOUNT, "app", digest),
        (THERE, OTHER, "app", digest),
        ("us-east-1", ACCOUNT, "app", digest),
    ]


@pytest.mark.parametrize(
    "other",
    [rule((THERE, ACCOUNT), enabled=False), rule((THERE, ACCOUNT), enabled=None), rule((THERE, ACCOUNT), prefix="b")],
)
def test_a_delete_is_not_replicated_by_other_rules(ecr: StrictEcr, client: ECRClient, other: dict[str, Any]) -> None:
    digest = ecr.repository("app").push()
    configure(ecr, other)
    delete(client, imageDigest=digest)
    assert ecr.replicated_deletions == []


def test_a_delete_of_a_repository_is_not_replicated(ecr: StrictEcr, client: ECRClient) -> None:
    ecr.repository("app").push()
    configure(ecr, rule((THERE, ACCOUNT)))
    client.delete_repository(repositoryName="app", force=True)
    assert ecr.replicated_deletions == []


@pytest.fixture
def there(ecr: StrictEcr, clock: VirtualClock) -> StrictEcr:
    """A destination that holds the same image, v1 and v2, as the registry itself."""
    other = StrictEcr(clock=clock, account=ACCOUNT, region=THERE)
    for registry in (ecr, other):
        registry.repository("app")
        for tag in ("v1", "v2"):
            registry.call("PutImage", {"repositoryName": "app", "imageManifest": manifest(), "imageTag": tag})
    ecr.replication.find = lambda region, _account: other if region == THERE else None
    configure(ecr, rule((THERE, ACCOUNT)))
    return other


def test_a_delete_by_digest_deletes_in_a_registry_that_is_wired(
    ecr: StrictEcr, client: ECRClient, there: StrictEcr
) -> None:
    delete(client, imageDigest=ecr.images("app")[0].digest)
    assert there.holds("app") == 0
    assert there.client().list_images(repositoryName="app")["imageIds"] == []


def test_a_delete_by_tag_removes_the_tag_there(client: ECRClient, there: StrictEcr) -> None:
    delete(client, imageTag="v1")
    assert [image.tags for image in there.images("app")] == [["v2"]]
    delete(client, imageTag="v2")
    assert there.holds("app") == 0


def test_registries_that_replicate_to_each_other_delete_once(
    ecr: StrictEcr, client: ECRClient, there: StrictEcr
) -> None:
    there.replication.find = lambda _region, _account: ecr
    configure(there, rule(("eu-west-1", ACCOUNT)))
    delete(client, imageDigest=ecr.images("app")[0].digest)
    assert there.holds("app") == ecr.holds("app") == 0
    assert there.replicated_deletions == []


@pytest.mark.parametrize("operation", ["DescribeRegistry", "PutReplicationConfiguration"])
def test_permissions_of_the_registry_name_no_repository(ecr: StrictEcr, operation: str) -> None:
    [check] = checks(ecr, operation, {})
    assert (check.action, check.resource) == (f"ecr:{operation}", "*")


# Forms of policies

GIVEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "pull",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::1:root", "arn:aws:iam::2:root"], "Service": ["x.amazonaws.com"]},
            "Action": ["ecr:BatchGetImage"],
        },
        {"Sid": "no-push", "Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"},
    ],
}
REORDERED = ["arn:aws:iam::2:root", "arn:aws:iam::1:root"]
FORMS: list[tuple[str, Any, Any, Any]] = [
    ("as given", GIVEN["Statement"][0]["Principal"], ["ecr:BatchGetImage"], "ecr:PutImage"),  # type: ignore[index]
    ("short", {"AWS": REORDERED, "Service": "x.amazonaws.com"}, "ecr:BatchGetImage", "ecr:PutImage"),
    ("long", {"AWS": REORDERED, "Service": ["x.amazonaws.com"]}, ["ecr:BatchGetImage"], ["ecr:PutImage"]),
]


@pytest.mark.parametrize(("form", "principal", "list_of_one", "single"), FORMS)
def test_policies_are_answered_in_a_form_of_their_own(
    ecr: StrictEcr, client: ECRClient, form: str, principal: Any, list_of_one: Any, single: Any
) -> None:
    ecr.repository("app")
    ecr.faults.policy_form = form
    answers: list[Any] = [
        client.set_repository_policy(repositoryName="app", policyText=json.dumps(GIVEN)),
        client.get_repository_policy(repositoryName="app"),
        client.delete_repository_policy(repositoryName="app"),
    ]
    assert len({each["policyText"] for each in answers}) == 1
    first, second = json.loads(answers[0]["policyText"])["Statement"]
    assert (first["Principal"], first["Action"], second["Action"]) == (principal, list_of_one, single)
    assert (first["Sid"], second["Principal"]) == ("pull", "*")


# Images that were archived, and imports from upstream


@pytest.mark.parametrize("operation", ["DescribeImages", "ListImages"])
def test_the_status_any_can_be_refused(ecr: StrictEcr, operation: str) -> None:
    ecr.repository("app").with_archived(1)
    asked = {"repositoryName": "app", "filter": {"imageStatus": "ANY"}}
    ecr.call(operation, asked)
    ecr.faults.refuse_any_status = True
    with pytest.raises(EcrError, match=r"ACTIVE, ARCHIVED, ACTIVATING") as raised:
        ecr.call(operation, asked)
    assert raised.value.code == "InvalidParameterException"
    ecr.call(operation, {"repositoryName": "app", "filter": {"imageStatus": "ARCHIVED"}})


def test_a_restored_image_tells_when_it_was_activated(ecr: StrictEcr, client: ECRClient, clock: VirtualClock) -> None:
    digest = ecr.repository("app").push()
    image: Any = {"repositoryName": "app", "imageId": {"imageDigest": digest}}
    for target in ("ARCHIVE", "STANDARD"):
        client.update_image_storage_class(**image, targetStorageClass=target)
    clock.advance(1_200)
    ecr.finish_restoring("app")
    [detail] = client.describe_images(repositoryName="app")["imageDetails"]
    assert detail["lastActivatedAt"].timestamp() == clock.time()
    assert (detail["lastActivatedAt"] - detail["lastArchivedAt"]).total_seconds() == 1_200


def test_the_builder_makes_restored_images(ecr: StrictEcr, client: ECRClient, clock: VirtualClock) -> None:
    ecr.repository("app").with_restored(2, activated_days_ago=3)
    details = client.describe_images(repositoryName="app")["imageDetails"]
    assert [clock.time() - each["lastActivatedAt"].timestamp() for each in details] == [3 * 86_400] * 2


@pytest.mark.parametrize(("action", "imported"), [("ecr:BatchImportUpstreamImage", False), ("ecr:PutImage", True)])
def test_a_policy_can_hold_back_an_import_from_upstream(
    ecr: StrictEcr, client: ECRClient, action: str, imported: bool
) -> None:
    builder = ecr.repository("app")
    statement = {"Effect": "Deny", "Principal": "*", "Action": action}
    client.set_repository_policy(repositoryName="app", policyText=json.dumps({"Statement": [statement]}))
    assert (builder.import_from_upstream("latest") is not None) is imported
    assert ecr.holds("app") == int(imported)


def test_an_operation_that_is_not_known_is_refused(client: ECRClient) -> None:
    with pytest.raises(ClientError, match="is not known here"):
        client.describe_pull_through_cache_rules()
