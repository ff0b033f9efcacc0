"""The report that an administrator asks for: a binding place, and the buckets that templates may name."""

from __future__ import annotations

from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode

from awstut_ecr_autopurgerepository import handlers
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import ReportPlace
from sandbox.ecr import StrictEcr
from tests.support.reports import FAILED, REPORTED, SUCCESS, bucket, records, what_is_written_is_as_documented
from tests.support.strict import OWNED, Purge, Wire, run_command_in
from tests.support.strict_s3 import Bucket, StrictS3

__all__ = ["bucket", "what_is_written_is_as_documented"]

BINDING = AccountRules(report=ReportPlace("central", "all"), binding=True)
LIMITED = AccountRules(report=ReportPlace("central"), report_buckets=("other", "third"))
CONFIGURATION = {"PurgeReport": {"BucketName": "central", "AllowedBuckets": ["other"]}}


@pytest.mark.parametrize("own", [REPORTED, {"awstut:auto-purge": "on", "awstut:purge-report": "off"}])
def test_a_binding_place_replaces_the_repositorys_own(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket, own: dict[str, str]
) -> None:
    central = s3.make_bucket("central")
    delete.configuration = BINDING
    ecr.repository("app", tags=own).with_images(10)
    assert delete().status is SUCCESS
    assert len(records(central)) == 10
    assert bucket.objects == {}


def test_a_binding_place_counts_although_the_repository_names_a_bucket_that_is_not_allowed(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    central = s3.make_bucket("central")
    delete.configuration = AccountRules(report=ReportPlace("central"), binding=True, report_buckets=("other",))
    ecr.repository("app", tags=REPORTED).with_images(10)
    assert delete().status is SUCCESS
    assert len(records(central)) == 10


def test_delete_refuses_a_bucket_that_is_not_allowed_before_the_first_image(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    central = s3.make_bucket("central")
    delete.configuration = LIMITED
    ecr.repository("app", tags=REPORTED).with_images(10)
    event = delete()
    assert event.status is FAILED
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "to the bucket audit, and the type configuration of the account allows only central, other, third" in (
        event.message
    )
    assert ecr.holds("app") == 10
    assert bucket.objects == {}
    run_command_in(ecr, event.message)
    assert delete().status is SUCCESS
    assert len(records(central)) == 10


def test_delete_takes_a_bucket_that_is_allowed(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    other = s3.make_bucket("other")
    delete.configuration = LIMITED
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": "s3://other/x"}).with_images(10)
    assert delete().status is SUCCESS
    assert len(records(other)) == 10


def call(wire: Wire, action: str, wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    event = wire.event(action, wanted, **more)
    event["requestData"]["typeConfiguration"] = CONFIGURATION
    answer: dict[str, Any] = handlers.resource(event, None)
    return answer


@pytest.mark.parametrize(("name", "taken"), [("mine", False), ("other", True), ("central", True)])
def test_create_takes_allowed_buckets_only(wire: Wire, ecr: StrictEcr, name: str, taken: bool) -> None:
    answer = call(wire, "CREATE", {"RepositoryName": "app", "PurgeReport": {"BucketName": name}})
    assert (answer["status"] != "FAILED") is taken, answer
    assert ("app" in ecr.repositories) is taken
    if not taken:
        assert answer["errorCode"] == "InvalidRequest"
        assert "the type configuration of the account allows only central, other" in answer["message"]


@pytest.mark.parametrize(("name", "taken"), [("mine", False), ("other", True), ("old", True)])
def test_update_takes_allowed_buckets_and_the_one_that_is_there(
    wire: Wire, ecr: StrictEcr, name: str, taken: bool
) -> None:
    """Otherwise a rollback to a template from before the limit could be refused."""
    ecr.repository("app", tags=OWNED | {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://old"})
    before = {"RepositoryName": "app", "PurgeReport": {"BucketName": "old"}}
    wanted = {"RepositoryName": "app", "PurgeReport": {"BucketName": name}}
    answer = call(wire, "UPDATE", wanted, previous=before)
    assert (answer["status"] != "FAILED") is taken, answer
    assert (ecr.repositories["app"].tags["awstut:purge-report"] == f"s3://{name}") is taken
    if not taken:
        assert answer["errorCode"] == "InvalidRequest"


@pytest.mark.parametrize("prefix", ["..", "a/..", "../a", "a/../b"])
def test_create_refuses_a_prefix_that_leads_upwards(wire: Wire, prefix: str) -> None:
    wanted = {"RepositoryName": "app", "PurgeReport": {"BucketName": "audit", "Prefix": prefix}}
    code, message = wire.fail("CREATE", wanted)
    assert code == "InvalidRequest"
    assert "PurgeReport.Prefix must not have .. between slashes" in message


@pytest.mark.parametrize("value", ["s3://audit/..", "s3://audit/a/../b 123456789012", "s3://audit/a/.. 123456789012"])
def test_a_tag_whose_prefix_leads_upwards_counts_as_protection(
    ecr: StrictEcr, delete: Purge, bucket: Bucket, value: str
) -> None:
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": value}).with_images(3)
    assert "awstut:purge-report" in delete().message
    assert ecr.holds("app") == 3
    assert ReportPlace.parse("s3://audit/a..b/..c") is not None
