"""`make soak MINUTES=30`: random sequences and random events, with new seeds, for as long as told."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from unittest import mock

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from awstut_ecr_autopurgerepository import ecr
from tests.faults.machine import Deletes

_EXAMPLES = 500  # a round
_EVENTS = 500
_SMALL_PAGE, _SMALL_BATCH = 7, 5


def run_model(number: int, examples: int, *, shrink: bool = True) -> None:
    """Run so many random sequences from a seed. Pages and batches are small, so that a few images make many calls."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    with (
        mock.patch.object(ecr, "IMAGES_PER_PAGE", _SMALL_PAGE),
        mock.patch.object(ecr, "IMAGES_PER_BATCH", _SMALL_BATCH),
    ):
        run_state_machine_as_test(seed(number)(Deletes), settings=chosen)


def _run_events(number: int) -> int:
    """The fuzz test of events from a seed, as pytest runs it. Returns its exit code."""
    command = [sys.executable, "-m", "pytest", "tests/faults/test_events.py", "-q", "--show-capture=no"]
    variables = {"FAULTS_SEED": str(number), "FAULTS_EVENTS": str(_EVENTS)}
    return subprocess.run(command, env=os.environ | variables, check=False, stdout=sys.stderr).returncode


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    until = time.monotonic() + parser.parse_args().minutes * 60
    rounds = events = 0
    while time.monotonic() < until:
        number = random.randrange(1 << 32)
        print(f"FAULTS_SEED={number}", flush=True)
        run_model(number, _EXAMPLES)
        if rounds % 5 == 0:
            if _run_events(number):
                sys.exit(1)
            events += 2 * _EVENTS
        rounds += 1
        print(f"{Deletes.examples:,} sequences and {events:,} events so far: {dict(Counter(Deletes.ends))}", flush=True)
    print(f"The promises held in {Deletes.examples:,} random sequences and for {events:,} random events.")


if __name__ == "__main__":
    main()
