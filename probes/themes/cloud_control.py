"""Cloud Control, and the type configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from probes.belief import Answer, Belief, cloudformation, report
from probes.place import ACCEPTED, Place, ProbeError, refusal
from probes.recorder.use import recorder
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_CLOUD_CONTROL = (
    "[Cloud Control API](https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/resource-operations.html)"
)
_POLLS = 200

BELIEFS = (
    Belief(
        "cloud-control-deletes",
        "A delete by Cloud Control gives the handler the primary identifier and nothing else. It names no stack.",
        (_CLOUD_CONTROL, report("aws-cloudformation/cloudformation-coverage-roadmap", 2046)),
        (f"{_SRC}/deletion/look.py", f"{_SRC}/rules/reserved_tags.py"),
        {"properties": ["Name"], "stack": "none"},
    ),
    Belief(
        "cloud-control-updates",
        "An update by Cloud Control has the answer of READ as its previous state, and is not rolled back if it fails.",
        (_CLOUD_CONTROL,),
        (f"{_SRC}/repository/update.py",),
        {"previous state": "what READ answered", "calls after a failed update": 0},
    ),
    Belief(
        "cloud-control-messages",
        "If a handler answers FAILED, the status of the Cloud Control request has the handler's message.",
        (_CLOUD_CONTROL,),
        (f"{_SRC}/deletion/messages.py", "guides/troubleshooting.md"),
        {"FAILED": "the handler's message"},
    ),
    Belief(
        "type-configuration",
        "SetTypeConfiguration for a resource type needs --configuration-alias, and replaces the whole configuration. "
        "The next call of a handler gets the new one.",
        (cloudformation("APIReference/API_SetTypeConfiguration"),),
        (f"{_SRC}/rules/account.py", "guides/protection.md"),
        {"without an alias": "refused", "with the alias default": ACCEPTED, "in the next call": "as it was set"},
    ),
    Belief(
        "default-versions",
        "The default version of a type cannot be deregistered while another version is registered.",
        ("reported by authors of types",),
        ("guides/roll-out.md", "examples/register.yaml"),
        {"the default version": "refused", "another version": ACCEPTED},
    ),
)


@probe(
    "cloud-control-deletes",
    "cloud-control-updates",
    "cloud-control-messages",
    creates="1 thing, without a stack",
    seconds=60,
    operations=5,
)
def cloud_control(place: Place) -> Mapping[str, Answer]:
    """Create, update and delete a thing by its name."""
    log, name = recorder(place), place.name("thing")
    _run(place, "create_resource", DesiredState=json.dumps({"Name": name, "Text": "created"}))
    log.put(name, Text="live")
    patch = [{"op": "add", "path": "/Behaviour", "value": "UPDATE=InvalidRequest"}]
    failed = _run(place, "update_resource", Identifier=name, PatchDocument=json.dumps(patch))
    actions = log.actions(name)
    after = len(actions) - 1 - max(at for at, action in enumerate(actions) if action == "UPDATE")
    [update] = log.requests(name, "UPDATE")
    previous = update["requestData"].get("previousResourceProperties") or {}
    _run(place, "delete_resource", Identifier=name)
    [deleted] = log.requests(name, "DELETE")
    return {
        "cloud-control-deletes": {
            "properties": sorted(deleted["requestData"].get("resourceProperties") or {}),
            "stack": "none" if not deleted.get("stackId") else "one",
        },
        "cloud-control-updates": {
            "previous state": "what READ answered" if previous.get("Text") == "live" else "something else",
            "calls after a failed update": after,
        },
        "cloud-control-messages": {
            "FAILED": "the handler's message"
            if "failed as the probe asked" in failed.get("StatusMessage", "")
            else "something else"
        },
    }


def _run(place: Place, operation: str, **asked: Any) -> dict[str, Any]:
    """The last progress event of a request."""
    client, log = place.client("cloudcontrol"), recorder(place)
    event: dict[str, Any] = getattr(client, operation)(TypeName=log.type_name, **asked)["ProgressEvent"]
    for _ in range(_POLLS):
        if event["OperationStatus"] not in ("PENDING", "IN_PROGRESS"):
            return event
        place.clock.sleep(place.poll)
        event = client.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"]
    raise ProbeError(f"{operation} did not end.")


@probe("type-configuration", creates="a configuration of the run's own type", seconds=30, operations=1)
def type_configuration(place: Place) -> Mapping[str, Answer]:
    """Configure the recorder, and no other type."""
    log, client = recorder(place), place.client("cloudformation")
    asked = {"TypeName": log.type_name, "Type": "RESOURCE", "Configuration": json.dumps({"Word": "probe"})}
    without = refusal(client.set_type_configuration, **asked)
    with_alias = refusal(client.set_type_configuration, **asked, ConfigurationAlias="default")
    name = place.name("thing")
    _run(place, "create_resource", DesiredState=json.dumps({"Name": name}))
    [created] = log.requests(name, "CREATE")
    sent = created["requestData"].get("typeConfiguration")
    place.details["without an alias"] = without
    return {
        "type-configuration": {
            "without an alias": without if without == ACCEPTED else "refused",
            "with the alias default": with_alias,
            "in the next call": "as it was set" if sent == {"Word": "probe"} else "another",
        }
    }


@probe("default-versions", creates="a second version of the run's own type", seconds=120)
def default_versions(place: Place) -> Mapping[str, Answer]:
    """Register a second version of the recorder, and deregister both."""
    log, client = recorder(place), place.client("cloudformation")
    version = log.register_version("second")
    default = client.describe_type(Type="RESOURCE", TypeName=log.type_name)["DefaultVersionId"]

    def deregister(number: str) -> str:
        return refusal(client.deregister_type, Type="RESOURCE", TypeName=log.type_name, VersionId=number)

    refused = deregister(default)
    return {
        "default-versions": {
            "the default version": refused if refused == ACCEPTED else "refused",
            "another version": deregister(version.rpartition("/")[2]),
        }
    }
