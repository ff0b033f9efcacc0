"""The command `autopurge` in this process: its clients are those of the strict ECR and other parts in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from click.testing import CliRunner, Result

from autopurge.app import app
from autopurge.aws import Target
from autopurge.command import Surroundings
from sandbox.ecr import VirtualClock


class Clients(dict[str, Any]):
    """Clients by the names of their services; each is made when it is first asked for, which takes a while."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__()
        self.makers = dict(makers)

    def __missing__(self, service: str) -> Any:
        self[service] = self.makers[service]()
        return self[service]


@dataclass
class Autopurge:
    """Runs a command. ``clients`` are by the names of their services; ``targets`` is where commands went."""

    clock: VirtualClock
    clients: dict[str, Any] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def __call__(self, *arguments: str, typed: str | None = None, terminal: bool = False) -> Result:
        """What a command printed, and its exit code. ``typed`` is what the user types, at a ``terminal``."""

        def connect(target: Target) -> Any:
            self.targets.append(target)
            return lambda service, config=None: self.clients[service]

        around = Surroundings(connect, self.clock, can_ask=lambda: terminal)
        return CliRunner().invoke(app, arguments, obj=around, input=typed)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The document that a command prints with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)
