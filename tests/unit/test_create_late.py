"""Create on an ECR that is late: it is done when the repository is there, and no repository is lost or orphaned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from sandbox.iam.ecr import authorizer
from sandbox.iam.policies import Policies
from tests.support.samples import EVERYTHING, LIFECYCLE, NAME, POLICY, ROLE, policies_of, put_tag, tags_of
from tests.support.strict import Killed, Wire

FOR_ROLE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "ecr:BatchGetImage"}],
}
WITH_ROLE = NAME | {"RepositoryPolicyText": FOR_ROLE}
BAD_POLICY = NAME | {"RepositoryPolicyText": {"Version": "2012-10-17"}}
LONGEST_CALL_SECONDS = 55


def answers_of(wire: Wire, properties: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The answers of all calls of a create. Each ends within 55 s, and its context is small."""
    answers: list[dict[str, Any]] = []
    while not answers or answers[-1]["status"] == "IN_PROGRESS":
        if answers:
            wire.ecr.clock.sleep(answers[-1]["callbackDelaySeconds"])
            more["context"] = answers[-1]["callbackContext"]
            properties = answers[-1]["resourceModel"]
        began = wire.ecr.clock.monotonic()
        answers.append(wire.call("CREATE", properties, **more))
        assert wire.ecr.clock.monotonic() - began <= LONGEST_CALL_SECONDS
        assert len(json.dumps(answers[-1].get("callbackContext"))) < 4_096
    return answers


# Visible late


@pytest.mark.parametrize("seconds", [1, 5, 20, 60, 150])
@pytest.mark.parametrize("kind", ["new_repository", "new_tags"])
def test_create_waits_until_the_repository_is_there(wire: Wire, ecr: StrictEcr, kind: str, seconds: int) -> None:
    setattr(ecr.lateness, kind, seconds)
    began = ecr.clock.monotonic()
    *waiting, last = answers_of(wire, EVERYTHING)
    assert last["status"] == "SUCCESS"
    assert seconds <= ecr.clock.monotonic() - began <= seconds + 15
    assert bool(waiting) is (seconds >= 60)
    assert all(each["resourceModel"]["RepositoryName"] == "team/app" for each in waiting)
    assert ecr.calls["CreateRepository"] == 1
    assert wire.succeed("READ", EVERYTHING) == last["resourceModel"]


