"""The journal of adoptions: a file of JSON lines, from which an interrupted run goes on.

A stack's plan, with the policies of its repositories, is on disk before its first step. A line that a kill cut short
is dropped: what it was to say has not begun.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .planning import Plan, Repository
from .snapshots import Snapshot

VERSION = 1

Json = dict[str, Any]


class JournalError(Exception):
    """The journal can't be used; the text says why."""


@dataclass
class Entry:
    """What the journal knows of one stack. `ended` is how its adoption ended, None while it goes on."""

    plan: Plan
    before: dict[str, Snapshot]
    steps: list[str]
    ended: str | None = None
    updated: str = ""  # when the stack was last updated, as CloudFormation said at the end

    @property
    def unfinished(self) -> bool:
        return self.ended is None


class Journal:
    """An open journal. One process at a time has it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.entries: dict[str, Entry] = {}

    def read(self) -> None:
        """Read all lines, and cut off one that is not whole. Raises JournalError."""
        self._file.seek(0)
        text = self._file.read()
        whole, _, torn = text.rpartition("\n")
        if torn:
            self._file.truncate(len((whole + "\n").encode()) if whole else 0)
        self._file.seek(0, os.SEEK_END)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise JournalError(
                    f"Line {number} of the journal can't be read: {error}. Name another file."
                ) from error

    def _take(self, line: Json) -> None:
        if line["version"] != VERSION:
            raise ValueError(f"it was written by another version, {line['version']}")
        stack, record = line["stack"], line["record"]
        if record == "plan":
            before = {name: Snapshot.from_json(each) for name, each in line["before"].items()}
            self.entries[stack] = Entry(_plan(line["plan"]), before, [])
        elif record == "step":
            self.entries[stack].steps.append(line["step"])
            self.entries[stack].ended = None
        else:
            self.entries[stack].ended = line["outcome"]
            self.entries[stack].updated = line["updated"]

    def plan(self, plan: Plan, before: dict[str, Snapshot]) -> None:
        """Before the first step of a stack."""
        kept = {name: each.as_json() for name, each in before.items()}
        self._write(plan.stack_id, "plan", plan=asdict(plan), before=kept)
        self.entries[plan.stack_id] = Entry(plan, before, [])

    def step(self, stack_id: str, step: str) -> None:
        """After a step, or before one that undoes."""
        self._write(stack_id, "step", step=step)
        self.entries[stack_id].steps.append(step)
        self.entries[stack_id].ended = None

    def end(self, stack_id: str, outcome: str, updated: str) -> None:
        """`updated`: when CloudFormation last updated the stack."""
        self._write(stack_id, "end", outcome=outcome, updated=updated)
        self.entries[stack_id].ended, self.entries[stack_id].updated = outcome, updated

    def _write(self, stack_id: str, record: str, **more: Any) -> None:
        line = {"version": VERSION, "at": datetime.now(UTC).isoformat(), "stack": stack_id, "record": record, **more}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal in a file, which is made where it is missing. Raises JournalError where another process has it."""
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"The journal {path} can't be opened: {error.strerror}.") from error
    with file:
        path.chmod(0o600)  # it has policies and templates
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(f"Another autopurge adopt uses the journal {path}. Wait until it ends.") from error
        journal = Journal(file)
        journal.read()
        yield journal


def read_journal(path: Path) -> dict[str, Entry]:
    """The entries of a journal by stack id; none where there is no such file. Raises JournalError."""
    if not path.exists():
        return {}
    with open_journal(path) as journal:
        return journal.entries


def _plan(document: Json) -> Plan:
    repositories = tuple(Repository(**each) for each in document["repositories"])
    lists = {name: tuple(document[name]) for name in ("custom", "parameters", "capabilities", "notes")}
    return Plan(**{**document, **lists, "repositories": repositories})
