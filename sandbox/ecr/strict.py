"""The strict ECR, with what tests ask of it: repositories in a line, real clients, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.ecr.builder import RepositoryBuilder
from sandbox.ecr.client import connect, make_client
from sandbox.ecr.image import Image
from sandbox.ecr.replication import ReplicatedDeletion
from sandbox.ecr.service import EcrService

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


class StrictEcr(EcrService):
    """Enforces what the service enforces, where emulators are lenient: pages, batches, references, statuses, names."""

    def repository(self, name: str, **chosen: Any) -> RepositoryBuilder:
        """A builder for a repository, which is made if it isn't there. Counts no calls and meets no faults."""
        with self._lock:
            return RepositoryBuilder(self, name, **chosen)

    def names(self) -> list[str]:
        """The names of all repositories."""
        return list(self.repositories)

    def holds(self, name: str) -> int | None:
        """How many images a repository holds, of every status; None if there is no such repository."""
        self._receive()
        return len(self.repositories[name].images) if name in self.repositories else None

    def images(self, name: str) -> list[Image]:
        """The images of a repository; none if there is no such repository."""
        self._receive()
        return list(self.repositories[name].images) if name in self.repositories else []

    @property
    def replicated_deletions(self) -> list[ReplicatedDeletion]:
        """The images that rules with deleteReplication deleted in other registries so far."""
        return self.replication.deletions

    def finish_restoring(self, name: str) -> None:
        """Make the images of a repository active that are being restored, as ECR does after some 20 minutes."""
        for image in self.images(name):
            if image.status == "ACTIVATING":
                image.status, image.last_activated_at = "ACTIVE", round(self.clock.time(), 3)

    def reset_calls(self) -> None:
        """Count from nothing."""
        self.calls.clear()
        self.call_log.clear()

    def client(self, **chosen: Any) -> ECRClient:
        """A real boto3 client that is answered here, in process. Takes what boto3's client takes, config above all."""
        return make_client(self, **chosen)

    def connect(self, client: ECRClient) -> None:
        """Answer a client that was made elsewhere."""
        connect(self, client)
