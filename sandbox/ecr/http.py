"""The strict ECR over HTTP on 127.0.0.1, for handlers in a process of their own.

>>> with serve(ecr) as url:
...     subprocess.run(command, env={"AWS_ENDPOINT_URL": url})
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.connections import ConnectionDroppedError, OverHttp
from sandbox.ecr.client import serve_json
from sandbox.ecr.service import EcrService
from sandbox.environment import HOST

_TARGET = "AmazonEC2ContainerRegistry_V20150921."


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no error."""


def _handler_of(ecr: EcrService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body leave together

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers["X-Amz-Target"]
            if not target.startswith(_TARGET):
                self.send_error(404)
                return
            operation = target.removeprefix(_TARGET)
            try:
                with ecr.faults.connection(operation, OverHttp()):
                    status, answer = serve_json(ecr, operation, body)
            except ConnectionDroppedError:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serve(ecr: EcrService) -> Iterator[str]:
    """Answer requests until the block is left; the block gets the URL."""
    server = _Server((HOST, 0), _handler_of(ecr))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
