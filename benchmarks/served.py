"""The strict ECR as a process of its own, by HTTP on 127.0.0.1: what is measured beside it holds nothing of it.

Commands come as lines of JSON on stdin, and are answered on stdout; when stdin is closed, it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, NAME, prepare
from sandbox.ecr import StrictEcr
from sandbox.ecr.http import serve

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ServedEcr:
    """A running one, as the bench sees it."""

    url: str
    process: subprocess.Popen[str]

    def prepare(self, case: str) -> int:
        """Fill the repository again, and return how many images it holds."""
        count: int = self._ask(prepare=case)
        return count

    def left(self) -> int | None:
        """How many images are left; None if the repository is gone."""
        count: int | None = self._ask(left=True)
        return count

    def _ask(self, **command: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def served_ecr() -> Iterator[ServedEcr]:
    """Run one until the block is left."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.served"]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield ServedEcr(json.loads(process.stdout.readline()), process)
        finally:
            process.stdin.close()


def _obey(ecr: StrictEcr, command: dict[str, Any]) -> int | None:
    if "prepare" in command:
        ecr.repositories.clear()
        ecr.deletion_log.clear()
        ecr.reset_calls()
        return prepare(ecr, CASES[command["prepare"]])
    return ecr.holds(NAME)


def main() -> None:
    """Serve until stdin is closed."""
    ecr = StrictEcr()
    with serve(ecr) as url:
        print(json.dumps(url), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(ecr, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
