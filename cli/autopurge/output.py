"""What a command prints: tables, lines and JSON on standard output; questions, hints and bars on standard error.

Where standard output is no terminal, the output is plain: no colours, no boxes, no bars, and no line is cut.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_WIDE = 10_000  # characters: no line of plain output is cut


class Output:
    """Prints what a command found, for people or, with ``--json``, for scripts."""

    def __init__(self, *, as_json: bool = False, can_ask: bool = False) -> None:
        self.as_json = as_json
        self.console = _console(sys.stdout)
        self.errors = _console(sys.stderr)
        self._can_ask = can_ask

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at standard output."""
        return self.console.is_terminal

    def json(self, document: Any) -> None:
        """One JSON document. The only thing on standard output with ``--json``."""
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line for people; nothing with ``--json``."""
        if not self.as_json:
            self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def hint(self, text: str) -> None:
        """A line beside the result, on standard error."""
        self.errors.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> None:
        """A table for people. ``right`` are the columns of numbers. Plain output has a tab between two cells."""
        if self.as_json:
            return
        if not self.is_terminal:
            for row in (columns, *rows):
                click.echo("\t".join(row))
            return
        aligned = set(right)
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right" if column in aligned else "left", overflow="fold")
        for row in rows:
            table.add_row(*(cell.replace("[", "\\[") for cell in row))
        self.console.print(table, highlight=False)

    def ask(self, question: str, *, yes: bool) -> bool:
        """Whether the user agrees. ``yes`` is the option ``--yes``.

        Raises UsageError where standard input is no terminal, because nobody can be asked.
        """
        if yes:
            return True
        if not self._can_ask:
            raise click.UsageError(f"{question} Nobody can be asked here: repeat the command with --yes.")
        return click.confirm(question, default=False, err=True)


def _console(stream: Any) -> Console:
    """rich decides what is a terminal, so FORCE_COLOR and NO_COLOR count."""
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=_WIDE, no_color=True)


def size(number: int) -> str:
    """Bytes in the units that ECR's console shows: 1 MB is 1,000,000 bytes."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1_000 or unit == "TB":
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1_000
    raise AssertionError


def day(time: datetime | None) -> str:
    """The date, or ``never``."""
    return f"{time:%Y-%m-%d}" if time else "never"


def moment(time: str | None) -> str:
    """A time in ISO 8601, to the minute."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}" if time else "never"


def plural(number: int, noun: str, several: str | None = None) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
