"""Commands, shown as a user could type them, and run; the chapters that they belong to."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
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
    """`command` quoted for a shell, and broken before an option where a line would be too long."""
    parts: list[str] = []
    for word in map(shlex.quote, command):
        if word.startswith("--") or not parts:
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < _WIDTH:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}")
    return " \\\n".join(lines)


@dataclass(frozen=True)
class Shell:
    """Runs commands in a folder, with an environment, and shows them on a console.

    Folded commands and details are shown only if `verbose` is True. If `step` is True, the shell waits for Enter after
    each chapter.
    """

    console: Console
    folder: Path
    environment: Mapping[str, str]
    verbose: bool = False
    step: bool = False
    _numbers: count[int] = field(default_factory=lambda: count(1), repr=False)

    def say(self, text: str) -> None:
        self.console.print(text)

    def detail(self, text: str) -> None:
        """Say something that is folded."""
        if self.verbose:
            self.console.print(Text(text, style="dim"), soft_wrap=True)

    def chapter(self, title: str) -> None:
        """Begin a chapter; it has the next number."""
        number = next(self._numbers)
        if self.step and number > 1:
            self.pause()
        self.console.print()
        self.console.rule(f"[bold]{number}. {title}", align="left")

    def pause(self) -> None:
        """Wait for Enter, or for the end of the input."""
        try:
            self.console.input("[dim]Enter: go on[/dim] ")
        except EOFError:
            self.console.print()

    def show(self, *command: str) -> None:
        self.console.print(Text(f"$ {as_typed(command)}", style="bold cyan"), soft_wrap=True)

    def run(self, *command: str, folded: bool = False, shown: bool = False, code: int = 0) -> str:
        """Show and run `command`. Its output is printed only if `shown` is True, or if the shell is verbose.

        Returns what it wrote on stdout. Raises UnexpectedError if it ends with another exit code than `code`.
        """
        if self.verbose or not folded:
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
        if shown:
            self.console.print(Text(done.stdout.rstrip(), style="dim"), soft_wrap=True)
        elif done.stdout.strip():
            self.detail(done.stdout.rstrip())
        return done.stdout
