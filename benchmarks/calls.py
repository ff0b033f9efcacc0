"""How many calls of ECR each handler makes, on the production entry point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.strict import Wire

_POLICIES = {
    "RepositoryPolicyText": {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}],
    },
    "LifecyclePolicy": {
        "LifecyclePolicyText": '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": '
        '"imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]}'
    },
}
_PLAIN: dict[str, Any] = {"RepositoryName": "app"}
_FULL: dict[str, Any] = {**_PLAIN, **_POLICIES}


@dataclass(frozen=True)
class Operation:
    """``least`` is the fewest calls there can be, and ``why``. ``before`` makes what is there before."""

    title: str
    least: int
    why: str
    run: Callable[[Wire], object]
    before: Callable[[Wire], object] = lambda _: None


def _create(properties: dict[str, Any]) -> Callable[[Wire], object]:
    return lambda wire: wire.succeed("CREATE", properties)


def _update(wire: Wire) -> object:
    return wire.succeed("UPDATE", _FULL, previous=_FULL)


def _thousand(wire: Wire) -> None:
    for number in range(1_000):
        wire.ecr.repository(f"app-{number}")


_READS = "the repository, its tags, its policy, its lifecycle policy: ECR has a call for each"
OPERATIONS = (
    Operation("create", 3, "tags and rules go with CreateRepository; two looks, as ECR creates late", _create(_PLAIN)),
    Operation("create with both policies", 5, "a call for each policy, too", _create(_FULL)),
    Operation("read", 4, _READS, lambda wire: wire.succeed("READ", _PLAIN), _create(_FULL)),
    Operation("update without changes", 4, _READS, _update, _create(_FULL)),
    Operation("list of 1,000", 1, "1,000 is ECR's largest page", lambda wire: wire.succeed("LIST", None), _thousand),
    Operation(
        "delete of an empty repository",
        7,
        "the repository and its tags, its images, both again (one old answer must not decide), its delete, whether "
        "it is gone",
        lambda wire: wire.succeed("DELETE", _PLAIN),
        _create(_PLAIN),
    ),
)


def measure() -> list[dict[str, Any]]:
    """The calls of each operation."""
    return [_measure(each) for each in OPERATIONS]


def _measure(operation: Operation) -> dict[str, Any]:
    wire = Wire(StrictEcr(clock=VirtualClock()))
    session = SimpleNamespace(client=lambda _service, config=None: wire.ecr.client(config=config))
    with mock.patch("awstut_ecr_autopurgerepository.provider.resource.session_of", return_value=session):
        operation.before(wire)
        wire.ecr.reset_calls()
        operation.run(wire)
    calls = dict(wire.ecr.calls)
    return {
        "title": operation.title,
        "calls": sum(calls.values()),
        "which": calls,
        "least": operation.least,
        "why": operation.why,
    }
