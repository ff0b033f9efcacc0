"""What a handler's answer must be like.

https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox.driver.model import identifier
from sandbox.driver.schema import Schema

_STATUSES = ("SUCCESS", "IN_PROGRESS", "FAILED")
_SYNCHRONOUS = ("READ", "LIST")


def breach(schema: Schema, action: str, answer: dict[str, Any], context_limit: int) -> str | None:
    """The first thing that is wrong with an answer; None if all is well."""
    return next(_breaches(schema, action, answer, context_limit), None)


def _breaches(schema: Schema, action: str, answer: dict[str, Any], context_limit: int) -> Iterator[str]:
    status = answer.get("status")
    if status not in _STATUSES:
        yield f"the status is {status!r}"
    elif status == "FAILED":
        if not answer.get("errorCode"):
            yield "FAILED came without an error code"
    elif status == "IN_PROGRESS":
        yield from _in_progress(schema, action, answer, context_limit)
    elif action == "LIST":
        yield from _listed(schema, answer)
    elif action == "DELETE":
        if answer.get("resourceModel") is not None:
            yield "a DELETE that succeeded must answer without a model"
    else:
        yield from _model(schema, answer.get("resourceModel"))


def _in_progress(schema: Schema, action: str, answer: dict[str, Any], context_limit: int) -> Iterator[str]:
    if action in _SYNCHRONOUS:
        yield f"{action} must not answer IN_PROGRESS"
    size = context_bytes(answer)
    if size > context_limit:
        yield f"the callback context has {size} bytes, more than {context_limit}"
    yield from _model(schema, answer.get("resourceModel"))


def _listed(schema: Schema, answer: dict[str, Any]) -> Iterator[str]:
    models = answer.get("resourceModels")
    if not isinstance(models, list):
        yield "a LIST that succeeded must answer with a list of models, even if it is empty"
        return
    for model in models:
        yield from _model(schema, model)


def _model(schema: Schema, model: Any) -> Iterator[str]:
    if identifier(schema, model) is None:
        yield "the model lacks the primary identifier"
        return
    problems = schema.problems(schema.coerce(model), in_part=True)
    if problems:
        yield f"the model does not fit the schema ({'; '.join(problems)})"


def context_bytes(answer: dict[str, Any]) -> int:
    """The size of the callback context as JSON."""
    context = answer.get("callbackContext")
    return len(json.dumps(context).encode()) if context else 0
