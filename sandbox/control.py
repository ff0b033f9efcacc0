"""A client for the sandbox's control endpoint: what tests and the demo may do that a user of AWS cannot."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

PATH = "/_sandbox/"


class ControlError(RuntimeError):
    """The sandbox refused a command; the message says why."""


class Control:
    """Each method is one command. `account` and `region` default to the sandbox's own."""

    def __init__(self, url: str, timeout: float = 120) -> None:
        """`timeout` in seconds: seeding 100,000 images takes a while."""
        self._address = urlsplit(url)
        self._timeout = timeout

    def send(self, command: str, **arguments: Any) -> Any:
        """Run a command by its name; arguments that are None are left out. Raises ControlError where it is refused."""
        body = json.dumps({name: value for name, value in arguments.items() if value is not None})
        connection = http.client.HTTPConnection(self._address.netloc, timeout=self._timeout)
        try:
            connection.request("POST", PATH + command, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ControlError(answer.get("message", f"{command} failed"))
        return answer

    # --- images

    def seed(self, repository: str, *steps: tuple[str, dict[str, Any]], **place: Any) -> dict[str, Any]:
        """Put images into a repository, which is created where it is missing, by steps of the strict ECR's builder.

        >>> control.seed("app", ("with_images", {"count": 250}), ("with_multi_arch", {"count": 3}))
        """
        listed = [{"method": method, "arguments": arguments} for method, arguments in steps]
        answer: dict[str, Any] = self.send("seed", repository=repository, steps=listed, **place)
        return answer

    def repositories(self, **place: Any) -> list[str]:
        """The names of all repositories."""
        names: list[str] = self.send("repositories", **place)
        return names

    def repository(self, name: str, **place: Any) -> dict[str, Any] | None:
        """`tags`, `images` (how many, of any status) and more of one repository; None where there is none."""
        found: dict[str, Any] | None = self.send("repository", name=name, **place)
        return found

    def calls(self, reset: bool = False, **place: Any) -> dict[str, int]:
        """How often each ECR operation was called; `reset` sets the count to 0 afterwards."""
        counts: dict[str, int] = self.send("calls", reset=reset, **place)
        return counts

    def deletions(self, **place: Any) -> list[dict[str, Any]]:
        """The images that were deleted so far: repository, digest, time, and by_force (with the repository)."""
        found: list[dict[str, Any]] = self.send("deletions", **place)
        return found

    def set_faults(
        self,
        *calls: tuple[str, dict[str, Any]],
        account: str | None = None,
        region: str | None = None,
        **attributes: Any,
    ) -> None:
        """Call methods of the strict ECR's `faults`, and set attributes of it.

        >>> control.set_faults(("throttle", {"rate": 5}), latency={"BatchDeleteImage": 0.2}, deny=["ecr:TagResource"])
        """
        self.send("set_faults", steps=_steps(calls, attributes), account=account, region=region)

    def clear_faults(self, **place: Any) -> None:
        self.send("clear_faults", **place)

    def be_late(self, seconds: float, region: str | None = None) -> None:
        """Let ECR show all that is created, changed and deleted this many seconds late."""
        delays = [
            *("new_repository", "new_tags", "changed_tags", "changed_policy", "enforced_policy"),
            *("deleted_images", "deleted_index", "emptied_repository", "deleted_repository"),
        ]
        attributes: dict[str, Any] = dict.fromkeys(delays, seconds)
        self.set_lateness(region=region, **attributes)

    def set_lateness(
        self,
        *calls: tuple[str, dict[str, Any]],
        account: str | None = None,
        region: str | None = None,
        **attributes: Any,
    ) -> None:
        """Call methods of the strict ECR's `lateness`, and set attributes of it.

        >>> control.set_lateness(("stale_next", {"operation": "DescribeRepositories"}), new_repository=2, new_tags=5)
        """
        self.send("set_lateness", steps=_steps(calls, attributes), account=account, region=region)

    def clear_lateness(self, **place: Any) -> None:
        self.send("clear_lateness", **place)

    def put_replication(self, *destinations: tuple[str, str], prefix: str | None = None, **place: Any) -> None:
        """Replicate deletes to each Region and account: of all repositories, or of those that begin with `prefix`.

        PutReplicationConfiguration does the same. This command is for clients that don't know `deleteReplication` yet.
        """
        listed = [{"region": region, "registryId": account} for region, account in destinations]
        self.send("put_replication", destinations=listed, prefix=prefix, **place)

    def replicated_deletions(self, **place: Any) -> list[dict[str, Any]]:
        """The images that rules of a registry deleted in others: region, registry, repository, digest."""
        found: list[dict[str, Any]] = self.send("replicated_deletions", **place)
        return found

    # --- who uses images

    def use_in_pods(self, repository: str, digest: str, containers: int = 1, **place: Any) -> None:
        """Let so many containers in Amazon EKS use an image, as Amazon Inspector counts them.

        Functions, tasks and services are made as on AWS: by the APIs of Lambda and ECS.
        """
        self.send("use_in_pods", repository=repository, digest=digest, containers=containers, **place)

    def set_faults_of(
        self,
        service: str,
        *calls: tuple[str, dict[str, Any]],
        account: str | None = None,
        region: str | None = None,
        **attributes: Any,
    ) -> None:
        """Like `set_faults`, for the calls of lambda, ecs or inspector2 that tell which images are in use."""
        self.send("set_faults_of", service=service, steps=_steps(calls, attributes), account=account, region=region)

    def calls_of_users(self, **place: Any) -> dict[str, int]:
        """How often each operation that tells which images are in use was called."""
        counts: dict[str, int] = self.send("calls_of_users", **place)
        return counts

    # --- handlers

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings of the driver (sandbox.driver.settings.Settings), and return all of them."""
        settings: dict[str, Any] = self.send("settings", changes=changes)
        return settings

    def reset_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.send("settings", changes={}, reset=True)
        return settings

    def invocations(self, reset: bool = False, **matching: Any) -> list[dict[str, Any]]:
        """The calls of handlers so far, oldest first, whose fields equal `matching`, e.g. `action="DELETE"`."""
        found: list[dict[str, Any]] = self.send("invocations", reset=reset, matching=matching)
        return found

    def serve_functions(self, package: str) -> None:
        """Answer Lambda's Invoke for TypeFunction and TestEntrypoint with the handlers in the zip at `package`."""
        self.send("serve_functions", package=package)

    def handler_log(self) -> str:
        """What the handlers' processes wrote to stdout and stderr."""
        text: str = self.send("handler_log")
        return text

    def shut_down(self) -> None:
        """Stop the sandbox."""
        self.send("shut_down")


def _steps(calls: tuple[tuple[str, dict[str, Any]], ...], attributes: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"method": method, "arguments": each} for method, each in calls]
    return [*steps, {"arguments": attributes}] if attributes else steps
