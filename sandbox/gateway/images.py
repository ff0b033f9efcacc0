"""Our strict ECR in the place of ministack's, one for each account and Region."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sandbox.connections import ConnectionDroppedError, OverHttp
from sandbox.ecr import StrictEcr
from sandbox.ecr.client import serve_json
from sandbox.ecr.service import Authorize
from sandbox.gateway import enforcement, ministack

Place = tuple[str, str]  # account and Region
DROP_HEADER = "x-sandbox-drop"
DROPPED: ministack.Response = (200, {DROP_HEADER: "1"}, b"")

Steps = list[dict[str, Any]]  # a method and its arguments, each


class Registries:
    """The registries by account and Region, and what tests may do with them."""

    def __init__(self, host: str) -> None:
        """`host` is where images are pushed to: repository addresses begin with it."""
        self._host = host
        self._registries: dict[Place, StrictEcr] = {}
        self._lock = threading.Lock()

    def at(self, place: Place) -> StrictEcr:
        """The registry of an account in a Region."""
        with self._lock:
            if place not in self._registries:
                self._registries[place] = self._new(place)
            return self._registries[place]

    def _new(self, place: Place) -> StrictEcr:
        registry = StrictEcr(account=place[0], region=place[1], registry_host=self._host)
        registry.role_age = ministack.role_age
        registry.more_keys = ministack.key_arn
        registry.replication.find = lambda region, account: self.at((account, region))
        return registry

    def here(self) -> StrictEcr:
        """The registry of the account and Region of the request at hand."""
        return self.at((ministack.get_account_id(), ministack.get_region()))

    def of_repository(self, name: str) -> StrictEcr:
        """For requests that are not signed, and so name no Region: the registry that holds the repository."""
        here = self.here()
        with self._lock:
            others = [each for (account, _), each in self._registries.items() if account == here.account]
        return here if name in here.repositories else next((each for each in others if name in each.repositories), here)

    def seed(self, place: Place, name: str, steps: Steps) -> None:
        """Run steps of the builder."""
        run_steps(self.at(place).repository(name), steps)

    def set_faults(self, place: Place, steps: Steps) -> None:
        """Set attributes of the faults (a step without `method` names them), or call their methods."""
        run_steps(self.at(place).faults, steps)

    def clear_faults(self, place: Place) -> None:
        self.at(place).faults.clear()

    def set_lateness(self, place: Place, steps: Steps) -> None:
        """Set attributes of the lateness, or call its methods, as `set_faults` does."""
        run_steps(self.at(place).lateness, steps)

    def clear_lateness(self, place: Place) -> None:
        self.at(place).lateness.clear()

    def put_replication(self, place: Place, destinations: list[dict[str, str]], prefix: str | None) -> None:
        """Replicate deletes to these destinations. An empty list removes all rules."""
        filters = {"repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}]} if prefix else {}
        rule = {"destinations": destinations, "deleteReplication": {"enabled": True}, **filters}
        rules = [rule] if destinations else []
        self.at(place).call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": rules}})

    def replicated_deletions(self, place: Place) -> list[dict[str, Any]]:
        """The images that rules of this registry deleted in others."""
        return [each._asdict() for each in self.at(place).replicated_deletions]

    def counts(self, place: Place) -> dict[str, int]:
        return dict(self.at(place).calls)

    def reset_counts(self, place: Place) -> None:
        self.at(place).reset_calls()

    def deletions(self, place: Place) -> list[dict[str, Any]]:
        """All images that were deleted so far."""
        return [vars(each) for each in self.at(place).deletion_log]

    def names(self, place: Place) -> list[str]:
        return self.at(place).names()

    def describe(self, place: Place, name: str) -> dict[str, Any] | None:
        """One repository, with its tags and policies, and its images in numbers; None where there is none."""
        registry = self.at(place)
        repository = registry.repositories.get(name)
        if repository is None:
            return None
        statuses = [image.status for image in registry.images(name)]
        return {
            **repository.description(),
            "tags": dict(repository.tags),
            "policy": repository.policy,
            "lifecycle": repository.lifecycle,
            "images": len(statuses),
            "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        }


def run_steps(target: Any, steps: Steps) -> None:
    """Set attributes of an object (a step without `method` names them), or call its methods."""
    for step in steps:
        arguments = step.get("arguments", {})
        name = step.get("method")
        if name is None:
            for attribute, value in arguments.items():
                _set(target, attribute, value)
            continue
        method = None if name.startswith("_") else getattr(target, name, None)
        if not callable(method):
            raise ValueError(f"there is no {name}")
        method(**arguments)


def _set(target: Any, attribute: str, value: Any) -> None:
    """Set an attribute from JSON. A list becomes a set if the attribute is one; lists in a mapping become tuples."""
    present = getattr(target, attribute)
    if attribute.startswith("_") or callable(present):
        raise ValueError(f"{attribute} can't be set")
    if isinstance(present, set):
        value = set(value)
    elif isinstance(present, dict):
        value = {key: tuple(each) if isinstance(each, list) else each for key, each in value.items()}
    setattr(target, attribute, value)


def _serve(registry: StrictEcr, operation: str, body: bytes, authorize: Authorize | None = None) -> ministack.Response:
    """Answer a call; the gateway drops the connection where the faults ask for it."""
    try:
        with registry.faults.connection(operation, OverHttp()):
            status, answer = serve_json(registry, operation, body, authorize)
    except ConnectionDroppedError:
        return DROPPED
    return status, {"Content-Type": "application/x-amz-json-1.1"}, answer


def install(registries: Registries) -> None:
    """Answer ECR's API and the registry's own protocol, off the event loop, as faults may make them slow."""

    async def api(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, list[str]]
    ) -> ministack.Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        authorize = enforcement.for_ecr(headers)
        return await asyncio.to_thread(_serve, registries.here(), operation, body, authorize)

    async def registry(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> ministack.Response:
        name = path.removeprefix("/v2/").split("/blobs/")[0].split("/manifests/")[0].removesuffix("/tags/list")
        chosen = registries.of_repository(name)
        return await asyncio.to_thread(chosen.handle_registry, method, path, headers, body, query)

    ministack.replace_ecr(api, registry)
