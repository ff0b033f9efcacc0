"""Start the sandbox from tests and from the demo, and use it.

>>> with start_sandbox() as box:
...     box.client("cloudformation").list_types()
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sandbox import interpreter
from sandbox.control import Control
from sandbox.environment import REGION, exports, for_subprocess

_ROOT = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 10


class SandboxError(RuntimeError):
    """The sandbox did not start; the message is what it wrote."""


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox, as its users see it."""

    url: str
    home: Path  # an empty folder, gone when the sandbox is stopped
    process_id: int
    _clients: dict[tuple[str | None, ...], Any] = field(default_factory=dict, repr=False)

    @property
    def registry_host(self) -> str:
        """Host and port to push images to, by plain HTTP."""
        return self.url.removeprefix("http://")

    @property
    def exports(self) -> dict[str, str]:
        """The variables that `python -m sandbox` prints."""
        return exports(self.url)

    @property
    def environment(self) -> dict[str, str]:
        """A whole environment for subprocesses; the tools beside this Python (aws, cfn) come first on the PATH."""
        variables = for_subprocess(self.url, self.home)
        tools = str(Path(sys.executable).parent)
        return {**variables, "PATH": f"{tools}:{variables.get('PATH', '/usr/bin:/bin')}"}

    @cached_property
    def control(self) -> Control:
        """What only tests and the demo may do."""
        return Control(self.url)

    def client(self, service: str, region: str = REGION, account: str | None = None, **config: Any) -> Any:
        """A boto3 client of the sandbox, made once; `config` goes into botocore's Config."""
        key = (service, region, account, repr(config))
        if key not in self._clients:
            defaults: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": 1}, "proxies": {}}
            self._clients[key] = boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account or "sandbox",
                aws_secret_access_key="sandbox",
                config=Config(**{**defaults, **config}),
            )
        return self._clients[key]

    def close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


@contextmanager
def start_sandbox(port: int | None = None, verbose: bool = False) -> Iterator[Sandbox]:
    """Run the sandbox as a process of its own, on a free port unless one is given, until the block is left.

    Raises NotSetUpError where its Python is missing, SandboxError where it does not start.
    """
    command = [interpreter.find(), "-m", "sandbox", "--port", str(port or 0), "--until-stdin-closes", "--json"]
    if verbose:
        command.append("--verbose")
    with tempfile.TemporaryDirectory(prefix="sandbox-home-") as home:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, stderr=None if verbose else pipe)
        try:
            box = Sandbox(_url_from(process), Path(home), process.pid)
            yield box
            box.close_clients()
        finally:
            _stop(process)


def _url_from(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()  # written as soon as it answers requests
    if not line:
        raise SandboxError((process.stderr.read() if process.stderr else b"").decode() or "The sandbox did not start.")
    url: str = json.loads(line)["AWS_ENDPOINT_URL"]
    return url


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()  # asks it to stop
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
