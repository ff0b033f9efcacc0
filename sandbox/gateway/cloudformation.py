"""CloudFormation's API: the registry's actions, and which requests must not run on the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import parse_qs

from sandbox.gateway import ministack, registry_resources
from sandbox.gateway.cloud import Cloud
from sandbox.registry.actions import Parameters, RegistryActions
from sandbox.registry.types import RegistryError
from sandbox.registry.wire import error_xml, result_xml

_LOG = logging.getLogger("sandbox")

# These unpack packages or call handlers, which need the event loop for their own calls to AWS.
_OFF_LOOP = frozenset({"RegisterType", "DeregisterType", "DetectStackDrift", "DetectStackResourceDrift"})


def install(cloud: Cloud) -> None:
    """Add the registry to ministack's CloudFormation."""
    names = RegistryActions(cloud.registry_here(), cloud.fetch_package, cloud.make_pool, "").handlers
    ministack.add_actions({name: _action(cloud, name) for name in names})
    registry_resources.install(cloud.registry_here, lambda: _actions_here(cloud))
    ministack.wrap_cloudformation(_off_loop)


def _actions_here(cloud: Cloud) -> RegistryActions:
    """The registry's actions for the account and Region of the request at hand."""
    role = f"arn:aws:iam::{ministack.get_account_id()}:role/SandboxExecutionRole"
    return RegistryActions(cloud.registry_here(), cloud.fetch_package, cloud.make_pool, role)


def _action(cloud: Cloud, name: str) -> Callable[[dict[str, list[str]]], ministack.Response]:
    def answer(raw: dict[str, list[str]]) -> ministack.Response:
        actions = _actions_here(cloud)
        values = {key: each[0] if isinstance(each, list) else each for key, each in raw.items()}
        try:
            return result_xml(name, actions.handlers[name](Parameters(values)))
        except RegistryError as error:
            return error_xml(error.code, str(error))
        except ValueError as error:
            _LOG.info("%s was refused", name, exc_info=True)
            return error_xml("ValidationError", str(error))

    return answer


def _off_loop(original: ministack.RequestHandler) -> ministack.RequestHandler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> ministack.Response:
        if _action_of(headers, body, query) not in _OFF_LOOP:
            return await original(method, path, headers, body, query)

        def run() -> ministack.Response:
            return asyncio.run(_awaited(original(method, path, headers, body, query)))

        response: ministack.Response = await ministack.run_reentrant(run)
        return response

    return handle


async def _awaited(response: object) -> ministack.Response:
    return await response  # type: ignore[no-any-return,misc]


def _action_of(headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> str:
    target = headers.get("x-amz-target", "")
    if target:
        return target.rsplit(".", 1)[-1]
    found = query.get("Action") or parse_qs(body.decode("utf-8", "replace")).get("Action") or [""]
    return found[0]
