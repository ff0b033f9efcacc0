"""The ASGI application: our own paths first, then ministack's; and the server around it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from sandbox.control import PATH
from sandbox.driver.runtime_api import FunctionError
from sandbox.gateway import (
    cloudformation,
    enforcement,
    images,
    keys,
    metrics,
    ministack,
    native_repository,
    tagging,
    updates,
    workloads,
)
from sandbox.gateway.cloud import Cloud, Folders
from sandbox.gateway.cloudcontrol import api
from sandbox.gateway.commands import Commands, RefusedError
from sandbox.gateway.types import StackType

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_INVOKE_SECONDS = 15 * 60  # Lambda's own limit
_GRACEFUL_SECONDS = 0.5

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gateway:
    """Answers the control endpoint and the invocation of functions of ours; all else goes to ministack."""

    def __init__(self, cloud: Cloud, stop: threading.Event, announce: Callable[[], None]) -> None:
        self._cloud = cloud
        self._commands = Commands(cloud, stop)
        self._announce = announce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path.startswith(PATH):
                await self._control(scope, receive, send)
                return
            invoked = _INVOKE.fullmatch(path)
            if invoked and invoked[1] in self._cloud.functions:
                await self._invoke(invoked[1], receive, send)
                return
            send = _dropping(send)
        await ministack.asgi_app(scope, receive, send)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        if scope["method"] != "POST" or kinds != [b"application/json"]:  # a web page can't send this to another origin
            await _answer(send, 405, {"message": "Send a POST of application/json."})
            return
        command = scope["path"].removeprefix(PATH)
        try:
            result = await asyncio.to_thread(self._commands.run, command, json.loads(body or b"{}"))
        except RefusedError as error:
            await _answer(send, 400, {"message": str(error)})
            return
        await _answer(send, 200, result)

    async def _invoke(self, name: str, receive: Receive, send: Send) -> None:
        """Lambda's Invoke: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
        event = json.loads(await _body(receive) or b"{}")
        try:
            await asyncio.to_thread(self._commands.before_invoke, event)
            future = self._cloud.functions[name].start(event, _INVOKE_SECONDS)
            answer = await asyncio.wait_for(asyncio.wrap_future(future), _INVOKE_SECONDS)
        except (FunctionError, TimeoutError) as error:
            failure = {"errorMessage": str(error), "errorType": "Error"}
            await _answer(send, 200, failure, (b"x-amz-function-error", b"Unhandled"))
            return
        await _answer(send, 200, answer)


def _dropping(send: Send) -> Send:
    """Where ECR's faults ask for it, promise a body and never send it: the client sees a connection that was lost.

    The body is promised in chunks. Where its length is promised instead, botocore takes what arrived for all of it.
    """
    dropped = False

    async def send_or_drop(message: dict[str, Any]) -> None:
        nonlocal dropped
        if message["type"] == "http.response.start":
            dropped = any(name == images.DROP_HEADER.encode() for name, _ in message["headers"])
            await send({**message, "headers": [(b"transfer-encoding", b"chunked")]} if dropped else message)
        elif not dropped:
            await send(message)

    return send_or_drop


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, document: Any, *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps(document, default=str).encode()
    length = (b"content-length", str(len(body)).encode())
    all_headers = [(b"content-type", b"application/json"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


def build(url: str, folders: Folders, stop: threading.Event, announce: Callable[[], None]) -> tuple[Gateway, Cloud]:
    """Put our parts into ministack. Once a process, as ministack's tables are the module's."""

    def type_changed(name: str) -> None:
        StackType(cloud, name).install()

    cloud = Cloud(url, folders, type_changed)
    ministack.install()
    updates.install()
    enforcement.install()
    images.install(cloud.images)
    keys.install(cloud.images)
    workloads.install(cloud.users)
    tagging.install(cloud.images)
    metrics.install()
    native_repository.install(cloud.images, cloud.settings)
    cloudformation.install(cloud)
    api.install(cloud)
    return Gateway(cloud, stop, announce), cloud


def serve(
    url: str, listener: socket.socket, folders: Folders, stop: threading.Event, announce: Callable[[], None]
) -> None:
    """Answer requests at `listener` until `stop` is set; then end all processes. `announce` is called when it is up."""
    gateway, cloud = build(url, folders, stop, announce)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = logging.getLevelName(logging.getLogger("ministack").getEffectiveLevel())
    config.graceful_timeout = _GRACEFUL_SECONDS
    config.keep_alive_timeout = 75

    async def until_stopped() -> None:
        announce()
        await asyncio.to_thread(stop.wait)
        await asyncio.to_thread(cloud.close)  # calls that wait for a handler end with it

    asyncio.run(hypercorn_serve(gateway, config, shutdown_trigger=until_stopped))
