"""Cloud Control, where a delete knows nothing but the name; imports; the type configuration; break glass."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds, read, run_command_in
from tests.support.project_copy import TYPE_NAME
from tests.support.stack import Stack

Json = dict[str, Any]


class CloudControl:
    """Requests that wait until they are done."""

    def __init__(self, box: Sandbox) -> None:
        self.client = box.client("cloudcontrol")

    def create(self, properties: Json) -> Json:
        return self._wait(self.client.create_resource(TypeName=TYPE_NAME, DesiredState=json.dumps(properties)))

    def update(self, name: str, *patch: Json) -> Json:
        return self._wait(
            self.client.update_resource(TypeName=TYPE_NAME, Identifier=name, PatchDocument=json.dumps(patch))
        )

    def delete(self, name: str) -> Json:
        return self._wait(self.client.delete_resource(TypeName=TYPE_NAME, Identifier=name))

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_resources").paginate(TypeName=TYPE_NAME)
        return [each["Identifier"] for page in pages for each in page["ResourceDescriptions"]]

    def _wait(self, answer: Json) -> Json:
        event: Json = answer["ProgressEvent"]
        until = time.monotonic() + 120
        while event["OperationStatus"] in ("PENDING", "IN_PROGRESS"):
            assert time.monotonic() < until, event
            time.sleep(0.05)
            event = self.client.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"]
        return event


@pytest.fixture
def control(box: Sandbox) -> CloudControl:
    return CloudControl(box)


def test_create_read_update_list_delete(box: Sandbox, control: CloudControl, repository_name: str) -> None:
    wanted = {"RepositoryName": repository_name, "Tags": [{"Key": "a", "Value": "1"}]}
    assert control.create(wanted)["OperationStatus"] == "SUCCESS"
    assert read(box, repository_name)["Tags"] == wanted["Tags"]
    patch = {"op": "replace", "path": "/ImageTagMutability", "value": "IMMUTABLE"}
    assert control.update(repository_name, patch)["OperationStatus"] == "SUCCESS"
    assert read(box, repository_name)["ImageTagMutability"] == "IMMUTABLE"
    assert repository_name in control.names()
    box.control.seed(repository_name, *IMAGES)
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"
    assert holds(box, repository_name) is None
    assert repository_name not in control.names()


def test_delete_by_name_may_delete_what_a_stack_made(
    box: Sandbox, control: CloudControl, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    box.control.seed(repository_name, *IMAGES)
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"
    assert stack.delete() == "DELETE_COMPLETE"


RULES: dict[str, tuple[Json, str]] = {
    "EmptyOnDelete": ({"EmptyOnDelete": False}, "EmptyOnDelete is false"),
    "DeletionProtection": ({"DeletionProtection": True}, "its deletion protection is on"),
    "TagPatterns": ({"PurgeProtection": {"TagPatterns": ["build-*"]}}, "tag pattern build-*"),
    "PulledWithinDays": ({"PurgeProtection": {"PulledWithinDays": 30}}, "pulled within 30 days"),
}


@pytest.mark.parametrize("rule", RULES)
def test_delete_by_name_obeys_every_stored_rule(
    box: Sandbox, control: CloudControl, repository_name: str, rule: str
) -> None:
    properties, reason = RULES[rule]
    control.create({"RepositoryName": repository_name, **properties})
    box.control.seed(repository_name, *IMAGES, ("with_images", {"count": 1, "pulled_days_ago": 1}))
    event = control.delete(repository_name)
    assert event["OperationStatus"] == "FAILED"
    assert event["ErrorCode"] == "InvalidRequest"
    assert reason in event["StatusMessage"]
    assert holds(box, repository_name) == 265
    run_command_in(box, event["StatusMessage"])
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"


@pytest.mark.parametrize("images", [0, 3])
def test_a_repository_without_the_mark_is_never_touched(
    box: Sandbox, control: CloudControl, repository_name: str, images: int
) -> None:
    box.client("ecr").create_repository(repositoryName=repository_name)
    if images:
        box.control.seed(repository_name, ("with_images", {"count": images}))
    event = control.delete(repository_name)
    assert event["OperationStatus"] == "FAILED"
    assert "does not have the tag awstut:auto-purge" in event["StatusMessage"]
    assert holds(box, repository_name) == images


@pytest.mark.usefixtures("made_by_somebody", "generated_role")
def test_an_update_that_patches_a_tag_marks_nothing(box: Sandbox, control: CloudControl, repository_name: str) -> None:
    patch = {"op": "replace", "path": "/Tags", "value": [{"Key": "owner", "Value": "me"}]}
    assert control.update(repository_name, patch)["OperationStatus"] == "SUCCESS"
    assert box.control.repository(repository_name)["tags"] == {"owner": "me"}  # type: ignore[index]
    assert control.delete(repository_name)["OperationStatus"] == "FAILED"


@pytest.mark.usefixtures("made_by_somebody", "generated_role")
def test_an_update_that_sets_empty_on_delete_marks(box: Sandbox, control: CloudControl, repository_name: str) -> None:
    patch = {"op": "add", "path": "/EmptyOnDelete", "value": True}
    assert control.update(repository_name, patch)["OperationStatus"] == "SUCCESS"
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"


# The type configuration, and break glass


@pytest.fixture
def configure(box: Sandbox) -> Iterator[Callable[[Json], None]]:
    client = box.client("cloudformation")

    def set_configuration(configuration: Json) -> None:
        asked = {"Type": "RESOURCE", "TypeName": TYPE_NAME, "ConfigurationAlias": "default"}
        client.set_type_configuration(**asked, Configuration=json.dumps(configuration))

    yield set_configuration
    set_configuration({})


def test_the_account_stops_all_deletes_with_the_next_call(
    box: Sandbox,
    stack: Stack,
    template: Template,
    repository_name: str,
    configure: Callable[[Json], None],
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    configure({"DeletionProtection": True})
    assert stack.delete() == "DELETE_FAILED"
    assert "deletion protection is on in the type configuration" in stack.reason("DELETE_FAILED")
    configure({})
    assert stack.delete() == "DELETE_COMPLETE"


def test_the_accounts_rules_add_to_those_of_a_repository(
    box: Sandbox,
    control: CloudControl,
    repository_name: str,
    configure: Callable[[Json], None],
) -> None:
    control.create({"RepositoryName": repository_name})
    box.control.seed(repository_name, *IMAGES)
    configure({"PurgeProtection": {"TagPatterns": ["build-*"]}, "Concurrency": 2})
    event = control.delete(repository_name)
    assert "3 images are protected by tag pattern build-* (type configuration of the account)" in event["StatusMessage"]
    assert holds(box, repository_name) == 264
    configure({})
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    "configuration",
    [{"DeletionProtecton": True}, {"PurgeProtection": {"TagPatterns": "v*"}}, {"Concurrency": "4"}],
    ids=["an unknown key", "a string for a list", "a string for a number"],
)
def test_a_malformed_type_configuration_never_reaches_a_repository(
    box: Sandbox,
    control: CloudControl,
    repository_name: str,
    configure: Callable[[Json], None],
    configuration: Json,
) -> None:
    control.create({"RepositoryName": repository_name})
    refused = ""
    try:
        configure(configuration)
    except box.client("cloudformation").exceptions.ClientError as error:
        refused = str(error)
    event = {} if refused else control.delete(repository_name)
    assert "Validation" in refused or event["ErrorCode"] == "InvalidTypeConfiguration"
    assert holds(box, repository_name) == 0
    configure({})
    assert control.delete(repository_name)["OperationStatus"] == "SUCCESS"


def test_break_glass_stops_a_purge_that_is_running(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    """The tag is added during the deletes; the purge heeds it at its next pass, here after a push in the middle."""
    stack.create(template({"RepositoryName": repository_name}))
    arn = stack.outputs["Arn"]
    box.control.seed(repository_name, ("with_images", {"count": 3_000}))
    box.control.set_faults(("throttle", {"operations": ["BatchDeleteImage"], "rate": 4.0, "burst": 1}))
    stack.delete(wait=False)
    while (holds(box, repository_name) or 0) > 2_000:
        time.sleep(0.02)
    lock = {"Key": "awstut:deletion-protection", "Value": "on"}
    box.client("ecr").tag_resource(resourceArn=arn, tags=[lock])
    box.control.seed(repository_name, ("with_images", {"count": 5, "tag": "late-{n}"}))
    assert stack.wait() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED")
    assert "its deletion protection is on" in message
    assert holds(box, repository_name) == 5
    run_command_in(box, message)
    assert stack.delete() == "DELETE_COMPLETE"
