"""Events of every shape, over the wire: always a valid answer, and nothing is deleted that should not be."""

from __future__ import annotations

import json
import os
import random
from types import SimpleNamespace
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode
from hypothesis import HealthCheck, given, seed, settings

from awstut_ecr_autopurgerepository import handlers
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from sandbox.driver.contract import breach
from sandbox.driver.schema import Schema
from sandbox.ecr import StrictEcr, VirtualClock
from tests.faults.events import events, repository_tags
from tests.faults.watch import is_locked
from tests.support.project_copy import ROOT
from tests.support.strict import ACCOUNT, OWNED, REGION, STACK, Wire
from tests.support.strict_s3 import StrictS3

Json = dict[str, Any]
EXAMPLES = int(os.environ.get("FAULTS_EVENTS", "400"))
SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(1 << 32))
KEYS = {
    "status",
    "errorCode",
    "message",
    "callbackContext",
    "callbackDelaySeconds",
    "resourceModel",
    "resourceModels",
    "nextToken",
}
CODES = {each.name for each in HandlerErrorCode}
FAULTLESS = settings(
    max_examples=EXAMPLES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(json.loads((ROOT / "awstut-ecr-autopurgerepository.json").read_text()))


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends an event to the handlers, on a given ECR."""
    registries: list[StrictEcr] = []
    s3 = StrictS3()
    s3.make_bucket("audit")

    def client(service: str, config: Any = None) -> Any:
        return (s3 if service == "s3" else registries[-1]).client(config=config)

    session = SimpleNamespace(client=client)
    monkeypatch.setattr(
        "awstut_ecr_autopurgerepository.provider.resource.session_of",
        lambda credentials: session if credentials else None,
    )
    monkeypatch.setattr("traceback.print_exc", lambda: None)

    def to(ecr: StrictEcr, event: Any) -> Json:
        registries[:] = [ecr]
        monkeypatch.setattr(handlers, "time", ecr.clock)
        answer: Json = handlers.resource(json.loads(json.dumps(event)), None)
        assert json.loads(json.dumps(answer)) == answer
        return answer

    return to


def check_shape(schema: Schema, action: Any, answer: Json) -> None:
    """As the handler contract has it, to the letter."""
    assert answer.keys() <= KEYS
    assert answer["status"] in ("SUCCESS", "IN_PROGRESS", "FAILED")
    assert isinstance(answer.get("message", ""), str)
    assert len(answer.get("message", "")) <= LONGEST_MESSAGE
    assert (answer["status"] == "FAILED") == ("errorCode" in answer)
    if answer["status"] == "FAILED":
        assert answer["errorCode"] in CODES - {"InternalFailure", "HandlerInternalFailure", "Unknown"}, answer
        assert answer["message"].strip()
        assert not answer.keys() & {"resourceModel", "resourceModels", "nextToken", "callbackContext"}
    else:
        assert breach(schema, action, answer, 4_096) is None


def filled(tags: Json) -> StrictEcr:
    ecr = StrictEcr(clock=VirtualClock(), account=ACCOUNT, region=REGION)
    ecr.repository("app", tags=tags).with_images(2).with_multi_arch(1)
    ecr.repository("other", tags=OWNED).with_images(1)
    return ecr


@seed(SEED)
@FAULTLESS
@given(event=events(), tags=repository_tags)
def test_an_event_of_any_shape_gets_a_valid_answer_and_deletes_nothing_by_mistake(
    send: Any, schema: Schema, event: Json, tags: Json
) -> None:
    ecr = filled(tags)
    answer = send(ecr, event)
    check_shape(schema, event.get("action"), answer)
    wanted = (
        event.get("requestData", {}).get("resourceProperties") if isinstance(event.get("requestData"), dict) else {}
    )
    named = wanted.get("RepositoryName") if isinstance(wanted, dict) else None
    for name, images in (("app", 5), ("other", 1)):
        if ecr.holds(name) != images:
            assert answer["status"] == "SUCCESS"
            assert (event["action"], named) == ("DELETE", name)
            assert ecr.holds(name) is None
            assert name == "other" or not is_locked(tags, event.get("stackId"))
            assert event.get("stackId") in (None, "", STACK)


@seed(SEED)
@FAULTLESS
@given(event=events(mutations=0), tags=repository_tags)
def test_a_valid_event_deletes_only_what_its_tags_allow(send: Any, schema: Schema, event: Json, tags: Json) -> None:
    ecr = filled(tags)
    answer = send(ecr, event)
    check_shape(schema, event["action"], answer)
    assert (ecr.holds("app") is None) == (event["action"] == "DELETE" and answer["status"] == "SUCCESS")
    assert ecr.holds("app") is None or ecr.holds("app") == 5


@pytest.mark.parametrize("action", ["READ", "UPDATE"])
@pytest.mark.parametrize("tag", [("empty", ""), ("k" * 128, "v" * 256)], ids=["empty", "longest"])
def test_the_tags_that_ecr_takes_fit_the_schema(send: Any, schema: Schema, action: str, tag: tuple[str, str]) -> None:
    """Somebody may have set them without CloudFormation: a read must still be valid."""
    key, value = tag
    ecr, told = filled(OWNED | {key: value}), {"Key": key, "Value": value}
    model = {"RepositoryName": "app", **({"Tags": [told]} if action == "UPDATE" else {})}
    answer = send(ecr, Wire(ecr).event(action, model))
    assert answer["status"] == "SUCCESS", answer
    check_shape(schema, action, answer)
    assert told in answer["resourceModel"]["Tags"]


ODD: list[Any] = [None, 0, 1, True, "x", "", [], [1], {"a": 1}, -1.5]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "key", ["action", "stackId", "bearerToken", "callbackContext", "requestData", "nextToken", "awsAccountId", "region"]
)
def test_a_delete_whose_event_is_odd_in_one_place_gets_a_valid_answer(
    send: Any, schema: Schema, key: str, value: Any
) -> None:
    ecr = filled(OWNED)
    event = Wire(ecr).event("DELETE", {"RepositoryName": "app"}) | {key: value}
    answer = send(ecr, event)
    check_shape(schema, event["action"], answer)
    assert (ecr.holds("app") is None) == (answer["status"] == "SUCCESS")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key in ("stackId", "callbackContext")
        for value in ODD[1:]
        if not (key == "stackId" and value in ("", "x"))
    ],
    ids=repr,
)
def test_a_delete_whose_stack_or_context_is_not_one_deletes_nothing(send: Any, key: str, value: Any) -> None:
    ecr = filled(OWNED)
    event = Wire(ecr).event("DELETE", {"RepositoryName": "app"}) | {key: value}
    assert send(ecr, event)["errorCode"] == "InvalidRequest"
    assert ecr.holds("app") == 5


@pytest.mark.parametrize("event", [*ODD, {}, {"action": "DELETE"}, {"requestData": {}}], ids=repr)
def test_what_is_no_event_gets_a_valid_answer(send: Any, schema: Schema, event: Any) -> None:
    check_shape(schema, None, send(filled(OWNED), event))
