"""A run: asks probes one after the other, and removes what they made, whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from requests import RequestException

from probes.belief import Answer, Verdict, judge
from probes.beliefs import BELIEFS
from probes.place import Place, ProbeError
from probes.pushing import PushError
from probes.registry import Probe
from probes.removal import remove_all

_FAILURES = (ClientError, BotoCoreError, RequestException, ProbeError, PushError)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a probe saw of one belief. `error` says why it could not ask."""

    belief: str
    verdict: Verdict
    answer: Answer | None = None
    error: str = ""


@dataclass
class Findings:
    """All that a run found out; `left` is what could not be removed."""

    outcomes: list[Outcome] = field(default_factory=list)
    details: dict[str, dict[str, Any]] = field(default_factory=dict)  # by probe
    seconds: dict[str, float] = field(default_factory=dict)  # by probe
    acceptance: dict[str, Any] | None = None
    interrupted: bool = False
    left: list[str] = field(default_factory=list)


def ask(
    place: Place,
    probes: Sequence[Probe],
    say: Say = lambda _line: None,
    accept: Callable[[], dict[str, Any]] | None = None,
) -> Findings:
    """Ask all probes, and run `accept` after them, whose result is kept.

    Ctrl-C and SIGTERM end it early, and what was made is removed before it returns.
    """
    findings = Findings()
    with Interrupts(say) as interrupts:
        try:
            for number, probe in enumerate(probes, 1):
                interrupts.check()
                say(f"{number}/{len(probes)} {probe.name}")
                _ask_one(place, probe, findings)
            if accept is not None:
                interrupts.check()
                findings.acceptance = _accept(accept)
            interrupts.ignore()
        except KeyboardInterrupt:
            findings.interrupted = True
            say("Interrupted. Removing what was made; this can take some minutes.")
        findings.left += remove_all(place, place.made.things)
        place.made.close()
    return findings


class Interrupts:
    """Lets SIGTERM and SIGHUP do what Ctrl-C does: raise KeyboardInterrupt, once. Later signals interrupt nothing."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._raises = True
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, former in self._before.items():
            signal.signal(number, former)

    def check(self) -> None:
        """Raise KeyboardInterrupt if an earlier one was lost: Python ignores an error in a finalizer."""
        if self._came:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From here on a signal interrupts nothing."""
        self._raises = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        if self._raises:
            self._raises = False
            raise KeyboardInterrupt
        self._say("Still removing what was made. make verify-aws-clean removes what a killed run leaves.")


def _accept(accept: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return accept()
    except _FAILURES as error:
        return {"differences": [f"The steps could not be done: {type(error).__name__}: {error}"]}


def _ask_one(place: Place, probe: Probe, findings: Findings) -> None:
    """Ask one probe, and remove what it made by itself; what several probes share stays until the end."""
    place.details = {}
    began, shared = place.clock.monotonic(), bool(place.shared)
    before = set(place.made.things)
    try:
        answers = probe.ask(place)
        outcomes = [Outcome(name, judge(BELIEFS[name], answer), answer) for name, answer in answers.items()]
    except _FAILURES as error:
        text = f"{type(error).__name__}: {error}"
        outcomes = [Outcome(name, Verdict.FAILED, error=text) for name in probe.beliefs]
    findings.outcomes += outcomes
    findings.details[probe.name] = place.details
    findings.seconds[probe.name] = round(place.clock.monotonic() - began, 1)
    if shared or not place.shared:
        remove_all(place, [each for each in place.made.things if each not in before])
