"""The handlers in a process of their own, as on Lambda: warm, one call after the other, and to be killed.

Run as a script it is that process: it reads an event a line, and writes an answer a line. It imports nothing but the
package, so that its memory is that of the handlers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

REGION = "eu-west-1"


def _peak_bytes() -> int:
    """The peak of the resident set of this process."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1_024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _shorten_slices(seconds: float) -> None:
    """Let slices end early, so that a test with several of them does not take minutes of the real clock."""
    from awstut_ecr_autopurgerepository.deletion import call

    mock.patch.object(call, "LAST_START_SECONDS", seconds).start()


def main() -> None:
    import time

    from awstut_ecr_autopurgerepository import handlers

    if len(sys.argv) > 1:
        _shorten_slices(float(sys.argv[1]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        answer = json.loads(json.dumps(handlers.resource(json.loads(line), None)))
        result = {"answer": answer, "seconds": time.monotonic() - began, "peak_bytes": _peak_bytes()}
        print(json.dumps(result), flush=True)


@dataclass
class HandlerProcess:
    """A handler process as its caller sees it. Slices are of the usual length unless ``slice_seconds`` is given."""

    url: str
    s3_url: str | None = None  # where it is not the same
    slice_seconds: float | None = None
    peak_bytes: int = 0
    seconds: list[float] = field(default_factory=list)  # of each call
    _ready: bool = False

    def __post_init__(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.s3_url or self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, __file__, *([str(self.slice_seconds)] if self.slice_seconds else [])]
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Wait until the package is imported."""
        assert self._process.stdout
        if not self._ready:
            self._ready = bool(self._process.stdout.readline())

    def call(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of one call; None if the process was killed before it answered."""
        assert self._process.stdin
        assert self._process.stdout
        self.wait_until_ready()
        try:
            self._process.stdin.write(json.dumps(event) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._process.stdout.readline()
        if not line:
            return None
        result = json.loads(line)
        self.peak_bytes = result["peak_bytes"]
        self.seconds.append(result["seconds"])
        answer: dict[str, Any] = result["answer"]
        return answer

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def __enter__(self) -> HandlerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            try:
                stream.close()
            except BrokenPipeError:
                continue


if __name__ == "__main__":
    main()
