"""KMS's DescribeKey, for the keys that ECR knows and for those that ministack has; the rest of KMS is ministack's."""

from __future__ import annotations

import json
from typing import Any

from sandbox.gateway import enforcement, ministack
from sandbox.gateway.images import Registries
from sandbox.iam.policies import Check
from sandbox.kms import describe_key


def install(registries: Registries) -> None:
    """Answer DescribeKey. The caller's policies must allow it on the key's ARN, even if the request names an alias."""

    def wrap(original: ministack.RequestHandler) -> ministack.RequestHandler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
        ) -> ministack.Response:
            if headers.get("x-amz-target", "").rpartition(".")[2] != "DescribeKey":
                return await original(method, path, headers, body, query)
            spelling = json.loads(body)["KeyId"]
            arn = registries.here().find_key(spelling)
            refusal = enforcement.refusal(headers, Check("kms:DescribeKey", arn)) if arn else None
            if refusal:
                return _json(400, {"__type": "AccessDeniedException", "message": refusal})
            if ministack.key_arn(spelling):
                return await original(method, path, headers, body, query)
            return _json(*describe_key(registries.here(), spelling))

        return handle

    ministack.wrap_kms(wrap)


def _json(status: int, answer: dict[str, Any]) -> ministack.Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
