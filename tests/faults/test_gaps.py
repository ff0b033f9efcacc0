"""What somebody else does to the repository between any two calls of a delete."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode

from sandbox.ecr import EcrError, StrictEcr
from tests.faults.support import SUCCESS, Filled, in_gap
from tests.support.samples import LIFECYCLE, POLICY, policies_of, put_tag
from tests.support.strict import MARKED, Purge, run_command_in

pytestmark = pytest.mark.usefixtures("small_pages")

GAPS = range(1, 25)  # a delete of these repositories takes some 20 calls
TAGS = {
    "deletion protection": ({"awstut:deletion-protection": "on"}, "its deletion protection is on"),
    "EmptyOnDelete off": ({"awstut:auto-purge": "off"}, "EmptyOnDelete is false"),
    "a pattern": ({"awstut:protect-tags": "v7@"}, "protected by tag pattern v7*"),
    "nonsense": ({"awstut:protect-tags": "a+b", "awstut:deletion-protection": "perhaps"}, "missing or unreadable"),
}


@pytest.mark.parametrize("gap", GAPS)
def test_somebody_else_deletes_the_repository(ecr: StrictEcr, delete: Purge, filled: Filled, gap: int) -> None:
    in_gap(ecr, gap, lambda: ecr.call("DeleteRepository", {"repositoryName": "app", "force": True}))
    event = delete()
    unseen = gap <= 2 and event.errorCode is HandlerErrorCode.NotFound  # by both witnesses
    assert event.status is SUCCESS or unseen, event.message
    assert ecr.holds("app") is None


@pytest.mark.parametrize("gap", GAPS[1:])
def test_a_new_repository_of_the_same_name_survives(ecr: StrictEcr, delete: Purge, filled: Filled, gap: int) -> None:
    is_recreated = False

    def recreate() -> None:
        nonlocal is_recreated
        is_recreated = True
        ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
        delete.clock.advance(5)
        ecr.repository("app", tags=filled.tags | {"awstut:request": "another"}).with_images(7)

    in_gap(ecr, gap, recreate)
    event = delete()
    # In gap 2, in the middle of the first look, nobody can tell both repositories apart, so nothing is deleted.
    in_doubt = gap == 2 and event.errorCode is HandlerErrorCode.NotStabilized
    assert event.status is SUCCESS or in_doubt, event.message
    assert ecr.holds("app") == (7 if is_recreated else None)


@pytest.mark.parametrize("change", TAGS)
@pytest.mark.parametrize("gap", GAPS[::4])
def test_tags_that_are_changed_never_lead_to_an_unexplained_end(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int, change: str
) -> None:
    """The delete ends as if the change had come before or after it. After a refusal, its command lets it succeed."""
    tags, reason = TAGS[change]

    def put() -> None:
        for key, value in tags.items():
            put_tag(ecr, key, value)

    in_gap(ecr, gap, put)
    event = delete()
    if event.status is not SUCCESS:
        assert event.errorCode is HandlerErrorCode.InvalidRequest
        assert reason in event.message
        assert ecr.holds("app")
        filled.assert_not_frozen()
        run_command_in(ecr, event.message)
        delete()
    assert ecr.holds("app") is None


@pytest.mark.parametrize("gap", GAPS[::4])
def test_protection_that_is_taken_off_lets_the_purge_go_on(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int
) -> None:
    put_tag(ecr, "awstut:deletion-protection", "on")
    in_gap(ecr, gap, lambda: put_tag(ecr, "awstut:deletion-protection", "off"))
    event = delete()
    assert event.status is SUCCESS or "its deletion protection is on" in event.message
    assert ecr.holds("app") == (None if event.status is SUCCESS else len(filled.digests))


def put_policies(ecr: StrictEcr) -> None:
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(POLICY)})
    ecr.call("PutLifecyclePolicy", {"repositoryName": "app", "lifecyclePolicyText": LIFECYCLE})


def remove_policies(ecr: StrictEcr) -> None:
    for operation in ("DeleteRepositoryPolicy", "DeleteLifecyclePolicy"):
        with contextlib.suppress(EcrError):  # they may be gone already
            ecr.call(operation, {"repositoryName": "app"})


@pytest.mark.parametrize("gap", GAPS[::3])
@pytest.mark.parametrize(("before", "change"), [(False, put_policies), (True, remove_policies)], ids=["put", "removed"])
def test_policies_that_are_changed_do_not_stop_the_delete(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int, before: bool, change: Callable[[StrictEcr], None]
) -> None:
    if before:
        put_policies(ecr)
    in_gap(ecr, gap, lambda: change(ecr))
    delete()
    filled.assert_gone(delete)


@pytest.mark.parametrize("gap", GAPS[::3])
def test_policies_that_somebody_puts_stay_where_the_delete_fails(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int
) -> None:
    """Except a policy that comes between the freeze's last read and its write: ECR has no conditional put."""

    def change() -> None:
        put_policies(ecr)
        put_tag(ecr, "awstut:deletion-protection", "on")

    in_gap(ecr, gap, change)
    if delete().status is not SUCCESS and ecr.call_log[gap - 1].operation != "SetRepositoryPolicy":
        assert policies_of(ecr) == (POLICY, json.loads(LIFECYCLE))


@pytest.mark.parametrize("operation", ["BatchDeleteImage", "DeleteRepository", "DescribeImages", "ListTagsForResource"])
@pytest.mark.parametrize("gap", GAPS[::6])
def test_a_policy_that_denies_an_action_ends_the_delete_and_names_it(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int, operation: str
) -> None:
    in_gap(ecr, gap, lambda: ecr.faults.deny.add(f"ecr:{operation}"))
    event = delete()
    if event.status is not SUCCESS:
        assert event.errorCode is HandlerErrorCode.AccessDenied
        assert f"ecr:{operation} was denied" in event.message
        filled.assert_not_frozen()
        ecr.faults.clear()
        delete()
    assert ecr.holds("app") is None


@pytest.mark.parametrize("gap", GAPS[::3])
@pytest.mark.parametrize("count", [1, 130])
def test_images_that_arrive_are_deleted_too(
    ecr: StrictEcr, delete: Purge, filled: Filled, gap: int, count: int
) -> None:
    in_gap(ecr, gap, lambda: ecr.repository("app").with_images(count, tag="late-{n}"))
    delete()
    filled.assert_gone(delete)


@pytest.mark.parametrize("gap", GAPS[::3])
def test_an_image_that_arrives_and_is_protected_stays(ecr: StrictEcr, delete: Purge, gap: int) -> None:
    tags = {"awstut:auto-purge": "on protect-tags", "awstut:protect-tags": "release-@"}
    builder = ecr.repository("app", tags=tags).with_images(115).with_multi_arch(2)
    digests: list[str] = []

    def push(*_: Any) -> None:
        digests.append(builder.push(("release-1",)))

    in_gap(ecr, gap, push)
    event = delete()
    if digests:
        assert "protected by tag pattern release-*" in event.message
        assert digests[0] in {image.digest for image in ecr.images("app")}
    else:
        assert event.status is SUCCESS


@pytest.mark.parametrize("gap", GAPS[::3])
def test_a_tag_that_moves_does_no_harm(ecr: StrictEcr, delete: Purge, gap: int) -> None:
    ecr.repository("app", tags=MARKED).with_images(115).with_tagged("latest")
    repository = ecr.repositories["app"]

    def move() -> None:
        images = ecr.images("app")
        if images:
            repository.images.tag(images[-1], "latest")
            repository.images.tag(images[0], "latest")

    in_gap(ecr, gap, move)
    assert delete().status is SUCCESS
    assert ecr.holds("app") is None
