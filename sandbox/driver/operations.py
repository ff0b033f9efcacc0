"""Create, read, update, delete and list, each with what CloudFormation does around the handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.driver.failures import HandlerError, InvalidPropertiesError, OperationError
from sandbox.driver.model import attributes, identifier, identifier_model, with_identifier
from sandbox.driver.operation import Operation
from sandbox.driver.request import Json

Created = tuple[str, dict[str, Any]]  # the physical id, and the attributes for Fn::GetAtt


def checked(operation: Operation, properties: Mapping[str, Any]) -> Json:
    """The properties, with primitives as the schema has them. Raises InvalidPropertiesError."""
    schema = operation.handlers.schema
    coerced = schema.coerce(properties)
    problems = schema.problems(coerced)
    read_only = schema.given_read_only(coerced)
    if read_only:
        problems.append(f"#: read-only properties [{', '.join(read_only)}] can't be given")
    if problems:
        found = problems if len(problems) == 1 else [f"#: {len(problems)} schema violations found", *problems]
        raise InvalidPropertiesError(operation.caller.name, "\n".join(found))
    return coerced


def create(operation: Operation, properties: Mapping[str, Any]) -> Created:
    """Create, then read the attributes. If the create fails, delete the resource that its answers identified."""
    desired = checked(operation, properties)
    try:
        answer = operation.run("CREATE", desired)
    except HandlerError as failure:
        _roll_back(operation, desired, failure)
        raise
    model: Json = answer["resourceModel"]
    return str(identifier(operation.handlers.schema, model)), attributes_of(operation, model)


def _roll_back(operation: Operation, desired: Json, failure: HandlerError) -> None:
    """Delete what a failed create made. A setting also deletes after AlreadyExists, which a user has reported."""
    schema = operation.handlers.schema
    made = identifier(schema, failure.model)
    if made is None and failure.code == "AlreadyExists" and operation.driver.settings.delete_after_already_exists:
        made = identifier(schema, desired)
    if made is None:
        return
    again = Operation(operation.driver, operation.handlers, operation.caller)
    try:
        delete(again, made, desired)
    except OperationError as second:
        reason = f"{failure} The clean-up of {made} failed, too: {second}"
        raise OperationError(reason, failure.code, failure.message) from second


def update(
    operation: Operation, physical_id: str, previous: Mapping[str, Any] | None, desired: Mapping[str, Any]
) -> Created:
    """Update in place, then read for the attributes. `previous` can be missing in an import."""
    schema = operation.handlers.schema
    before = None if previous is None else with_identifier(schema, schema.coerce(previous), physical_id)
    after = with_identifier(schema, checked(operation, desired), physical_id)
    answer = operation.run("UPDATE", after, before)
    return physical_id, attributes_of(operation, answer["resourceModel"])


def adopt(operation: Operation, physical_id: str, desired: Mapping[str, Any]) -> Created:
    """Import what exists: READ, then UPDATE to the template's properties.

    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1497 reports the UPDATE.
    """
    model = read(operation, physical_id)
    previous = {"template": desired, "read": model, "nothing": None}[operation.driver.settings.import_previous]
    again = Operation(operation.driver, operation.handlers, operation.caller)
    return update(again, physical_id, previous, desired)


def delete(operation: Operation, physical_id: str, properties: Mapping[str, Any]) -> None:
    """Delete. What is not there any more counts as deleted."""
    schema = operation.handlers.schema
    model = with_identifier(schema, schema.coerce(properties), physical_id)
    operation.driver.before_delete(operation.caller, physical_id)
    try:
        operation.run("DELETE", model)
    except HandlerError as failure:
        if failure.code != "NotFound":
            raise


def read(operation: Operation, physical_id: str) -> Json:
    """The model that Read returns for an identifier."""
    answer = operation.run("READ", identifier_model(operation.handlers.schema, physical_id))
    model: Json = answer["resourceModel"]
    return model


def attributes_of(operation: Operation, model: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of the resource that `model` identifies, as Read returns them."""
    schema = operation.handlers.schema
    return attributes(schema, read(operation, str(identifier(schema, model))))


def list_page(operation: Operation, next_token: str | None, properties: Json | None = None) -> Json:
    """One page: `resourceModels`, and `nextToken` where there are more."""
    return operation.run("LIST", properties, next_token=next_token)
