"""The commands of the control endpoint; sandbox.control.Control is their client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.environment import ACCOUNT, REGION
from sandbox.gateway.cloud import Cloud, Place
from sandbox.registry.package import PackageError


class RefusedError(Exception):
    """A command can't be run; the message says why."""


class Commands:
    """Each public method is a command; its arguments and its result are JSON."""

    def __init__(self, cloud: Cloud, stop: threading.Event) -> None:
        self._cloud = cloud
        self._stop = stop
        self._commands: dict[str, Callable[..., Any]] = {
            each.__name__: each
            for each in (
                self.health,
                self.seed,
                self.repositories,
                self.repository,
                self.calls,
                self.deletions,
                self.set_faults,
                self.clear_faults,
                self.set_lateness,
                self.clear_lateness,
                self.put_replication,
                self.replicated_deletions,
                self.use_in_pods,
                self.set_faults_of,
                self.calls_of_users,
                self.settings,
                self.invocations,
                self.serve_functions,
                self.handler_log,
                self.shut_down,
            )
        }

    def run(self, name: str, arguments: dict[str, Any]) -> Any:
        """Run a command. Raises RefusedError."""
        command = self._commands.get(name)
        if command is None:
            raise RefusedError(f"There is no command {name}. There are: {', '.join(sorted(self._commands))}.")
        try:
            return command(**arguments)
        except (TypeError, ValueError, AttributeError, PackageError, OSError) as error:
            raise RefusedError(f"{name}: {error}") from error

    def health(self) -> dict[str, str]:
        return {"status": "ok", "url": self._cloud.url}

    def seed(
        self, repository: str, steps: list[dict[str, Any]], account: str = ACCOUNT, region: str = REGION
    ) -> dict[str, Any] | None:
        self._cloud.images.seed((account, region), repository, steps)
        return self._cloud.images.describe((account, region), repository)

    def repositories(self, account: str = ACCOUNT, region: str = REGION) -> list[str]:
        return self._cloud.images.names((account, region))

    def repository(self, name: str, account: str = ACCOUNT, region: str = REGION) -> dict[str, Any] | None:
        return self._cloud.images.describe((account, region), name)

    def calls(self, reset: bool = False, account: str = ACCOUNT, region: str = REGION) -> dict[str, int]:
        place: Place = (account, region)
        counts = self._cloud.images.counts(place)
        if reset:
            self._cloud.images.reset_counts(place)
        return counts

    def deletions(self, account: str = ACCOUNT, region: str = REGION) -> list[dict[str, Any]]:
        return self._cloud.images.deletions((account, region))

    def set_faults(self, steps: list[dict[str, Any]], account: str = ACCOUNT, region: str = REGION) -> None:
        self._cloud.images.set_faults((account, region), steps)

    def clear_faults(self, account: str = ACCOUNT, region: str = REGION) -> None:
        self._cloud.images.clear_faults((account, region))

    def set_lateness(self, steps: list[dict[str, Any]], account: str = ACCOUNT, region: str = REGION) -> None:
        self._cloud.images.set_lateness((account, region), steps)

    def clear_lateness(self, account: str = ACCOUNT, region: str = REGION) -> None:
        self._cloud.images.clear_lateness((account, region))

    def put_replication(
        self,
        destinations: list[dict[str, str]],
        prefix: str | None = None,
        account: str = ACCOUNT,
        region: str = REGION,
    ) -> None:
        self._cloud.images.put_replication((account, region), destinations, prefix)

    def replicated_deletions(self, account: str = ACCOUNT, region: str = REGION) -> list[dict[str, Any]]:
        return self._cloud.images.replicated_deletions((account, region))

    def use_in_pods(
        self, repository: str, digest: str, containers: int, account: str = ACCOUNT, region: str = REGION
    ) -> None:
        self._cloud.users.use_in_pods((account, region), repository, digest, containers)

    def set_faults_of(
        self, service: str, steps: list[dict[str, Any]], account: str = ACCOUNT, region: str = REGION
    ) -> None:
        self._cloud.users.set_faults((account, region), service, steps)

    def calls_of_users(self, account: str = ACCOUNT, region: str = REGION) -> dict[str, int]:
        return self._cloud.users.calls((account, region))

    def settings(self, changes: dict[str, Any], reset: bool = False) -> dict[str, Any]:
        if reset:
            self._cloud.settings.reset()
        self._cloud.settings.change(changes)
        return self._cloud.settings.as_dict()

    def invocations(self, matching: dict[str, Any], reset: bool = False) -> list[dict[str, Any]]:
        found = self._cloud.journal.entries(matching)
        if reset:
            self._cloud.journal.clear()
        return found

    def serve_functions(self, package: str) -> None:
        self._cloud.serve_functions(Path(package).read_bytes())

    def handler_log(self) -> str:
        return self._cloud.log.read_text(errors="replace") if self._cloud.log.exists() else ""

    def shut_down(self) -> None:
        self._stop.set()

    def before_invoke(self, event: dict[str, Any]) -> None:
        """Seed the repository that an invocation is about to delete, where the settings ask for it."""
        steps = self._cloud.settings.seed_before_delete
        request = event.get("requestData") or event.get("request") or {}
        model = request.get("resourceProperties") or request.get("desiredResourceState") or {}
        name = model.get("RepositoryName")
        place = ACCOUNT, event.get("region") or REGION
        first = event.get("action") == "DELETE" and not event.get("callbackContext")
        if steps and first and name in self._cloud.images.names(place):
            self._cloud.images.seed(place, name, steps)
