"""The HTTP interface between Lambda and a function's process, for one process.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.environment import HOST

_PREFIX = "/2018-06-01/runtime/"
_POLL_SECONDS = 0.1  # how soon the server notices that it is to close


class FunctionError(RuntimeError):
    """The function raised, or could not be loaded; the message says what."""


@dataclass
class Invocation:
    """One call, from the moment it is asked for until its future is done."""

    event: dict[str, Any]
    seconds: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    future: Future[dict[str, Any]] = field(default_factory=Future)


class RuntimeApi:
    """Hands invocations to the one process that asks for them, and takes its answers."""

    def __init__(self, function_arn: str) -> None:
        self.function_arn = function_arn
        self.waiting: queue.Queue[Invocation | None] = queue.Queue()
        self.current: Invocation | None = None
        self._server = _Server((HOST, 0), _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port, for AWS_LAMBDA_RUNTIME_API."""
        return f"{HOST}:{self._server.server_address[1]}"

    def fail(self, reason: str) -> None:
        """Fail the call that is under way, if any."""
        current, self.current = self.current, None
        if current is not None and not current.future.done():
            current.future.set_exception(FunctionError(reason))

    def close(self) -> None:
        self.waiting.put(None)  # lets go of the request that waits for an invocation
        self._server.shutdown()
        self._server.server_close()
        self.fail("The sandbox is shutting down.")


class _Server(ThreadingHTTPServer):
    api: RuntimeApi
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that ends drops its connection: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment

    def do_GET(self) -> None:
        invocation = self.server.api.waiting.get()
        if invocation is None:
            self._answer(410, {})
            return
        self.server.api.current = invocation
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.server.api.function_arn,
        }
        self._answer(200, invocation.event, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.path.removeprefix(_PREFIX).split("/")[-1]
        api = self.server.api
        if what == "response" and api.current is not None:
            current, api.current = api.current, None
            current.future.set_result(json.loads(body))
        else:  # an error of this invocation, or of the start (init/error)
            details = json.loads(body or b"{}")
            api.fail(f"{details.get('errorType', 'Error')}: {details.get('errorMessage', '')}")
        self._answer(202, {})

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""
