"""The probes, by name: which beliefs each asks about, and what it costs to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from probes.belief import Answer
from probes.place import Place

Ask = Callable[[Place], Mapping[str, Answer]]  # an answer for each belief, by its name

REPLICATION = "replication"  # the flag of probes that change settings of the registry


@dataclass(frozen=True)
class Probe:
    """A question to AWS. `seconds` is how long it takes on AWS, `operations` how many handler calls are charged."""

    name: str
    ask: Ask
    beliefs: tuple[str, ...]
    creates: str
    seconds: int
    operations: int = 0
    flag: str = ""  # the option without which it does not run


PROBES: dict[str, Probe] = {}


def probe(*beliefs: str, creates: str, seconds: int, operations: int = 0, flag: str = "") -> Callable[[Ask], Ask]:
    """Register a function as the probe of these beliefs. Its name is the probe's."""

    def register(ask: Ask) -> Ask:
        name = getattr(ask, "__name__", "").replace("_", "-")
        PROBES[name] = Probe(name, ask, beliefs, creates, seconds, operations, flag)
        return ask

    return register
