"""What a run leaves that was killed while its type was being registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from probes.made import DESCRIPTION, TAG, Kind, Run, Thing
from probes.place import Place
from probes.removal import leftovers, remove_all
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.probes import InProcess

RUN = Run("0123abcd")
ROLE = f"{RUN.prefix}-recorder-2"
TYPE = Thing(Kind.TYPE, RUN.type_name, "eu-west-1")


@dataclass
class Registering:
    """CloudFormation with one type, which is registered after some seconds. Nothing else is there."""

    clock: VirtualClock
    ends: float  # seconds
    knows_unknown_types: bool = True
    deregistered: list[str] = field(default_factory=list)

    @property
    def _types(self) -> list[dict[str, str]]:
        there = self.clock.monotonic() >= self.ends and not self.deregistered
        return [{"TypeName": RUN.type_name, "Description": f"{DESCRIPTION} More."}] if there else []

    def list_type_registrations(self, **asked: str) -> dict[str, Any]:
        assert asked["RegistrationStatusFilter"] == "IN_PROGRESS"
        going = asked["TypeName"] == RUN.type_name and self.clock.monotonic() < self.ends
        if not going and not self.knows_unknown_types:
            raise ClientError({"Error": {"Code": "CFNRegistryException"}}, "ListTypeRegistrations")
        return {"RegistrationTokenList": ["token"] if going else []}

    def list_types(self, **_asked: str) -> dict[str, Any]:
        return {"TypeSummaries": self._types}

    def describe_type(self, **_asked: str) -> dict[str, Any]:
        if not self._types:
            raise ClientError({"Error": {"Code": "TypeNotFoundException"}}, "DescribeType")
        return self._types[0]

    def list_type_versions(self, **_asked: str) -> dict[str, Any]:
        return {"TypeVersionSummaries": [{"VersionId": "00000001", "IsDefaultVersion": True}]}

    def deregister_type(self, **asked: str) -> None:
        self.deregistered.append(asked["TypeName"])

    def get_paginator(self, _operation: str) -> Any:
        return mock.Mock(paginate=lambda: [{"Stacks": []}])


class Clients(InProcess):
    """Of a strict ECR, of such a CloudFormation, and of an account with the run's role."""

    def __init__(self, ecr: StrictEcr, cloudformation: Registering) -> None:
        super().__init__(ecr)
        roles = [{"Roles": [{"RoleName": ROLE}]}]
        self.services: dict[str, Any] = {
            "cloudformation": cloudformation,
            "s3": mock.Mock(list_buckets=lambda: {"Buckets": []}),
            "iam": mock.Mock(
                get_paginator=lambda _operation: mock.Mock(paginate=lambda: roles),
                list_role_tags=lambda RoleName: {"Tags": [{"Key": TAG, "Value": RUN.number}]},  # noqa: N803
            ),
        }

    def client(self, service: str, region: str, credentials: dict[str, str] | None = None) -> Any:
        return self.services.get(service) or super().client(service, region, credentials)


def place_with(cloudformation: Registering) -> Place:
    ecr = StrictEcr(clock=cloudformation.clock)
    return Place(Clients(ecr, cloudformation), ecr.account, ecr.region, clock=cloudformation.clock)


@pytest.mark.parametrize("knows_unknown_types", [True, False])
def test_a_type_that_is_still_being_registered_is_found_by_the_role_of_its_run(knows_unknown_types: bool) -> None:
    cloudformation = Registering(VirtualClock(), 40, knows_unknown_types)
    place = place_with(cloudformation)
    found = leftovers(place)
    assert found == [Thing(Kind.ROLE, ROLE, "eu-west-1"), TYPE]
    assert remove_all(place, [TYPE]) == []
    assert cloudformation.deregistered == [RUN.type_name]


def test_a_type_whose_registration_was_not_answered_is_removed_once_it_is_there() -> None:
    cloudformation = Registering(VirtualClock(), 40)
    place = place_with(cloudformation)
    made = place.made.note(Kind.TYPE, RUN.type_name, "eu-west-1")
    assert remove_all(place, [made]) == []
    assert cloudformation.deregistered == [RUN.type_name]
