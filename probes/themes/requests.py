"""What a handler gets from CloudFormation, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from probes.belief import Answer, Belief, report, type_guide
from probes.place import Place
from probes.recorder.use import recorder
from probes.registry import probe
from probes.stacks import new_stack, one

_SRC = "src/awstut_ecr_autopurgerepository"

BELIEFS = (
    Belief(
        "callbacks",
        "After an IN_PROGRESS answer, the handler is called again. It gets the model and the callback context of that "
        "answer, the same bearer token, and new credentials.",
        (type_guide("resource-type-test-contract"), "cloudformation-cli-python-lib 2.1.20, its source"),
        (f"{_SRC}/deletion/state.py", f"{_SRC}/repository/create_state.py"),
        {
            "calls": 3,
            "callback context": "as answered",
            "model": "as answered",
            "bearer token": "the same",
            "credentials": "new each time",
        },
        {"credentials": ("the same",)},
        "none is needed, because a call uses the credentials that come with it",
    ),
    Belief(
        "messages-of-progress",
        "The message of an IN_PROGRESS answer is in no stack event. The message of a FAILED answer is, between the "
        "words 'Resource handler returned message' and the request token and code.",
        (report("aws-cloudformation/cloudformation-cli-go-plugin", 152),),
        (f"{_SRC}/deletion/progress.py", f"{_SRC}/deletion/messages.py", "guides/troubleshooting.md"),
        {"IN_PROGRESS": "in no event", "FAILED": "in the event, with token and code"},
    ),
    Belief(
        "retriable-codes",
        "CloudFormation calls the handler again after the error codes NetworkFailure, ResourceConflict, "
        "ServiceInternalError and Throttling. Any other error code ends the operation.",
        (type_guide("resource-type-test-contract-errors"),),
        (f"{_SRC}/errors.py", f"{_SRC}/deletion/messages.py"),
        {"Throttling, once": "called again, and created", "InvalidRequest, once": "called once, and failed"},
    ),
    Belief(
        "stack-tags",
        "The handler receives the stack's tags as stackTags, apart from the properties. It does not receive tags whose "
        "keys begin with aws:cloudformation:.",
        (type_guide("resource-type-schema"),),
        (f"{_SRC}/provider/events.py", f"{_SRC}/repository/requests.py"),
        {
            "a stack tag": "in stackTags only",
            "aws:cloudformation tags": "nowhere",
            "stack id and logical id": "both are sent",
        },
    ),
    Belief(
        "properties-are-strings",
        "Numbers and booleans in a template reach the handler as strings.",
        ("cloudformation-cli-python-lib 2.1.20, its source",),
        (f"{_SRC}/typed_json.py", f"{_SRC}/request_fields.py"),
        {"Size: 3": "'3'"},
    ),
    Belief(
        "schema-is-checked-first",
        "Before it calls a handler, CloudFormation refuses properties that the schema does not allow.",
        (type_guide("resource-type-schema"),),
        (f"{_SRC}/repository/validate.py",),
        {"an unknown property": "not created", "handler calls": 0},
    ),
    Belief(
        "keys-of-requests",
        "CloudFormation may send snapshotRequested and rollback to handlers; whether third-party types get them is "
        "not known. AWS's Python library for handlers drops both.",
        ("AWS's provider of RDS, its source",),
        (),
        {"snapshotRequested in a delete": False, "rollback in a rollback": False},
        {"snapshotRequested in a delete": (True,), "rollback in a rollback": (True,)},
        "none is needed, because the handlers do not see them",
    ),
    Belief(
        "time-limits-of-calls",
        "Create, update and delete handlers must answer within 60 seconds, read and list handlers within 30. After 60 "
        "seconds CloudFormation calls the handler a second time, while the first call goes on.",
        (type_guide("resource-type-test-contract"), "reported by authors of types"),
        (f"{_SRC}/pacing.py", f"{_SRC}/deletion/call.py"),
        unasked="A handler of the probe would have to sleep for minutes, and each second costs money.",
    ),
    Belief(
        "time-limits-of-operations",
        "timeoutInMinutes, the time that an operation may take, is 2 to 2,160, by default 120. The session of the "
        "execution role lasts 70 seconds for each of these minutes, but at least 1 hour and at most 12.",
        (type_guide("resource-type-schema"),),
        ("awstut-ecr-autopurgerepository.json",),
        unasked="A probe would have to run for hours.",
    ),
    Belief(
        "contract-of-answers",
        "CREATE answers SUCCESS when the resource exists and is stable. READ and LIST never answer IN_PROGRESS. "
        "DELETE answers with a model while it is IN_PROGRESS, and without one when it is done.",
        (type_guide("resource-type-test-contract"),),
        (f"{_SRC}/handlers.py", f"{_SRC}/repository/visibility.py"),
        unasked="This is a rule for handlers. The cfn CLI's contract tests check that ours follow it (tests/contract).",
    ),
    Belief(
        "limits-of-schemas",
        "A schema has at most 60 KiB.",
        ("cloudformation-cli 0.2.41, its source",),
        ("awstut-ecr-autopurgerepository.json",),
        unasked="scripts/publish_check.py checks it before a schema is sent.",
    ),
    Belief(
        "charges",
        "Handler operations of types outside AWS:: cost money after the first 1,000 a month. In addition, each second "
        "of an operation after the first 30 costs 0.00008 USD.",
        ("[CloudFormation pricing](https://aws.amazon.com/cloudformation/pricing/)",),
        ("guides/comparison.md",),
        unasked="Only the bill shows it.",
    ),
)


@probe("callbacks", "messages-of-progress", creates="1 stack", seconds=60, operations=3)
def callbacks(place: Place) -> Mapping[str, Answer]:
    """Create a thing in three calls, and fail to create another."""
    log, stack = recorder(place), new_stack(place, "callbacks")
    name = place.name("thing")
    stack.create(one(log.type_name, {"Name": name, "Text": "x", "Behaviour": "CREATE=slices:3"}))
    requests = log.requests(name, "CREATE")
    reasons = " ".join(reason for _, reason in stack.events())
    stack.delete()
    failing = new_stack(place, "failing")
    failing.create(one(log.type_name, {"Name": place.name("thing"), "Behaviour": "CREATE=InvalidRequest"}))
    failures = [reason for status, reason in failing.events() if status == "CREATE_FAILED"]
    place.details.update(reasons=failures)
    contexts = [each.get("callbackContext") for each in requests]
    return {
        "callbacks": {
            "calls": len(requests),
            "callback context": _as_answered(contexts[1:] == [{"done": 1}, {"done": 2}]),
            "model": _as_answered(all(_properties(each).get("Text") == "x" for each in requests)),
            "bearer token": "the same" if len({each["bearerToken"] for each in requests}) == 1 else "different",
            "credentials": "the same" if len({each["key"] for each in requests}) == 1 else "new each time",
        },
        "messages-of-progress": {
            "IN_PROGRESS": "in an event" if "of the recorder" in reasons else "in no event",
            "FAILED": _words_of_failure(failures),
        },
    }


def _as_answered(same: bool) -> str:
    return "as answered" if same else "another"


def _words_of_failure(reasons: list[str]) -> str:
    wanted = ("Resource handler returned message", "failed as the probe asked", "HandlerErrorCode: InvalidRequest")
    whole = any(all(part in reason for part in (*wanted, "RequestToken: ")) for reason in reasons)
    return "in the event, with token and code" if whole else "not as expected"


def _properties(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["requestData"].get("resourceProperties") or {}
    return found


@probe("retriable-codes", creates="2 stacks", seconds=90, operations=4)
def retriable_codes(place: Place) -> Mapping[str, Answer]:
    """Fail the first call of a create, with one code and another."""
    return {
        "retriable-codes": {f"{code}, once": _create_after(place, code) for code in ("Throttling", "InvalidRequest")}
    }


def _create_after(place: Place, code: str) -> str:
    log, stack, name = recorder(place), new_stack(place, "retriable"), place.name("thing")
    status = stack.create(one(log.type_name, {"Name": name, "Behaviour": f"CREATE={code}:1"}))
    calls = len(log.requests(name, "CREATE"))
    place.details[code] = {"calls": calls, "status": status}
    called = "called once" if calls == 1 else "called again"
    return f"{called}, and {'created' if status == 'CREATE_COMPLETE' else 'failed'}"


@probe(
    "stack-tags",
    "properties-are-strings",
    "schema-is-checked-first",
    "keys-of-requests",
    creates="2 stacks, one of which fails",
    seconds=90,
    operations=3,
)
def contents_of_requests(place: Place) -> Mapping[str, Answer]:
    """Create a thing with a stack tag, one with a property that the type does not have, and one in a rollback."""
    log, stack, name = recorder(place), new_stack(place, "contents"), place.name("thing")
    stack.create(one(log.type_name, {"Name": name, "Size": 3}), {"team": "probe"})
    stack.delete()
    [created], [deleted] = log.requests(name, "CREATE"), log.requests(name, "DELETE")
    data = created["requestData"]
    ids = (created.get("stackId") == stack.stack_id, data.get("logicalResourceId") == stack.logical_id)
    unknown = place.name("thing")
    refused = _creates(place, one(log.type_name, {"Name": unknown, "Unknown": "1"}))
    return {
        "stack-tags": {
            "a stack tag": _where_tags_are(created),
            "aws:cloudformation tags": "somewhere" if "aws:cloudformation" in str(data) else "nowhere",
            "stack id and logical id": "both are sent" if all(ids) else "not both",
        },
        "properties-are-strings": {"Size: 3": repr(_properties(created).get("Size"))},
        "schema-is-checked-first": {
            "an unknown property": "created" if refused == "CREATE_COMPLETE" else "not created",
            "handler calls": len(log.requests(unknown)),
        },
        "keys-of-requests": {
            "snapshotRequested in a delete": "snapshotRequested" in str(deleted),
            "rollback in a rollback": _rollback_key(place),
        },
    }


def _where_tags_are(request: dict[str, Any]) -> str:
    in_tags = (request["requestData"].get("stackTags") or {}).get("team") == "probe"
    in_properties = "team" in str(_properties(request))
    return "in stackTags only" if in_tags and not in_properties else "elsewhere"


def _creates(place: Place, template: dict[str, Any]) -> str:
    """The status of a new stack, or the error code where it is refused at once."""
    try:
        return new_stack(place, "refused").create(template)
    except ClientError as error:
        return str(error.response["Error"]["Code"])


def _rollback_key(place: Place) -> bool:
    """Whether the delete of a rollback says so."""
    log, name = recorder(place), place.name("thing")
    first = one(log.type_name, {"Name": name})
    properties = {"Name": place.name("thing"), "Behaviour": "CREATE=InvalidRequest"}
    second = {"Type": log.type_name, "DependsOn": "Thing", "Properties": properties}
    new_stack(place, "rollback").create({"Resources": {**first["Resources"], "Second": second}})
    return any("rollback" in each or "rollback" in each["requestData"] for each in log.requests(name, "DELETE"))
