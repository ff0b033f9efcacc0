"""ECR takes 9 s for each call, and loses answers: every call of create, read, update and list ends in its time.

CloudFormation gives READ and LIST 30 s, the others 60 s; 5 s of that are kept for what comes before and after the call.
"""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from tests.support.samples import EVERYTHING, LIFECYCLE, NAME, OTHER_POLICY, POLICY, policies_of, put_tag, tags_of
from tests.support.strict import STACK, Killed, Wire
from tests.support.strict_kms import StrictKms
from tests.unit.test_take_over import WRITES
from tests.unit.test_update import UPDATES

SLOW = 9.0
LIMITS = {"READ": 25, "LIST": 25, "CREATE": 55, "UPDATE": 55}
RETRIABLE = {"NetworkFailure", "ServiceInternalError", "Throttling", "ResourceConflict"}
BEFORE = NAME | {
    "RepositoryPolicyText": POLICY,
    "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE},
    "ImageTagMutability": "IMMUTABLE",
    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    "DeletionProtection": True,
    "PurgeProtection": {"TagPatterns": ["v*"], "PulledWithinDays": 30},
}
AFTER = NAME | {
    "RepositoryPolicyText": OTHER_POLICY,
    "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE.replace("500", "7")},
    "ImageTagMutability": "MUTABLE",
    "ImageScanningConfiguration": {"ScanOnPush": True},
    "Tags": [{"Key": "a", "Value": "9"}, {"Key": "c", "Value": "3"}],
    "FreezeOnDelete": True,
    "PurgeReport": {"BucketName": "audit"},
}
# Every setting changes, and both ways: what one lacks, the other has.
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "all changed": (BEFORE, AFTER),
    "all changed back": (AFTER, BEFORE),
    "all removed": (BEFORE, NAME),
    "all put": (NAME, AFTER),
    "nothing changed": (AFTER, AFTER),
    **{case: (NAME | previous, NAME | wanted) for case, (previous, wanted, _) in UPDATES.items()},
}


def answers_of(wire: Wire, action: str, properties: dict[str, Any] | None, **more: Any) -> list[dict[str, Any]]:
    """The answers of all calls of an operation, each in its time, with a small context."""
    answers: list[dict[str, Any]] = []
    while not answers or answers[-1]["status"] == "IN_PROGRESS":
        if answers:
            wire.ecr.clock.sleep(answers[-1]["callbackDelaySeconds"])
            properties, more["context"] = answers[-1]["resourceModel"], answers[-1]["callbackContext"]
        began = wire.ecr.clock.monotonic()
        answers.append(wire.call(action, properties, **more))
        assert wire.ecr.clock.monotonic() - began <= LIMITS[action]
        assert len(json.dumps(answers[-1].get("callbackContext"))) < 4_096
    return answers


