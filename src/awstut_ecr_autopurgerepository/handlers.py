"""The five handlers: unwrap, call, answer. What happens on a delete is on one screen in deletion/__init__.py."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from functools import partial
from typing import Any, cast

from cloudformation_cli_python_lib import Action, ProgressEvent, SessionProxy

from .models import ResourceHandlerRequest, ResourceModel
from .pacing import ThreadPool
from .provider.clients import client_of_users, ecr_client, kms_client, s3_client
from .provider.resource import AutoPurgeResource
from .repository import create, read, update
from .repository.requests import MOST_AT_ONCE
from .rules.account import AccountRules

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"

resource = AutoPurgeResource(TYPE_NAME, ResourceModel)
test_entrypoint = resource.test_entrypoint


@resource.handler(Action.CREATE)
def create_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Create a repository. The create repeats requests itself, because it knows when the call must end."""
    return create.create(ecr_client(session, attempts=1), request, callback_context, time)


@resource.handler(Action.READ)
def read_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Read a repository."""
    client = ecr_client(session, attempts=1, connections=MOST_AT_ONCE)
    with ThreadPool(MOST_AT_ONCE) as pool:
        return read.read(client, request, time, pool)


@resource.handler(Action.UPDATE)
def update_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Update a repository. Like the other handlers, it repeats requests itself."""
    client = ecr_client(session, attempts=1, connections=MOST_AT_ONCE)
    make_kms = partial(kms_client, cast("SessionProxy", session))
    with ThreadPool(MOST_AT_ONCE) as pool:
        return update.update(client, request, callback_context, make_kms, time, pool)


@resource.handler(Action.DELETE)
def delete_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Purge and delete a repository. The purge repeats requests itself, because it knows when the call must end."""
    from . import deletion  # Only here: a new process compiles all imports, and other handlers do without it.

    account = cast("AccountRules | None", request.typeConfiguration) or AccountRules()
    client = ecr_client(session, attempts=1, connections=account.concurrency)
    make_s3 = partial(s3_client, cast("SessionProxy", session), account.concurrency)
    make_client = partial(client_of_users, cast("SessionProxy", session), account.concurrency)
    with ThreadPool(account.concurrency) as pool:
        return deletion.delete(client, request, account, callback_context, time, pool, make_s3, make_client)


@resource.handler(Action.LIST)
def list_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """List the repositories of the account and Region."""
    client = ecr_client(session, attempts=1)
    with ThreadPool(1) as pool:
        return read.list_page(client, request, time, pool)
