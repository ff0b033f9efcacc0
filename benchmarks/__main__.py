"""`python -m benchmarks`: measure, and write figures.json, RESULTS.md, the plots, and the figures of the comparison."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import calls, experiments, package, processes, report, targets, use
from benchmarks.assumptions import Assumptions
from benchmarks.cases import CASES
from benchmarks.races import all_races, hold, our_races

FIGURES = report.HERE / "figures.json"
_PACKAGES = ("boto3", "cloudformation-cli-python-lib", "cloudformation-cli")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--latency", type=float, default=Assumptions.seconds_a_call, help="seconds that a call takes")
    parser.add_argument("--write-only", action="store_true", help="measure nothing, write from figures.json")
    parser.add_argument(
        "--case", action="append", choices=CASES, help="hold the races of this type on one case, and write nothing"
    )
    parser.add_argument(
        "--keep-handlers",
        action="store_true",
        help="keep the last figures of the handlers and the package, whose times need a quiet machine",
    )
    arguments = parser.parse_args()
    if arguments.case:
        _show_races(Assumptions(seconds_a_call=arguments.latency), arguments.case)
        return
    if not arguments.write_only:
        last = json.loads(FIGURES.read_text()) if arguments.keep_handlers else None
        figures = _measure(Assumptions(seconds_a_call=arguments.latency), last)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    figures = json.loads(FIGURES.read_text())
    report.write(figures)
    for target in targets.all_targets(figures):
        print(f"{target.seen:12,.4g}{target.unit:4} {target.what}: {target.by}")
    print(f"Written: {report.HERE / 'RESULTS.md'}")


def _show_races(assumptions: Assumptions, cases: list[str]) -> None:
    for race in our_races(cases):
        found = hold(race, assumptions)
        words = f"throttled, burst {race.burst or assumptions.burst}" if race.throttled else "not throttled"
        calls = f"{found['calls']:,} calls of at least {found['least']:,}, {found['refused']:,} refused"
        print(
            f"{race.case}, {words}: {found['seconds']:.2f} s, {calls}, {found['slices']} slices, {found['left']} left"
        )


def _measure(assumptions: Assumptions, last: dict[str, Any] | None) -> dict[str, Any]:
    """All figures; those of the handlers and the package are the ``last`` ones, if they are given."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        with _step("package"):
            code, archive = package.build(Path(place))
        with _step("processes: memory, CPU, first answers"):
            measured = processes.measure(code, last["processes"] if last else None)
        with _step("package, trimmed"):
            packed = last["package"] if last else package.measure(Path(place), archive)
    with _step("races"), ProcessPoolExecutor(os.cpu_count()) as pool:
        every = all_races()
        races = list(pool.map(hold, every, [assumptions] * len(every)))
    with _step("calls of the handlers, and experiments"):
        counted, tried = calls.measure(), experiments.measure(assumptions, races)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "handlers_date": last["handlers_date"] if last else f"{datetime.now(UTC):%Y-%m-%d}",
        "minutes": round((time.monotonic() - began) / 60, 1),
        "machine": _machine(),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "assumptions": asdict(assumptions),
        "races": races,
        "processes": measured,
        "calls": counted,
        "use": use.measure(assumptions),
        "package": packed,
        "experiments": tried,
    }


@contextmanager
def _step(title: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"{title} …", flush=True)
    yield
    print(f"{title}: {time.monotonic() - began:.0f} s", flush=True)


def _machine() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": os.cpu_count(),
        "cpu": _processor(),
        "memory_gb": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


if __name__ == "__main__":
    main()