def slow(wire: Wire, ecr: StrictEcr, action: str, properties: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """The last answer of an operation at 9 s for each call of ECR; then ECR is quick again."""
    ecr.faults.latency = {"*": SLOW}
    answer = answers_of(wire, action, properties, **more)[-1]
    ecr.faults.clear()
    return answer


@pytest.fixture
def state(ecr: StrictEcr) -> Any:
    def read() -> dict[str, Any]:
        found = dict(vars(ecr.repositories["app"]))
        shown = ("tags", "mutability", "filters", "scan_on_push")
        return {
            "tags": tags_of(ecr),
            "policies": policies_of(ecr),
            **{key: repr(value) for key, value in found.items() if any(each in key for each in shown)},
        }

    return read


# Read and list


@pytest.mark.parametrize("shape", [NAME, BEFORE, AFTER], ids=["nothing", "much", "other"])
def test_read_answers_in_time_and_the_same(wire: Wire, ecr: StrictEcr, shape: dict[str, Any]) -> None:
    wire.succeed("CREATE", shape)
    expected = wire.succeed("READ", NAME)
    began = ecr.clock.monotonic()
    answer = slow(wire, ecr, "READ", NAME)
    assert (answer["status"], answer["resourceModel"]) == ("SUCCESS", expected)
    assert ecr.clock.monotonic() - began == pytest.approx(18, abs=0.1)  # two calls' time for four calls


def test_list_answers_in_time(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    answer = slow(wire, ecr, "LIST", None)
    assert [each["RepositoryName"] for each in answer["resourceModels"]] == ["app"]


def test_read_of_a_repository_that_does_not_exist_says_so(wire: Wire, ecr: StrictEcr) -> None:
    """The other questions may be answered by a denial: the answer to DescribeRepositories decides."""
    ecr.faults.deny |= {"ecr:GetLifecyclePolicy"}
    assert wire.fail("READ", NAME) == ("NotFound", "The repository app does not exist.")
    assert slow(wire, ecr, "READ", NAME)["errorCode"] == "NotFound"


@pytest.mark.parametrize("operation", ["DescribeRepositories", "GetRepositoryPolicy", "GetLifecyclePolicy"])
def test_read_that_is_denied_is_denied(wire: Wire, ecr: StrictEcr, operation: str) -> None:
    wire.succeed("CREATE", NAME)
    ecr.faults.deny.add(f"ecr:{operation}")
    code, message = wire.fail("READ", NAME)
    assert code == "AccessDenied"
    assert f"ecr:{operation} was denied" in message


READS = ["DescribeRepositories", "ListTagsForResource", "GetRepositoryPolicy", "GetLifecyclePolicy"]


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
def test_read_repeats_what_is_lost(wire: Wire, ecr: StrictEcr, operation: str, fault: str) -> None:
    wire.succeed("CREATE", BEFORE)
    expected = wire.succeed("READ", NAME)
    getattr(ecr.faults, fault)(operation, times=2)
    assert wire.succeed("READ", NAME) == expected


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("action", ["READ", "LIST", "UPDATE"])
def test_a_call_that_gets_no_answer_ends_in_time_by_a_failure_that_is_tried_again(
    wire: Wire, ecr: StrictEcr, action: str, operation: str
) -> None:
    """The client gives a request up after 10 s without an answer."""
    wire.succeed("CREATE", NAME)
    if action == "LIST":
        operation = "DescribeRepositories"
    ecr.faults.latency = {operation: 10.0}
    ecr.faults.slow(operation, times=999)
    answer = answers_of(wire, action, None if action == "LIST" else NAME, previous=NAME)[-1]
    assert (answer["status"], answer["errorCode"]) == ("FAILED", "NetworkFailure")
    assert answer["message"].startswith("ECR could not be called")


@pytest.mark.parametrize("action", ["READ", "LIST", "UPDATE"])
def test_a_call_that_is_always_throttled_ends_in_time_by_a_failure_that_is_tried_again(
    wire: Wire, ecr: StrictEcr, action: str
) -> None:
    wire.succeed("CREATE", NAME)
    ecr.faults.throttle(rate=0.0, burst=0)
    answer = answers_of(wire, action, None if action == "LIST" else NAME, previous=NAME)[-1]
    assert (answer["status"], answer["errorCode"]) == ("FAILED", "Throttling")
    assert "Rate exceeded" in answer["message"]


def test_a_read_for_which_ecr_is_too_slow_says_so(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    ecr.faults.latency = {"*": 12.5}  # connecting can take 3 s more than the 10 s of an answer
    [answer] = answers_of(wire, "READ", NAME)
    assert answer["errorCode"] == "ServiceInternalError"
    assert "ECR answers so slowly" in answer["message"]


# Create


@pytest.mark.parametrize("shape", [NAME, BEFORE, AFTER, EVERYTHING], ids=["nothing", "much", "other", "everything"])
def test_create_answers_in_time(wire: Wire, ecr: StrictEcr, shape: dict[str, Any]) -> None:
    answer = slow(wire, ecr, "CREATE", shape)
    assert answer["status"] == "SUCCESS"
    assert answer["resourceModel"] == wire.succeed("READ", shape)
    assert ecr.calls["CreateRepository"] == 1


def test_create_of_a_name_that_is_taken_answers_in_time(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    answer = slow(wire, ecr, "CREATE", NAME, token="another")
    assert answer["errorCode"] == "AlreadyExists"
    assert tags_of(ecr)["awstut:stack-id"].startswith("released:")


def test_create_with_a_policy_that_is_refused_answers_in_time_and_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    answer = slow(wire, ecr, "CREATE", BEFORE | {"RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert answer["errorCode"] == "InvalidRequest"
    assert ("resourceModel" in answer, ecr.names()) == (False, [])


# Update


@pytest.mark.parametrize("shape", SHAPES)
def test_update_answers_in_time_and_ends_the_same_as_with_a_quick_ecr(
    wire: Wire, ecr: StrictEcr, shape: str, state: Any
) -> None:
    previous, wanted = SHAPES[shape]
    wire.succeed("CREATE", previous)
    quick = wire.succeed("UPDATE", wanted, previous=previous)
    expected = state()
    ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    wire.succeed("CREATE", previous)
    answer = slow(wire, ecr, "UPDATE", wanted, previous=previous)
    assert answer["status"] == "SUCCESS", answer
    assert answer["resourceModel"] == quick
    assert state() == expected


def test_an_update_that_goes_on_says_so_and_carries_its_model(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", BEFORE)
    ecr.faults.latency = {"*": SLOW}
    *waiting, last = answers_of(wire, "UPDATE", AFTER, previous=BEFORE)
    assert len(waiting) == 2
    assert {each["message"] for each in waiting} == {
        "Updating the repository app. ECR answers slowly, so another call continues."
    }
    assert all(each["resourceModel"]["RepositoryName"] == "app" for each in waiting)
    assert last["status"] == "SUCCESS"


def test_an_update_puts_before_it_removes_over_several_calls_too(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", BEFORE)
    ecr.reset_calls()
    slow(wire, ecr, "UPDATE", AFTER, previous=BEFORE)
    writes = [each.operation for each in ecr.call_log if not each.operation.startswith(("Get", "List", "Describe"))]
    wanted = "SetRepositoryPolicy PutLifecyclePolicy PutImageTagMutability PutImageScanningConfiguration"
    assert writes[-6:] == [*wanted.split(), "TagResource", "UntagResource"]


def test_an_update_that_asks_kms_answers_in_time(wire: Wire, ecr: StrictEcr, kms: StrictKms) -> None:
    """KMS never answers: the update fails before it changes anything."""
    encrypted = {"EncryptionType": "KMS", "KmsKey": "alias/aws/ecr"}
    wire.succeed("CREATE", NAME | {"EncryptionConfiguration": encrypted})
    kms.faults.drop_before("DescribeKey", times=999)
    ecr.reset_calls()
    other = NAME | {"EncryptionConfiguration": encrypted | {"KmsKey": "alias/images"}}
    answer = slow(wire, ecr, "UPDATE", other, previous=NAME | {"EncryptionConfiguration": encrypted})
    assert answer["errorCode"] == "NetworkFailure"
    assert answer["message"].startswith("KMS could not be called")


def _owned_by_nobody(ecr: StrictEcr) -> None:
    """An import: the repository was made by something else."""
    ecr.repositories["app"].tags = {"owner": "somebody"}


def _owned_by_another(ecr: StrictEcr) -> None:
    """A move between stacks."""
    put_tag(ecr, "awstut:stack-id", STACK.replace("shop", "old"))


def _locked(ecr: StrictEcr) -> None:
    """An operator has added protection since."""
    put_tag(ecr, "awstut:protect-tags", "release-@ v@")
    put_tag(ecr, "awstut:protect-pulled-days", "90")


def _as_it_was(ecr: StrictEcr) -> None:
    """Nobody has changed anything."""


STARTS = [_as_it_was, _owned_by_nobody, _owned_by_another, _locked]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("shape", ["all changed", "all changed back", "all removed", "all put"])
def test_an_update_that_is_continued_or_killed_and_repeated_ends_as_one_that_is_not(
    wire: Wire, ecr: StrictEcr, shape: str, start: Any, state: Any
) -> None:
    """A call does not mistake what an earlier call of the same update has put for somebody else's change.

    Nor does it mistake the owner that the earlier call wrote for the old owner. A killed update is repeated from its
    beginning, without a context. Reads may be stale, and answers may be lost, once each.
    """
    previous, wanted = SHAPES[shape]

    def begin() -> None:
        ecr.faults.clear()
        if "app" in ecr.names():
            ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
        wire.succeed("CREATE", previous, token="create")
        start(ecr)

    begin()
    wire.succeed("UPDATE", wanted, previous=previous, token="update")
    expected = state()
    begin()
    assert slow(wire, ecr, "UPDATE", wanted, previous=previous, token="update")["status"] == "SUCCESS"
    assert state() == expected
    for operation in sorted(WRITES):
        begin()
        seed = random.randrange(2**32)
        chance = random.Random(seed)

        armed = [operation]

        def kill(_: object, armed: list[str] = armed) -> None:
            if armed:
                raise Killed(armed.pop())

        ecr.before(operation, kill, nth=None)
        getattr(ecr.faults, chance.choice(["drop_before", "drop_after", "slow"]))(chance.choice(READS))
        if chance.random() < 0.5:
            ecr.lateness.stale_next(chance.choice(READS))
        if chance.random() < 0.5:
            ecr.faults.latency = {"*": SLOW}
        with contextlib.suppress(Killed):  # An update of this shape may not make that call.
            answers_of(wire, "UPDATE", wanted, previous=previous, token="update")
        armed.clear()
        answer = answers_of(wire, "UPDATE", wanted, previous=previous, token="update")[-1]
        assert answer["status"] == "SUCCESS", (seed, operation, answer)
        ecr.faults.clear()
        assert state() == expected, (seed, operation)


def test_an_update_that_is_continued_waits_until_reads_show_what_it_changed(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    ecr.lateness.changed_tags = 15
    ecr.faults.latency = {"*": SLOW}
    last = answers_of(wire, "UPDATE", AFTER, previous=NAME)[-1]
    assert last["status"] == "SUCCESS"
    assert wire.succeed("READ", NAME)["Tags"] == AFTER["Tags"]


def test_an_update_whose_change_is_never_shown_ends_after_20_seconds(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    ecr.lateness.changed_tags = 10_000
    began = ecr.clock.monotonic()
    assert wire.finish("UPDATE", NAME | {"FreezeOnDelete": True}, previous=NAME)["status"] == "SUCCESS"
    assert ecr.clock.monotonic() - began <= 21


def test_update_with_an_unreadable_callback_context_begins_again(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", BEFORE)
    for context in ({"version": 1}, {"version": 9, "began": 1}, {"version": 1, "began": -1}, {"phase": "purge"}):
        wire.succeed("UPDATE", AFTER, previous=BEFORE, context=context)
    assert tags_of(ecr)["awstut:freeze-on-delete"] == "on"
