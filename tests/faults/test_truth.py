"""The report says what ECR really deleted, whatever happened. `make truth` runs more."""

from __future__ import annotations

import os
import random

from tests.faults.truth import compare_runs

RUNS = int(os.environ.get("TRUTH_RUNS", "600"))
SECONDS = 40.0


def test_the_report_is_what_ecr_really_deleted() -> None:
    seed = int(os.environ.get("TRUTH_SEED") or random.randrange(1 << 32))
    print(f"TRUTH_SEED={seed}")
    ends = compare_runs(seed, RUNS, SECONDS)
    print(f"{ends.total()} runs: {dict(ends)}")
    assert ends.total() == ends["equal"] + ends["equal, and nobody came back"] > 0
