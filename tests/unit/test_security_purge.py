"""Deletes under the hardened role: it is denied to change a repository that is gone, or that has no mark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from sandbox.ecr import StrictEcr
from sandbox.iam.ecr import authorizer
from sandbox.iam.policies import Policies
from sandbox.server import start_sandbox
from tests.support.gaps import at_call
from tests.support.roles import HARDENED, REPORTS, make_role, policies_of
from tests.support.strict import MARKED, REGION, Purge


@pytest.fixture(scope="module")
def policies() -> Iterator[Policies]:
    with start_sandbox() as box:
        yield Policies(policies_of(box, make_role(box, HARDENED, region=REGION, **REPORTS))[1].values())


@pytest.fixture(autouse=True)
def hardened(ecr: StrictEcr, policies: Policies) -> None:
    """Allow the handlers' client what the role allows. A test that uses `ecr.call` acts for somebody else."""
    ecr.authorize = authorizer(policies, "the handlers")


def fill(ecr: StrictEcr) -> Any:
    return ecr.repository("app", tags=MARKED).with_images(450).with_multi_arch(20).with_archived(4)


def remove(ecr: StrictEcr) -> None:
    if "app" in ecr.repositories:
        ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})


def test_a_purge_needs_no_more_than_the_role_allows(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


GAPS = range(2, 13)  # the purge makes twelve calls


@pytest.mark.parametrize("gap", GAPS)
def test_somebody_else_deletes_the_repository_in_a_gap(ecr: StrictEcr, delete: Purge, gap: int) -> None:
    fill(ecr)
    happened = at_call(ecr, gap, lambda: remove(ecr))
    event = delete()
    assert happened
    # In gap 2 the delete has seen the description of the repository, but not its tags.
    unseen = gap == 2 and event.errorCode is HandlerErrorCode.NotFound
    assert event.status is OperationStatus.SUCCESS or unseen, event.message
    assert ecr.holds("app") is None


@pytest.mark.parametrize("gap", GAPS)
def test_a_new_repository_of_the_same_name_and_without_the_mark_survives(
    ecr: StrictEcr, delete: Purge, gap: int
) -> None:
    fill(ecr)

    def replace() -> None:
        remove(ecr)
        delete.clock.advance(5)
        ecr.repository("app").with_images(3)

    happened = at_call(ecr, gap, replace)
    delete()
    assert happened
    assert ecr.holds("app") == 3


@pytest.mark.parametrize("operation", ["BatchDeleteImage", "DeleteRepository"])
def test_a_purge_succeeds_though_the_answer_to_a_delete_was_lost(ecr: StrictEcr, delete: Purge, operation: str) -> None:
    """The second try finds nothing left. DeleteRepository is denied then, because no repository has the mark."""
    fill(ecr)
    ecr.faults.drop_after(operation, times=1)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_a_mark_that_is_taken_away_stops_the_purge(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr)
    ecr.before("BatchDeleteImage", lambda _: ecr.repositories["app"].tags.clear(), nth=2)
    event = delete()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert "ecr:BatchDeleteImage was denied." in event.message
    assert ecr.holds("app")
