"""Real processes beside an ECR that is a process of its own: memory, CPU, and the time of a handler's answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.served import ROOT, ServedEcr, served_ecr

PURGES = ("ours", "cdk", "hundreds", "force")
SIZES = ("1,000 images", "10,000 images", "100,000 images")
_COLD_STARTS = 9


def measure(code: Path, last: dict[str, Any] | None = None) -> dict[str, Any]:
    """All that is measured of processes; ``code`` is the unpacked package. Times are the ``last`` ones, if given."""
    with served_ecr() as ecr:
        purges = [_purge(code, ecr, contender, size) for size in SIZES for contender in PURGES]
        if last:
            return {**last, "purges": purges}
        ecr.prepare("100 images")
        return {"purges": purges, "cold": _cold(code, ecr), "warm_ms": _run(code, ecr, "read-often")}


def _purge(code: Path, ecr: ServedEcr, contender: str, size: str) -> dict[str, Any]:
    images = ecr.prepare(size)
    seen = _run(code, ecr, "purge", contender)
    return {"contender": contender, "images": images, "left": ecr.left() or 0, **seen}


def _cold(code: Path, ecr: ServedEcr) -> dict[str, dict[str, float]]:
    """Medians of new processes until their first answer, ours and the empty handler in turn."""
    starts: dict[str, list[dict[str, Any]]] = {"ours": [], "empty": []}
    for _ in range(_COLD_STARTS):
        for which, seen in starts.items():
            seen.append(_run(code, ecr, "read-once", which))
    return {which: cold_medians(seen) for which, seen in starts.items()}


def cold_medians(starts: list[dict[str, Any]]) -> dict[str, float]:
    """Of time and CPU."""
    return {key: round(statistics.median(each[key] for each in starts), 3) for key in ("seconds", "cpu_seconds")}


def first_answers(codes: list[Path], times: int = 5) -> list[dict[str, float]]:
    """The medians of new processes of our handler, for each folder of code. The folders take turns."""
    with served_ecr() as ecr:
        ecr.prepare("100 images")
        rounds = [[_run(code, ecr, "read-once", "ours") for code in codes] for _ in range(times)]
    return [cold_medians(list(each)) for each in zip(*rounds, strict=True)]


def _run(code: Path, ecr: ServedEcr, *what: str) -> dict[str, Any]:
    script = str(ROOT / "benchmarks" / "measured.py")
    command = [sys.executable, "-I", "-S", "-B", script, str(code), ecr.url, *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(what)} failed:\n{done.stderr}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
