"""`autopurge list`: what is under this type, and what could be."""

from __future__ import annotations

from datetime import UTC, datetime

from awstut_ecr_autopurgerepository.deletion.messages import progress_tag
from sandbox.ecr import StrictEcr
from tests.support.command_line import Autopurge
from tests.support.strict import MARKED, OWNED, STACK
from tests.support.strict_cloudformation import StrictCloudFormation

NATIVE = "AWS::ECR::Repository"


def test_list_shows_owner_rules_images_bytes_and_last_pull(autopurge: Autopurge, ecr: StrictEcr) -> None:
    locked = {**OWNED, "awstut:deletion-protection": "on", "awstut:protect-tags": "release-@ v1.@"}
    ecr.repository("app", tags=locked).with_images(3, size=10, pulled_days_ago=2).with_archived(2)
    ecr.repository("native").with_images(1)
    (found,) = autopurge.json("list")["repositories"]
    assert (found["name"], found["arn"]) == ("app", ecr.arn("app"))
    assert (found["stack"], found["logicalId"]) == ("shop", "Repository")
    assert found["rules"]["DeletionProtection"] is True
    assert found["rules"]["PurgeProtection"] == {"TagPatterns": ["release-*", "v1.*"]}
    assert found["images"] == 5
    assert found["bytes"] == 3 * 10 + 2 * 25_000_000
    two_days_ago = datetime.fromtimestamp(ecr.clock.time() - 2 * 86_400, UTC)
    assert abs(datetime.fromisoformat(found["lastPull"]) - two_days_ago).total_seconds() < 1
    assert found["progress"] is None


def test_list_counts_the_images_of_all_pages(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=MARKED).with_images(2_100)
    (found,) = autopurge.json("list")["repositories"]
    assert (found["images"], found["stack"], found["lastPull"]) == (2_100, None, None)


def test_list_shows_how_far_a_running_purge_is(autopurge: Autopurge, ecr: StrictEcr) -> None:
    now = datetime.fromtimestamp(ecr.clock.time(), UTC)
    ecr.repository("app", tags={**OWNED, "awstut:purge-progress": progress_tag(300, 1_200, 2, now, 25.0)})
    (found,) = autopurge.json("list")["repositories"]
    assert found["progress"] == {
        "deleted": 300,
        "known": 1_200,
        "pass": 2,
        "at": now.isoformat(),
        "imagesPerSecond": 25.0,
        "secondsLeft": 36,
    }
    assert "25% of 1,200, pass 2" in autopurge("list").stdout


def test_list_does_not_show_the_progress_of_a_purge_that_ended(autopurge: Autopurge, ecr: StrictEcr) -> None:
    now = datetime.fromtimestamp(ecr.clock.time(), UTC)
    ecr.repository("app", tags={**OWNED, "awstut:purge-progress": progress_tag(300, 1_200, 2, now, 25.0)})
    ecr.clock.sleep(3_600)
    assert autopurge.json("list")["repositories"][0]["progress"] is None


def test_list_native_shows_what_stacks_have_and_this_type_has_not(
    autopurge: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    for name in ("b-first", "a-second", "without-stack"):
        ecr.repository(name).with_images(2)
    ecr.repository("adopted", tags=MARKED)
    cloudformation.stack("one").add("First", "b-first", NATIVE).add("Adopted", "adopted", NATIVE)
    cloudformation.stack("two").add("Second", "a-second", NATIVE).add("Bucket", "without-stack", "AWS::S3::Bucket")
    cloudformation.stack("gone", status="DELETE_COMPLETE").add("Old", "without-stack", NATIVE)
    found = autopurge.json("list", "--native")["repositories"]
    assert [(each["stack"], each["logicalId"], each["name"], each["images"]) for each in found] == [
        ("one", "First", "b-first", 2),
        ("two", "Second", "a-second", 2),
    ]


def test_list_is_plain_where_it_is_no_terminal(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, "awstut:deletion-protection": "on"}).with_images(1_234, size=1_000_000)
    result = autopurge("list")
    header, row = result.stdout.splitlines()
    assert header.split("\t")[:3] == ["Repository", "Stack", "Logical id"]
    assert row.split("\t") == ["app", "shop", "Repository", "locked", "1,234", "1.2 GB", "never", ""]
    assert result.stderr == "1 repository in eu-west-1: 1,234 images, 1.2 GB.\n"
    assert STACK not in row


def test_list_says_so_where_there_is_nothing(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("native")
    result = autopurge("list")
    assert result.stdout == "No repository of Awstut::ECR::AutoPurgeRepository is in eu-west-1.\n"
    assert autopurge.json("list") == {"repositories": []}
