"""Whatever happens, in whatever order: the promises hold. `make soak` runs the same for as long as told."""

from __future__ import annotations

import os
import random

from tests.faults.machine import Deletes
from tests.faults.soak import run_model

EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "1000"))


def test_random_sequences_keep_the_promises() -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.randrange(1 << 32))
    print(f"FAULTS_SEED={seed}")
    run_model(seed, EXAMPLES)
    print(f"{Deletes.examples} examples; ends of deletes: {Deletes.ends}")
    assert Deletes.examples >= EXAMPLES
