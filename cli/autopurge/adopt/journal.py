"""The journal of adoptions: a file of JSON lines, from which an interrupted run goes on.

A stack's plan, with the policies of its repositories, is on disk before the stack's first step. If a kill cuts a line
short, the next run drops the line. That does no harm, because a step without a line is read from the live stack, or
repeated.

The journal also has what an interrupted run need not ask again: the answers of AWS from before the plan, the names of
change sets, and the updates that CloudFormation has begun.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import UserDict
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from .planning import Plan, Repository
from .snapshots import Snapshot

VERSION = 1
_ANSWERS_HOLD = timedelta(hours=1)  # then a live repository may have changed behind the back of its stack

Json = dict[str, Any]


class JournalError(Exception):
    """The journal can't be used; the message says why."""


@dataclass(frozen=True)
class Reached:
    """A state of a stack, named as its template in the plan. It counts while the stack's last update is `updated`."""

    state: str
    updated: str


@dataclass(frozen=True)
class Checked:
    """A change set that may be executed while the stack's last update is `updated`.

    The stack's processed template was read after the change set was created. It retains what the change set removes.
    """

    change_set: str
    updated: str


@dataclass
class Entry:
    """What the journal knows of one stack. `ended` is how its adoption ended, None while it goes on."""

    plan: Plan
    before: dict[str, Snapshot]
    steps: list[str]
    ended: str | None = None
    updated: str = ""  # when the stack was last updated, as CloudFormation said at the end
    reached: Reached | None = None
    change_sets: dict[str, str] = field(default_factory=dict)  # the name of the last one, by the state it leads to
    checked: Checked | None = None

    @property
    def unfinished(self) -> bool:
        return self.ended is None


@dataclass(frozen=True)
class _Answer:
    """One answer of AWS. `at` is when AWS was asked, `updated` the stack's last update at that time."""

    question: str
    answer: Any
    updated: str
    at: datetime


class _Answers(UserDict[str, Any]):
    """The answers about one stack, by question. A new one is written at once."""

    def __init__(self, known: Json, write: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.data = known
        self._write = write

    def __setitem__(self, question: str, answer: Any) -> None:
        if question not in self.data:
            self._write(question, answer)
        self.data[question] = answer


class Journal:
    """An open journal. One process at a time has it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._answers: dict[str, list[_Answer]] = {}  # by stack
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
        stack = line["stack"]
        match line["record"]:
            case "answer":
                self._take_answer(line)
            case "forgotten":
                self._answers.pop(stack, None)
            case "plan":
                before = {name: Snapshot.from_json(each) for name, each in line["before"].items()}
                self._take_plan(_plan(line["plan"]), before, line["updated"])
            case "step":
                self.entries[stack].steps.append(line["step"])
                self.entries[stack].ended = None
            case "change set":
                self.entries[stack].change_sets[line["state"]] = line["name"]
            case "checked":
                self.entries[stack].checked = Checked(line["change_set"], line["updated"])
            case "reached":
                self.entries[stack].reached = Reached(line["state"], line["updated"])
            case "end":
                self.entries[stack].ended, self.entries[stack].updated = line["outcome"], line["updated"]
            case unknown:
                raise ValueError(f"it has a record of an unknown kind, {unknown}")

    def _take_answer(self, line: Json) -> None:
        at = datetime.fromisoformat(line["at"])
        answer = _Answer(line["question"], line["answer"], line["updated"], at)
        self._answers.setdefault(line["stack"], []).append(answer)

    def _take_plan(self, plan: Plan, before: dict[str, Snapshot], updated: str) -> None:
        self._answers.pop(plan.stack_id, None)
        self.entries[plan.stack_id] = Entry(plan, before, [], reached=Reached("before", updated))

    def answers(self, stack_id: str, updated: str) -> MutableMapping[str, Any]:
        """The kept answers of AWS about a stack without a plan. An answer that is added is written to the journal.

        Answers are JSON. They are valid for an hour, until somebody updates the stack, or until `forget` or `plan`.
        """

        def write(question: str, answer: Any) -> None:
            line = self._write(stack_id, "answer", updated=updated, question=question, answer=answer)
            self._take_answer(line)

        oldest = datetime.now(UTC) - _ANSWERS_HOLD
        found = [each for each in self._answers.get(stack_id, []) if each.updated == updated and each.at > oldest]
        return _Answers({each.question: each.answer for each in found}, write)

    def forget(self, stack_id: str) -> None:
        """Ask AWS again next time: the user may repair what the answers showed."""
        if self._answers.pop(stack_id, []):
            self._write(stack_id, "forgotten")

    def plan(self, plan: Plan, before: dict[str, Snapshot], updated: str) -> None:
        """Record the plan of a stack, before its first step. `updated` is its last update, read before all else."""
        kept = {name: each.as_json() for name, each in before.items()}
        self._write(plan.stack_id, "plan", plan=asdict(plan), before=kept, updated=updated)
        self._take_plan(plan, before, updated)

    def name_change_set(self, stack_id: str, state: str, name: str) -> None:
        """Record the name of a change set that leads to a state, before the change set is created."""
        self._write(stack_id, "change set", state=state, name=name)
        self.entries[stack_id].change_sets[state] = name

    def check(self, stack_id: str, checked: Checked) -> None:
        """Record a change set that was checked, before it is executed."""
        self._write(stack_id, "checked", change_set=checked.change_set, updated=checked.updated)
        self.entries[stack_id].checked = checked

    def reach(self, stack_id: str, reached: Reached) -> None:
        """Record a state, as soon as CloudFormation has begun the operation that leads to it."""
        self._write(stack_id, "reached", state=reached.state, updated=reached.updated)
        self.entries[stack_id].reached = reached

    def step(self, stack_id: str, step: str) -> None:
        """Record a step, after it has ended."""
        self._write(stack_id, "step", step=step)
        self.entries[stack_id].steps.append(step)
        self.entries[stack_id].ended = None

    def end(self, stack_id: str, outcome: str, updated: str) -> None:
        """Record how an adoption ended. `updated` is the stack's last update."""
        self._write(stack_id, "end", outcome=outcome, updated=updated)
        self.entries[stack_id].ended, self.entries[stack_id].updated = outcome, updated

    def _write(self, stack_id: str, record: str, **more: Any) -> Json:
        line = {"version": VERSION, "at": datetime.now(UTC).isoformat(), "stack": stack_id, "record": record, **more}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return line


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
