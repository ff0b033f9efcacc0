"""The acceptance run of `make verify-aws`: here both sides are sandboxes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probes.acceptance import both, registration
from probes.acceptance.compare import differences
from probes.clients import BotoClients, sandbox_session
from probes.made import Kind
from probes.place import Place, ProbeError
from probes.records import as_page, verification
from probes.removal import is_registered
from probes.run import ask
from sandbox.server import Sandbox
from tests.support.stub import TYPE_NAME, make_package

Json = dict[str, Any]
REGION = "us-east-1"


@pytest.fixture
def place(box: Sandbox) -> Iterator[Place]:
    clients = BotoClients(sandbox_session(REGION), box.url)
    yield Place(clients, "123456789012", REGION, poll=0.02, settle=0, on_sandbox=True)
    clients.close()


def names_left(box: Sandbox) -> list[str]:
    return [name for name in box.control.repositories() if name.startswith("autopurge-verify")]


def test_every_step_ends_as_in_a_sandbox_and_nothing_is_left(
    box: Sandbox, place: Place, versioned_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "build_package", versioned_package.read_bytes)
    findings = ask(place, [], accept=lambda: both.accept(place, print))
    accepted = findings.acceptance
    assert accepted is not None
    assert accepted["differences"] == []
    assert accepted["registered by the run"] is False
    statuses = {step: told.get("status", told.get("request")) for step, told in accepted["steps"].items()}
    assert statuses == {
        "create a stack": "CREATE_COMPLETE",
        "push images": None,
        "update the stack": "UPDATE_COMPLETE",
        "delete the stack: refused": "DELETE_FAILED",
        "delete the stack again": "DELETE_COMPLETE",
        "import a repository": "IMPORT_COMPLETE",
        "delete the imported repository": "DELETE_COMPLETE",
        "create what exists": "ROLLBACK_COMPLETE",
        "create by Cloud Control": "SUCCESS",
        "delete by Cloud Control": "SUCCESS",
    }
    images = {"deleted": 11, "confirmed": 11, "goneUnconfirmed": 0, "unresolved": 0}
    assert accepted["sandbox"]["delete the stack again"]["report"]["images"] == [images]
    assert "3 images are protected by tag pattern v*" in str(accepted["steps"]["delete the stack: refused"]["events"])
    assert accepted["steps"]["create what exists"]["repository"]["images"] == {"ACTIVE": 1}
    assert findings.left == []
    assert names_left(box) == []
    document = verification(place, findings, "2026-11-28T09:00:00+00:00", "1.0.0")
    assert "Every step ended as it does in the sandbox." in as_page(document)


RECORD: Json = {
    "create": {"status": "CREATE_COMPLETE", "repository": {"tags": {"a": "1"}, "images": {"ACTIVE": 2}}},
    "delete": {"status": "DELETE_COMPLETE", "repository": None, "report": {"summaries": 1}, "events": ["a", "b"]},
}


def changed(step: str, **changes: Any) -> Json:
    record = copy.deepcopy(RECORD)
    record[step].update(changes)
    return record


@pytest.mark.parametrize(
    ("aws", "told"),
    [
        (RECORD, []),
        (
            changed("create", status="ROLLBACK_COMPLETE"),
            ['create, status: the sandbox has "CREATE_COMPLETE", AWS "ROLLBACK_COMPLETE".'],
        ),
        (
            changed("create", repository={"tags": {}, "images": {"ACTIVE": 2}}),
            ['create, repository.tags.a: the sandbox has "1", AWS nothing.'],
        ),
        (changed("delete", events=["b"]), ['delete, events: the sandbox has ["a", "b"], AWS ["b"].']),
        (
            changed("delete", repository={}),
            ["delete, repository: the sandbox has null, AWS nothing."],
        ),
        (changed("delete", report=None), []),
        ({"create": RECORD["create"]}, ["delete: only the sandbox came to this step."]),
    ],
)
def test_what_ended_otherwise_is_told_by_step_and_place(aws: Json, told: list[str]) -> None:
    found = differences(RECORD, aws)
    assert found == told


def test_a_type_that_is_not_registered_is_registered_for_the_run_only(box: Sandbox, place: Place) -> None:
    bucket, role = place.bucket("acceptance"), registration.ROLE_TEMPLATE.read_text()
    assert registration.make_available(place, TYPE_NAME, bucket, role, make_package)
    assert is_registered(place, TYPE_NAME)
    assert not registration.make_available(place, TYPE_NAME, bucket, role, make_package)
    assert ask(place, []).left == []
    assert not is_registered(place, TYPE_NAME)


def test_a_version_that_the_run_did_not_register_is_left_alone(box: Sandbox, place: Place) -> None:
    bucket, role = place.bucket("acceptance"), registration.ROLE_TEMPLATE.read_text()
    registration.make_available(place, TYPE_NAME, bucket, role, make_package)
    client = box.client("cloudformation")
    client.register_type(Type="RESOURCE", TypeName=TYPE_NAME, SchemaHandlerPackage=f"s3://{bucket}/type.zip")
    left = ask(place, []).left
    assert left == [f"resource type {TYPE_NAME} in {REGION}: it has versions that this run did not register"]
    client.deregister_type(Type="RESOURCE", TypeName=TYPE_NAME, VersionId="00000002")
    client.deregister_type(Type="RESOURCE", TypeName=TYPE_NAME)


def test_steps_that_can_not_be_done_are_told(place: Place) -> None:
    def broken() -> Json:
        raise ProbeError("The package could not be built: no pip")

    findings = ask(place, [], accept=broken)
    assert findings.acceptance == {
        "differences": ["The steps could not be done: ProbeError: The package could not be built: no pip"]
    }
    assert [each.kind for each in place.made.things if each.kind is Kind.TYPE] == []
