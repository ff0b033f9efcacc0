"""Commands, shown as a user could type them, and run."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

_WIDTH = 110


class UnexpectedError(Exception):
    """Something was not as the demo expects it; the text says what."""


def expect(condition: bool, otherwise: str) -> None:
    """Raise UnexpectedError with the text `otherwise`, unless `condition` holds."""
    if not condition:
        raise UnexpectedError(otherwise)


def as_typed(command: tuple[str, ...]) -> str:
    """`command` quoted for a shell, and broken before its options where it is long."""
    line = shlex.join(command)
    if len(line) <= _WIDTH:
        return line
    parts: list[str] = []
    for word in map(shlex.quote, command):
        if word.startswith("--") or not parts:
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    return " \\\n    ".join(parts)


@dataclass(frozen=True)
class Shell:
    """A place to run commands in: a folder, an environment, and a console to show them on."""

    console: Console
    folder: Path
    environment: Mapping[str, str]

    def say(self, text: str) -> None:
        self.console.print(text)

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{text}", align="left")

    def show(self, *command: str) -> None:
        self.console.print(Text(f"$ {as_typed(command)}", style="bold cyan"), soft_wrap=True)

    def run(self, *command: str, show_output: bool = True, code: int = 0) -> str:
        """Show and run `command`; return what it wrote on stdout. Raises UnexpectedError for another exit code."""
        self.show(*command)
        with self.console.status("running"):
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        expect(done.returncode == code, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        if show_output and done.stdout.strip():
            self.console.print(Text(done.stdout.rstrip(), style="dim"), soft_wrap=True)
        return done.stdout
