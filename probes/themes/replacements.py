"""Updates and deletes of stacks: replacements, their clean-up, what cannot be changed, and drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from probes.belief import Answer, Belief, cloudformation, report
from probes.place import Place, ProbeError
from probes.recorder.use import recorder
from probes.registry import probe
from probes.stacks import Stack, new_stack, one

_SRC = "src/awstut_ecr_autopurgerepository"
_ROADMAP = "aws-cloudformation/cloudformation-coverage-roadmap"
_IDENTIFIER_ONLY = "the identifier only"

BELIEFS = (
    Belief(
        "replacements",
        "If a create-only property changes, CloudFormation creates the new resource first. It deletes the old one in "
        "a clean-up after the update; the clean-up has events of its own.",
        (cloudformation("UserGuide/using-cfn-updating-stacks-update-behaviors"),),
        (f"{_SRC}/deletion/__init__.py", "README.md"),
        {"events of the resource": ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]},
    ),
    Belief(
        "failed-clean-ups",
        "If a delete in the clean-up after a replacement fails, CloudFormation tries it three times. Then the stack "
        "is UPDATE_COMPLETE, and the old resource is left behind.",
        (report(_ROADMAP, 744), cloudformation("UserGuide/troubleshooting")),
        (f"{_SRC}/deletion/messages.py", "guides/protection.md"),
        {"status": "UPDATE_COMPLETE", "DELETE_FAILED events": 3, "the old resource": "left behind"},
    ),
    Belief(
        "conditional-create-only",
        "If a property in conditionalCreateOnlyProperties changes, and the handler answers NotUpdatable, "
        "CloudFormation replaces the resource. Whether it does so for third-party types is not known.",
        ("the meta-schema of resource types, in cloudformation-cli 0.2.41",),
        (f"{_SRC}/repository/encryption.py", "awstut-ecr-autopurgerepository.json"),
        {"NotUpdatable": "replaced"},
        {"NotUpdatable": ("failed",)},
        "none is needed, because the update then fails, and nothing is lost",
    ),
    Belief(
        "failed-deletes",
        "A stack in DELETE_FAILED cannot be updated. It can be deleted again, with or without retaining the resource.",
        (cloudformation("UserGuide/troubleshooting"),),
        (f"{_SRC}/deletion/messages.py", "guides/troubleshooting.md"),
        {
            "status": "DELETE_FAILED",
            "an update after that": "refused",
            "delete, retaining the resource": "DELETE_COMPLETE",
        },
    ),
    Belief(
        "properties-of-deletes",
        "A delete by a stack carries the properties that were applied last, not those of an update that was refused.",
        ("the handlers of AWS's own types rely on it",),
        (f"{_SRC}/deletion/look.py",),
        {"properties": "those applied last"},
    ),
    Belief(
        "types-in-place",
        "CloudFormation refuses an update that changes the type of a resource.",
        (cloudformation("UserGuide/troubleshooting"),),
        ("guides/import.md", "guides/comparison.md"),
        {"a change of Type": "refused"},
    ),
    Belief(
        "drift",
        "Drift detection calls READ with the identifier, and compares the answer with the template.",
        (cloudformation("UserGuide/using-cfn-stack-drift"),),
        (f"{_SRC}/repository/read.py", f"{_SRC}/rules/settings.py"),
        {"calls": ["READ"], "properties of the request": _IDENTIFIER_ONLY, "after a change": "DRIFTED"},
    ),
    Belief(
        "hooks-before-stacks",
        "A Lambda Hook with the target STACK and the operation DELETE runs before the first resource of a stack is "
        "deleted. The hook may take 30 seconds, and its message may have up to 4,096 characters.",
        (cloudformation("APIReference/Welcome"), "the hooks user guide of the CloudFormation CLI"),
        (),
        unasked="A hook would affect every stack of the account.",
    ),
    Belief(
        "readiness-warnings",
        "A change set warns if it would delete an AWS::ECR::Repository that is not empty. As far as we know, it does "
        "so for that type only.",
        (cloudformation("UserGuide/validate-stack-deployments"),),
        ("guides/comparison.md",),
        unasked="The code does not rely on a warning for this type.",
    ),
)


@probe("replacements", "failed-clean-ups", creates="1 stack", seconds=240, operations=9)
def replacements(place: Place) -> Mapping[str, Answer]:
    """Replace a thing, and then one whose delete fails."""
    log, stack = recorder(place), new_stack(place, "replace")
    first, second, third = (place.name("thing") for _ in range(3))
    stack.create(one(log.type_name, {"Name": first}))
    stack.update(one(log.type_name, {"Name": second, "Behaviour": "DELETE=InvalidRequest"}))
    events = stack.statuses()
    status = stack.update(one(log.type_name, {"Name": third}))
    failed = stack.statuses().count("DELETE_FAILED")
    left = "left behind" if log.thing(second) else "gone"
    place.details["events"] = stack.events()
    return {
        "replacements": {
            "events of the resource": [each for at, each in enumerate(events) if events[:at][-1:] != [each]]
        },
        "failed-clean-ups": {"status": status, "DELETE_FAILED events": failed, "the old resource": left},
    }


@probe("conditional-create-only", creates="1 stack", seconds=90, operations=5)
def conditional_properties(place: Place) -> Mapping[str, Answer]:
    """Change a property that is create-only under conditions, where the handler says NotUpdatable."""
    log, stack = recorder(place), new_stack(place, "conditional")
    stack.create(one(log.type_name, {"Colour": "red"}))
    before = stack.physical_id()
    status = stack.update(one(log.type_name, {"Colour": "green", "Behaviour": "UPDATE=NotUpdatable"}))
    place.details["status"] = status
    replaced = status == "UPDATE_COMPLETE" and stack.physical_id() != before
    return {"conditional-create-only": {"NotUpdatable": "replaced" if replaced else "failed"}}


@probe("failed-deletes", "properties-of-deletes", "types-in-place", creates="1 stack", seconds=120, operations=3)
def failed_deletes(place: Place) -> Mapping[str, Answer]:
    """Fail to delete a stack, and try to update it."""
    log, stack, name = recorder(place), new_stack(place, "delete-failed"), place.name("thing")
    stack.create(one(log.type_name, {"Name": name, "Text": "applied", "Behaviour": "DELETE=InvalidRequest"}))
    other = {"Resources": {"Thing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    in_place = _update(stack, other)
    status = stack.delete()
    carried = log.requests(name, "DELETE")[0]["requestData"].get("resourceProperties") or {}
    update = _update(stack, one(log.type_name, {"Name": name, "Text": "unlocked"}))
    retained = stack.delete(RetainResources=[stack.logical_id])
    return {
        "failed-deletes": {
            "status": status,
            "an update after that": update,
            "delete, retaining the resource": retained,
        },
        "properties-of-deletes": {"properties": "those applied last" if carried.get("Text") == "applied" else "others"},
        "types-in-place": {"a change of Type": in_place},
    }


def _update(stack: Stack, template: dict[str, Any]) -> str:
    """Refused, at once or by a rollback; or done."""
    try:
        status = stack.update(template)
    except ClientError:
        return "refused"
    return "done" if status == "UPDATE_COMPLETE" else "refused"


@probe("drift", creates="1 stack", seconds=60, operations=3)
def drift(place: Place) -> Mapping[str, Answer]:
    """Change a thing behind a stack's back, and detect it."""
    log, stack, name = recorder(place), new_stack(place, "drift"), place.name("thing")
    stack.create(one(log.type_name, {"Name": name, "Text": "template"}))
    log.put(name, Text="live")
    before = len(log.requests(name))
    status = _drift_status(place, stack)
    asked = log.requests(name)[before:]
    return {
        "drift": {
            "calls": [each["action"] for each in asked],
            "properties of the request": _given(asked[-1]) if asked else "none",
            "after a change": status,
        }
    }


def _drift_status(place: Place, stack: Stack) -> str:
    client = place.client("cloudformation")
    detection = client.detect_stack_drift(StackName=stack.stack_id)["StackDriftDetectionId"]
    for _ in range(100):
        answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if answer["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            return str(answer.get("StackDriftStatus"))
        place.clock.sleep(place.poll)
    raise ProbeError("Drift detection did not end.")


def _given(request: dict[str, Any]) -> str:
    given = request["requestData"].get("resourceProperties") or {}
    return _IDENTIFIER_ONLY if set(given) == {"Name"} else "more than the identifier"
