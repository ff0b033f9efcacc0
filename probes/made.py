"""The things that a run creates. Each is written down before it is created, so that it can always be removed.

Names and tags tell which run created a thing. Nothing else is ever removed.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

TAG = "autopurge:verification"  # on everything that can have tags; its value is the run
TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"  # of this project; a run registers it where nobody has done so
_NAME_BEGINS = "autopurge-verify-"
_TYPE_BEGINS = "AutopurgeVerify::R"
DESCRIPTION = "Made by make verify-aws of awstut-ecr-autopurgerepository."  # of types, which can have no tags


class Kind(StrEnum):
    """In the order in which they are removed."""

    REPLICATION = "replication configuration"
    STACK = "stack"
    TYPE = "resource type"
    REPOSITORY = "repository"
    BUCKET = "bucket"
    ROLE = "role"


@dataclass(frozen=True)
class Thing:
    """One resource. Roles and buckets have the Region in which the run was."""

    kind: Kind
    name: str
    region: str


@dataclass(frozen=True)
class Run:
    """What all names and tags of one run begin with."""

    number: str

    @classmethod
    def new(cls) -> Run:
        return cls(secrets.token_hex(4))

    @property
    def prefix(self) -> str:
        return f"{_NAME_BEGINS}{self.number}"

    @property
    def type_name(self) -> str:
        return f"{_TYPE_BEGINS}{self.number}::Recorder"

    @property
    def tags(self) -> dict[str, str]:
        return {TAG: self.number}


def run_of(name: str) -> Run | None:
    """The run whose prefix the name begins with, or whose type it names; None if there is none."""
    match = re.match(rf"(?:{_NAME_BEGINS}|{_TYPE_BEGINS})([0-9a-f]{{8}})(?:-|::Recorder$)", name)
    return Run(match[1]) if match else None


class Ledger:
    """The things that are created and not removed yet, newest last. Each is on disk before it is created on AWS."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing is written."""
        self._path = path
        self._things: dict[Thing, None] = {}
        self.uncertain: set[Thing] = set()  # asked for, without an answer that they were made

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """What an earlier run left. An incomplete line is ignored, because its thing was not created yet."""
        ledger = cls(path)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                entry = json.loads(line)
                thing = Thing(Kind(entry["kind"]), entry["name"], entry["region"])
            except (ValueError, KeyError):
                continue
            if entry.get("removed"):
                ledger._things.pop(thing, None)
            else:
                ledger._things[thing] = None
                ledger.uncertain.add(thing)
        return ledger

    @property
    def things(self) -> list[Thing]:
        return list(self._things)

    def note(self, kind: Kind, name: str, region: str) -> Thing:
        """Before something is created."""
        thing = Thing(kind, name, region)
        self._write(thing)
        self._things[thing] = None
        self.uncertain.add(thing)
        return thing

    def confirm(self, thing: Thing) -> None:
        """AWS said that it was made."""
        self.uncertain.discard(thing)

    def forget(self, thing: Thing) -> None:
        """It is gone."""
        self._write(thing, removed=True)
        self._things.pop(thing, None)
        self.uncertain.discard(thing)

    def close(self) -> None:
        """Remove the file, unless something is left."""
        if self._path is not None and not self._things:
            self._path.unlink(missing_ok=True)

    def _write(self, thing: Thing, **more: bool) -> None:
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(thing), **more}) + "\n")
