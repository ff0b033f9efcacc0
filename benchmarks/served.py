"""The strict ECR as a process of its own, by HTTP on 127.0.0.1: what is measured beside it holds nothing of it.

Commands come as lines of JSON on stdin, and are answered on stdout; when stdin is closed, it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, NAME, prepare
from sandbox.ecr import StrictEcr
from sandbox.ecr.client import serve_json

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ServedEcr:
    """A running one, as the bench sees it."""

    url: str
    process: subprocess.Popen[str]

    def prepare(self, case: str) -> int:
        """Fill the repository anew, and return how many images it holds."""
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet,
    disable_nagle_algorithm = True  # and none that waits for another
    ecr: StrictEcr

    def do_POST(self) -> None:
        """Answer a request of ECR's JSON API."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = serve_json(self.ecr, self.headers["X-Amz-Target"].rpartition(".")[2], body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _obey(command: dict[str, Any]) -> int | None:
    if "prepare" in command:
        _Handler.ecr = StrictEcr()
        return prepare(_Handler.ecr, CASES[command["prepare"]])
    return _Handler.ecr.holds(NAME)


def main() -> None:
    """Serve until stdin is closed."""
    _Handler.ecr = StrictEcr()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps(f"http://127.0.0.1:{server.server_port}"), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(json.loads(line))), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
