"""The callback context of a delete: what it keeps, and what becomes of one of another version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.deletion.call import Budget
from awstut_ecr_autopurgerepository.deletion.state import CONTEXT_VERSION, State
from awstut_ecr_autopurgerepository.deletion.use import LONGEST_PLACE
from awstut_ecr_autopurgerepository.errors import HandlerError
from awstut_ecr_autopurgerepository.pacing import (
    CONNECT_SECONDS,
    HARD_LIMIT_SECONDS,
    READ_SECONDS,
    S3_CONNECT_SECONDS,
    S3_READ_SECONDS,
)
from awstut_ecr_autopurgerepository.rules.push_block import SID, add_to
from sandbox.ecr import StrictEcr
from tests.support.strict import OWNED, STACK, Purge

FROZEN = OWNED | {"awstut:auto-purge": "on freeze-on-delete", "awstut:freeze-on-delete": "on"}


def context_of(state: State) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(state.to_context()))
    return found


def full_state() -> State:
    state = State()
    state.begin(1_800_000_000)
    state.identity.remember(1_800_000_000_000, "0123456789abcdef")
    state.follow("0123456789abcdef", may_purge=True)
    state.everything_is_checked()
    state.counts.notice(99_999_999)
    state.counts.count_deleted(99_999_999)
    for number in range(12):
        state.current_pass.count_failure(f"SomeLongFailureCodeOfECR{number}", "sha256:" + "f" * 64)
    state.current_pass.go_on_at("ACTIVATING", "t" * 1_900, 99_999_999)
    state.stalls.count_pass(3, 0, 1_800_000_000)
    state.pace.learn(99_999.99, 99_999.98, 40)
    state.freeze.apply(alone=True)
    state.report.note_destinations(["ap-southeast-4 (account 123456789012)"] * 10)
    state.report.open_at(f"s3://{'b' * 63}/{'p' * 128} 123456789012", changed=True)
    return state


def test_a_context_says_all_that_the_state_says() -> None:
    state = full_state()
    assert State.from_context(context_of(state)) == state


def test_an_empty_context_is_a_new_operation() -> None:
    assert State.from_context({}) == State()


def test_a_context_stays_under_4_kb() -> None:
    state = full_state()
    assert len(json.dumps(state.to_context())) < 4_096
    state.use.go_on_with("INSPECTOR")
    state.use.wait_for_page(1_800_000_000)
    state.use.go_on_at(["t" * (LONGEST_PLACE // 2)] * 2)
    assert len(json.dumps(state.to_context())) < 4_096
    assert State.from_context(context_of(state)).use == state.use
    state.fail_later(HandlerError(HandlerErrorCode.NotStabilized, "é" * 1_024))
    assert len(json.dumps(state.to_context())) < 4_096


def test_a_token_that_is_too_long_is_not_kept() -> None:
    state = full_state()
    state.current_pass.restart()
    state.current_pass.go_on_at(None, "t" * 2_001, 5)
    found = context_of(state)["current_pass"]
    assert (found["token"], found["found"]) == (None, 0)


@pytest.mark.parametrize("version", [1, CONTEXT_VERSION + 1])
def test_a_context_of_another_version_goes_on_with_the_same_repository_and_checks_everything_again(
    version: int,
) -> None:
    context = context_of(full_state()) | {"version": version, "something": "new"}
    context["current_pass"]["token"] = "of another version"
    state = State.from_context(context)
    assert state.identity.created == 1_800_000_000_000
    assert state.counts.deleted == 99_999_999
    assert state.freeze.applied
    assert not state.is_purging
    assert state.current_pass.token is None


@pytest.mark.parametrize("section", ["freeze", "report"])
def test_a_section_that_another_version_writes_differently_counts_as_not_known(section: str) -> None:
    state = State.from_context(context_of(full_state()) | {"version": 99, section: {"other": 1}})
    assert state.identity.created is not None
    assert state.freeze.unproven == (section == "freeze")
    assert state.report.incomplete == (section == "report")


def test_a_failure_of_another_version_is_kept() -> None:
    state = full_state()
    state.fail_later(HandlerError(HandlerErrorCode.NotStabilized, "why"))
    found = State.from_context(context_of(state) | {"version": 99})
    assert found.failure is not None
    assert found.failure.error.code is HandlerErrorCode.NotStabilized


UNREADABLE: dict[str, dict[str, Any]] = {
    "nothing of ours": {"x": 1},
    "an old one": {"created": 1, "deleted": 3, "frozen": True},
    "no identity": {"version": 99, "freeze": {"applied": True}},
    "nonsense": {**context_of(State()), "counts": "many"},
    "no pace": {**context_of(State()), "pace": {"calls_an_hour": 0}},
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_context_that_cannot_be_read_deletes_nothing_and_leaves_no_push_block(
    ecr: StrictEcr, delete: Purge, case: str
) -> None:
    ecr.repository("app", tags=FROZEN).with_images(3)
    ecr.repositories["app"].policy = add_to(None)
    event = delete.one_slice(UNREADABLE[case], stack_id=STACK, logical_id="Repository")
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "callback context" in event.message
    assert ecr.holds("app") == 3
    assert ecr.repositories["app"].policy is None


def test_a_context_that_cannot_be_read_does_not_touch_the_policy_of_another_stack_s_repository(
    ecr: StrictEcr, delete: Purge
) -> None:
    """A delete of that stack may be running."""
    ecr.repository("app", tags=FROZEN).with_images(3)
    ecr.repositories["app"].policy = add_to(None)
    event = delete.one_slice({"x": 1}, stack_id=STACK.replace("shop", "other"), logical_id="Repository")
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert SID in str(ecr.repositories["app"].policy)


def test_a_push_block_that_an_unreadable_context_hides_is_removed_by_a_later_call_if_there_was_no_time(
    ecr: StrictEcr, delete: Purge
) -> None:
    ecr.repository("app", tags=FROZEN).with_images(3)
    ecr.repositories["app"].policy = add_to(None)
    ecr.faults.server_errors(every_nth=1, operations=["DescribeRepositories"])
    event = delete.one_slice({"x": 1}, stack_id=STACK, logical_id="Repository")
    assert event.status is OperationStatus.IN_PROGRESS
    ecr.faults.clear()
    context = json.loads(json.dumps(event.callbackContext))
    event = delete.one_slice(context, stack_id=STACK, logical_id="Repository")
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.repositories["app"].policy is None


def test_the_deadlines_of_a_call_leave_each_request_its_time() -> None:
    budget = Budget.of_call(100.0)
    assert 100 < budget.first_answer_at < budget.soon_at < budget.list_until < budget.purge_until
    for last_start in (budget.purge_until, budget.clean_up_until):
        assert last_start + CONNECT_SECONDS + READ_SECONDS <= 100 + HARD_LIMIT_SECONDS
    assert budget.report_until + S3_CONNECT_SECONDS + S3_READ_SECONDS <= 100 + HARD_LIMIT_SECONDS