def test_create_on_a_late_ecr_ends_when_reads_show_its_policies(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_repository, ecr.lateness.changed_policy = 1, 4
    *_, last = answers_of(wire, EVERYTHING)
    assert last["status"] == "SUCCESS"
    assert wire.succeed("READ", EVERYTHING) == last["resourceModel"]


def test_create_succeeds_although_reads_never_show_its_policies(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_repository, ecr.lateness.changed_policy = 1, 10_000
    *_, last = answers_of(wire, EVERYTHING)
    assert last["status"] == "SUCCESS"


def test_create_that_waits_says_for_what(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_repository = 100
    first = wire.call("CREATE", NAME)
    assert first["status"] == "IN_PROGRESS"
    assert first["message"] == "Created the repository app. Waiting until ECR shows it with its tags."


def test_create_of_a_repository_that_never_appears_fails_after_three_minutes(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_repository = 10_000
    *_, last = answers_of(wire, NAME)
    assert (last["status"], last["errorCode"]) == ("FAILED", "NotStabilized")
    assert "The repository app was created, but ECR does not show it with its tags" in last["message"]
    assert "This was tried for 18" in last["message"]
    assert last["resourceModel"]["RepositoryName"] == "app"  # it may still appear, and the rollback then deletes it
    assert ecr.calls["CreateRepository"] == 1


def test_create_without_faults_makes_two_reads_beside_its_writes(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", EVERYTHING)
    assert dict(ecr.calls) == {
        "CreateRepository": 1,
        "DescribeRepositories": 1,
        "ListTagsForResource": 1,
        "SetRepositoryPolicy": 1,
        "PutLifecyclePolicy": 1,
    }


# Errors that pass


@pytest.mark.parametrize("words", ["Principal not found", "Invalid repository policy provided"])
@pytest.mark.parametrize("seconds", [1, 5, 20, 60, 150])
def test_create_waits_until_iam_knows_the_role_of_the_policy(
    wire: Wire, ecr: StrictEcr, words: str, seconds: int
) -> None:
    ecr.lateness.new_role, ecr.lateness.refusal_of_role = seconds, words
    *_, last = answers_of(wire, WITH_ROLE)
    assert last["status"] == "SUCCESS"
    assert policies_of(ecr)[0] == FOR_ROLE
    assert not ecr.calls["DeleteRepository"]


def test_create_gives_up_on_a_role_after_three_minutes_and_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_role = 10_000
    began = ecr.clock.monotonic()
    *_, last = answers_of(wire, WITH_ROLE)
    assert last["errorCode"] == "InvalidRequest"
    assert "Principal not found" in last["message"]
    assert "This was tried for 18" in last["message"]
    assert 180 <= ecr.clock.monotonic() - began <= 200
    assert ("resourceModel" in last, ecr.names()) == (False, [])


def test_create_does_not_wait_for_a_policy_that_no_role_can_explain(wire: Wire, ecr: StrictEcr) -> None:
    began = ecr.clock.monotonic()
    wire.fail("CREATE", BAD_POLICY)
    assert ecr.clock.monotonic() - began < 1
    assert ecr.names() == []


@pytest.mark.parametrize("seconds", [1, 5, 20, 45])
def test_create_waits_until_its_role_may_change_the_repository(wire: Wire, ecr: StrictEcr, seconds: int) -> None:
    """A role that is limited to marked repositories does not see the mark yet."""
    ecr.faults.deny.add("ecr:SetRepositoryPolicy")
    _lift_after(ecr, seconds)
    *_, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert last["status"] == "SUCCESS"


def _lift_after(ecr: StrictEcr, seconds: float) -> None:
    """Lift the denial once so much time has passed."""
    ends, sleep = ecr.clock.monotonic() + seconds, ecr.clock.sleep

    def sleep_and_lift(for_seconds: float) -> None:
        sleep(for_seconds)
        if ecr.clock.monotonic() >= ends:
            ecr.faults.deny.clear()

    ecr.clock.sleep = sleep_and_lift  # type: ignore[method-assign]


def test_create_gives_up_on_a_denial_after_one_minute_and_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:SetRepositoryPolicy")
    *_, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert last["errorCode"] == "AccessDenied"
    assert "This was tried for 6" in last["message"]
    assert ("resourceModel" in last, ecr.names()) == (False, [])


def test_create_does_not_wait_where_it_may_not_create(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:CreateRepository")
    began = ecr.clock.monotonic()
    assert wire.fail("CREATE", NAME)[0] == "AccessDenied"
    assert ecr.clock.monotonic() - began < 1


@pytest.mark.parametrize("operation", ["DescribeRepositories", "ListTagsForResource", "SetRepositoryPolicy"])
def test_a_transient_error_undoes_nothing(wire: Wire, ecr: StrictEcr, operation: str) -> None:
    ecr.faults.fail_next(operation, "ServerException", "boom", 500, times=40)
    *waiting, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert waiting
    assert last["status"] == "SUCCESS"
    assert not ecr.calls["DeleteRepository"]


def test_a_create_of_which_every_answer_is_lost_still_makes_one_repository(wire: Wire, ecr: StrictEcr) -> None:
    for operation in ("CreateRepository", "DescribeRepositories", "ListTagsForResource", "SetRepositoryPolicy"):
        ecr.faults.drop_after(operation, times=2)
    wire.succeed("CREATE", NAME | {"RepositoryPolicyText": POLICY})
    assert ecr.names() == ["app"]


def test_a_create_that_ecr_never_answers_fails_with_a_code_that_cloudformation_repeats(
    wire: Wire, ecr: StrictEcr
) -> None:
    ecr.faults.drop_before("CreateRepository", times=1_000)
    code, _ = wire.fail("CREATE", NAME)
    assert code == "NetworkFailure"


# Undo


@pytest.mark.parametrize("seconds", [1, 20, 60])
def test_an_undo_waits_until_the_repository_can_be_deleted(wire: Wire, ecr: StrictEcr, seconds: int) -> None:
    ecr.faults.fail_next("SetRepositoryPolicy", "InvalidParameterException", "refused")
    ecr.faults.deny.add("ecr:DeleteRepository")
    _lift_after(ecr, min(seconds, 55))
    *_, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert last["errorCode"] == "InvalidRequest"
    assert ("resourceModel" in last, ecr.names()) == (False, [])


def test_an_undo_that_meets_a_stale_answer_leaves_no_repository(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.fail_next("SetRepositoryPolicy", "InvalidParameterException", "refused")
    ecr.lateness.stale_next("DeleteRepository", times=3)
    *_, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert ("resourceModel" in last, ecr.names()) == (False, [])


def test_an_undo_that_runs_out_of_time_goes_on_in_the_next_call(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.fail_next("SetRepositoryPolicy", "InvalidParameterException", "refused")
    ecr.faults.fail_next("DeleteRepository", "ServerException", "boom", 500, times=30)
    first, *_, last = answers_of(wire, NAME | {"RepositoryPolicyText": POLICY})
    assert first["message"].endswith("Waiting until it can be deleted again, because the create failed.")
    assert (last["errorCode"], "resourceModel" in last, ecr.names()) == ("InvalidRequest", False, [])
    assert "refused" in last["message"]


# Two copies, and a create that is cancelled


def test_a_callback_never_creates_the_repository_a_second_time(wire: Wire, ecr: StrictEcr) -> None:
    """The stack was cancelled: CloudFormation deletes the repository while a copy of the create still runs."""
    ecr.lateness.new_role = 100
    first = wire.call("CREATE", WITH_ROLE)
    assert first["status"] == "IN_PROGRESS"
    wire.succeed("DELETE", NAME, token="token-2")
    *_, last = answers_of(wire, first["resourceModel"], context=first["callbackContext"])
    assert (last["status"], last["errorCode"]) == ("FAILED", "NotStabilized")
    assert "Perhaps somebody deleted it" in last["message"]
    assert ecr.names() == []
    assert ecr.calls["CreateRepository"] == 1


def test_a_callback_leaves_the_repository_of_another_that_took_the_name(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_role = 100
    first = wire.call("CREATE", WITH_ROLE)
    ecr.call("DeleteRepository", {"repositoryName": "app"})
    ecr.clock.sleep(5)
    ecr.repository("app", tags={"team": "other"})
    *_, last = answers_of(wire, first["resourceModel"], context=first["callbackContext"])
    assert last["errorCode"] == "NotStabilized"
    assert "resourceModel" not in last
    assert tags_of(ecr) == {"team": "other"}


@pytest.mark.parametrize("has_context", [False, True])
def test_a_second_copy_never_deletes_what_the_first_has_reported(wire: Wire, ecr: StrictEcr, has_context: bool) -> None:
    context = None
    if has_context:
        ecr.lateness.new_role = 50
        context = wire.call("CREATE", WITH_ROLE)["callbackContext"]
    wire.succeed("CREATE", WITH_ROLE, context=context)
    ecr.faults.fail_next("SetRepositoryPolicy", "InvalidParameterException", "refused")
    *_, last = answers_of(wire, WITH_ROLE, context=context)
    assert last["status"] == "SUCCESS"  # the policy that this copy could not put is there
    assert ecr.names() == ["app"]
    ecr.call("DeleteRepositoryPolicy", {"repositoryName": "app"})
    ecr.faults.fail_next("SetRepositoryPolicy", "InvalidParameterException", "refused")
    if not has_context:
        *_, last = answers_of(wire, WITH_ROLE)
        assert last["errorCode"] == "InvalidRequest"
        assert "An earlier call of this create made it" in last["message"]
        assert ecr.names() == ["app"]


def test_a_second_copy_succeeds_though_it_sees_the_tags_of_the_repository_late(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_tags = 30

    def kill(_: object) -> None:
        raise Killed

    ecr.after("CreateRepository", kill)
    assert wire.call("CREATE", NAME)["status"] == "FAILED"  # nobody hears that answer
    *_, last = answers_of(wire, NAME)
    assert last["status"] == "SUCCESS"


@pytest.mark.parametrize("visible", [True, False])
def test_a_name_is_not_reported_as_taken_before_its_owner_is_known(wire: Wire, ecr: StrictEcr, visible: bool) -> None:
    ecr.repository("app")
    if not visible:
        ecr.lateness.stale_next("DescribeRepositories", times=100)
    answer = wire.call("CREATE", NAME)
    assert (answer["status"], answer["errorCode"]) == ("FAILED", "ResourceConflict")  # CloudFormation repeats it
    assert "ECR does not show yet by whom" in answer["message"]
    assert "resourceModel" not in answer
    ecr.lateness.clear()
    ecr.clock.sleep(120)
    assert wire.fail("CREATE", NAME)[0] == "AlreadyExists"
    assert tags_of(ecr) == {}


def test_a_name_that_ecr_frees_late_is_used_as_soon_as_it_is_free(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app")
    ecr.call("DeleteRepository", {"repositoryName": "app"})
    deleted = ecr.clock.monotonic()
    ecr.lateness.deleted_name = 20
    wire.succeed("CREATE", NAME)
    assert ecr.names() == ["app"]
    assert ecr.repositories["app"].traces.created - deleted < 20 + 15


@pytest.mark.parametrize(
    "context",
    [{"phase": "purge"}, {"version": 2}, {"version": 1, "created": -5}, {"version": 1, "created": None},
     {"version": 1, "created": 5, "since": {"look visible": -1}},
     {"version": 1, "created": 5, "failure": {"code": "Nonsense", "message": "x"}}],
)  # fmt: skip
def test_create_with_an_unreadable_callback_context_creates_nothing(
    wire: Wire, ecr: StrictEcr, context: dict[str, Any]
) -> None:
    code, message = wire.fail("CREATE", NAME, context=context)
    assert code == "InvalidRequest"
    assert "callback context" in message
    assert ecr.names() == []


# A role that is limited to marked repositories sees the mark late

MARK = "aws:ResourceTag/awstut:auto-purge"
READS = ["ecr:DescribeRepositories", "ecr:ListTagsForResource", "ecr:GetRepositoryPolicy", "ecr:GetLifecyclePolicy"]
LIMITED_TO_MARKED: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": [*READS, "ecr:CreateRepository", "ecr:TagResource"], "Resource": "*"},
        {"Effect": "Allow", "Action": "ecr:*", "Resource": "*", "Condition": {"Null": {MARK: "false"}}},
    ],
}


@pytest.mark.parametrize("seconds", [0, 5, 20, 45])
def test_create_waits_until_its_role_sees_the_mark(wire: Wire, ecr: StrictEcr, seconds: int) -> None:
    ecr.authorize = authorizer(Policies([LIMITED_TO_MARKED]), "role")
    ecr.lateness.new_tags = seconds
    wire.succeed(
        "CREATE", NAME | {"RepositoryPolicyText": POLICY, "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}}
    )
    assert policies_of(ecr)[0] == POLICY
    put_tag(ecr, "team", "shop")
