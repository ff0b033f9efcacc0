"""Processes that run the handlers of one package, kept warm between calls."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.driver.runtime_api import FunctionError, Invocation, RuntimeApi

_RUNTIME_CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_KEPT_WARM = 4  # idle processes of one pool
_STOP_SECONDS = 3

# -I and -S leave only the standard library on the path. As in Lambda, the package comes first, so that its own boto3 is
# used. The runtime client comes last and alone; in Lambda it belongs to the machine.
_START = """
import sys
package, runtime_client, handler = sys.argv[1:]
sys.path.insert(0, package)
sys.path.append(runtime_client)
from awslambdaric.__main__ import main
main(["bootstrap", handler])
"""


@dataclass(frozen=True)
class Function:
    """What Lambda would know of a function."""

    name: str
    package: Path  # the unzipped code
    handler: str  # module.function
    environment: dict[str, str]
    log: Path  # where stdout and stderr go


def link_runtime_client(folder: Path) -> Path:
    """Fill `folder` with links to awslambdaric and what it needs, and to nothing else of this environment."""
    folder.mkdir()
    for module in _RUNTIME_CLIENT:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{module} is not installed: see requirements-sandbox.txt.")
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


class Worker:
    """One process, which takes one call at a time."""

    def __init__(self, function: Function, runtime_client: Path, released: Callable[[Worker], None]) -> None:
        self._api = RuntimeApi(f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}")
        self._released = released
        self._log = function.log
        variables = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ},
            **function.environment,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "LAMBDA_TASK_ROOT": str(function.package),
            "_HANDLER": function.handler,
        }
        with function.log.open("ab") as log:
            command = [sys.executable, "-I", "-S", "-c", _START]
            command += [str(function.package), str(runtime_client), function.handler]
            self.process = subprocess.Popen(
                command, cwd=function.package, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def start(self, invocation: Invocation) -> None:
        """Begin a call. The worker tells the pool when it is free again."""
        self._api.current = invocation
        invocation.future.add_done_callback(lambda _: self._released(self))
        self._api.waiting.put(invocation)
        if not self.alive:
            self._report_end()

    def _watch(self) -> None:
        self.process.wait()
        self._report_end()

    def _report_end(self) -> None:
        self._api.fail(f"The handler's process ended with {self.process.returncode}.\n{self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-5:])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._api.close()


class WorkerPool:
    """As many processes as there are calls at a time; some are kept for the next calls."""

    def __init__(self, function: Function, runtime_client: Path) -> None:
        self._function = function
        self._runtime_client = runtime_client
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = False

    def start(self, event: dict[str, Any], seconds: float) -> Future[dict[str, Any]]:
        """Begin a call; the future gets the function's answer, or FunctionError."""
        invocation = Invocation(event, seconds)
        try:
            self._take().start(invocation)
        except FunctionError as error:
            invocation.future.set_exception(error)
        return invocation.future

    def warm_up(self) -> None:
        """Start a process, so that the first call need not wait for it."""
        worker = self._new()
        self._release(worker)

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                self._all.discard(worker)
        return self._new()

    def _new(self) -> Worker:
        with self._lock:
            if self._closed:
                raise FunctionError("The sandbox is shutting down.")
            worker = Worker(self._function, self._runtime_client, self._release)
            self._all.add(worker)
            return worker

    def _release(self, worker: Worker) -> None:
        with self._lock:
            keep = worker.alive and not self._closed and len(self._idle) < _KEPT_WARM
            if keep:
                self._idle.append(worker)
                return
            self._all.discard(worker)
        # not here: this runs in the thread of the request that brought the answer
        threading.Thread(target=worker.stop, daemon=True).start()

    def close(self) -> None:
        """Stop all processes, also those that are at work."""
        with self._lock:
            self._closed = True
            workers, self._all, self._idle = list(self._all), set(), []
        stoppers = [threading.Thread(target=worker.stop) for worker in workers]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()
