"""Probes on a strict ECR in process: no socket is opened, and waiting costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.config import Config

from probes.belief import Answer
from probes.beliefs import BELIEFS
from probes.place import Place
from probes.pushing import Headers, Send
from probes.registry import PROBES, Probe
from probes.run import ask
from sandbox.ecr import StrictEcr

_CONFIG = Config(parameter_validation=False, retries={"mode": "standard", "total_max_attempts": 1})
OF_ECR_ONLY = [  # those that need no role, no stack and no second registry
    each
    for each in PROBES.values()
    if getattr(each.ask, "__module__", "").rpartition(".")[2]
    in ("deletes", "pages", "policies", "pulls", "pushes", "repositories", "statuses", "tags")
    and each.name not in ("conditions-on-tags", "policies-that-name-new-roles")
]


class InProcess:
    """Clients of a strict ECR, and of no other service."""

    def __init__(self, ecr: StrictEcr) -> None:
        self._ecr = ecr
        self.ecr: Any = ecr.client(config=_CONFIG)

    def client(self, service: str, _region: str, _credentials: dict[str, str] | None = None) -> Any:
        if service != "ecr":
            raise AssertionError(f"{service} is not here")
        return self.ecr

    def sender(self, _region: str) -> Send:
        def send(method: str, path: str, headers: Headers, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
            parts = urlsplit(path)
            status, given, answer = self._ecr.handle_registry(method, parts.path, headers, body, parse_qs(parts.query))
            return status, {name.lower(): value for name, value in given.items()}, answer

        return send


def place_in(ecr: StrictEcr, **chosen: Any) -> Place:
    """A place whose time is the ECR's own."""
    return Place(InProcess(ecr), ecr.account, ecr.region, clock=ecr.clock, tries=4, settle=0, **chosen)


def answers_of(ecr: StrictEcr, *beliefs: str) -> dict[str, Answer]:
    """What a strict ECR answers to the probes of these beliefs."""
    probes: list[Probe] = [each for each in PROBES.values() if set(each.beliefs) & set(beliefs)]
    findings = ask(place_in(ecr), probes)
    assert [each.error for each in findings.outcomes if each.error] == []
    assert findings.left == []
    assert ecr.names() == []
    return {each.belief: each.answer or {} for each in findings.outcomes if each.belief in BELIEFS}
