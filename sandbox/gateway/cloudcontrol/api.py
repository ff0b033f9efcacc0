"""Cloud Control's JSON protocol."""

from __future__ import annotations

import json
from typing import Any

from sandbox.gateway import ministack
from sandbox.gateway.cloud import Cloud
from sandbox.gateway.cloudcontrol.errors import CloudControlError
from sandbox.gateway.cloudcontrol.service import CloudControl


def install(cloud: Cloud) -> None:
    """Put our Cloud Control in the place of ministack's."""
    service = CloudControl(cloud)

    async def handle(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, list[str]]
    ) -> ministack.Response:
        action = service.actions.get(headers.get("x-amz-target", "").rsplit(".", 1)[-1])
        if action is None:
            return _answer(400, {"__type": "UnknownOperationException", "message": "There is no such operation."})
        try:
            # off the event loop: a handler needs it for its own calls to AWS
            return _answer(200, await ministack.run_reentrant(action, json.loads(body or b"{}")))
        except CloudControlError as error:
            return _answer(400, {"__type": error.code, "message": str(error)})

    ministack.replace_cloud_control(handle)


def _answer(status: int, document: dict[str, Any]) -> ministack.Response:
    return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(document).encode()
