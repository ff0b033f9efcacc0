"""The stack engine's side of registered types: its calls become operations of the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.driver import operations
from sandbox.driver.failures import HandlerError
from sandbox.driver.model import identifier
from sandbox.driver.operation import Operation
from sandbox.driver.operations import Created
from sandbox.driver.request import Caller
from sandbox.driver.schema import find
from sandbox.gateway import ministack
from sandbox.gateway.cloud import Cloud
from sandbox.registry.types import RegistryError, TypeVersion

_RESERVED = "aws:cloudformation:"
_REPLACES = "Requested update requires the creation of a new physical resource; hence creating one."

Properties = dict[str, Any]


class StackType:
    """One registered type, as the stack engine calls it."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._cloud = cloud
        self._name = name
        self._imported: dict[str, Created | Exception] = {}

    def install(self) -> None:
        """Make the type known to the stack engine, or take it away where no version is left."""
        versions = self._cloud.versions(self._name)
        if not versions:
            ministack.remove_resource_type(self._name)
            return
        schema = versions[-1].schema
        ministack.add_resource_type(
            self._name,
            {
                "create": self.create,
                "update": self.update,
                "update_with_logical_id": True,
                "delete": self.delete,
                "delete_with_logical_id": True,
                "import": self.adopt,
            },
            tuple(path[0] for path in schema.create_only),
            (self.read_for_drift, frozenset(schema.document["properties"])),
            self.prepare_import,
            schema.has_tags,
            tuple(path[0] for path in schema.conditional_create_only),
        )

    def create(self, logical_id: str, given: Properties, stack_name: str) -> Created:
        properties, tags = _split(given)
        stack_id = ministack.stack_by_name(stack_name).get("StackId")
        return operations.create(self._operation(stack_id, logical_id, tags), properties)

    def update(
        self, physical_id: str, previous: Properties, desired: Properties, stack_name: str, logical_id: str
    ) -> Created:
        before, tags_before = _split(previous)
        after, tags = _split(desired)
        stack_id = ministack.stack_by_name(stack_name).get("StackId")
        operation = self._operation(stack_id, logical_id, tags, tags_before)
        try:
            return operations.update(operation, physical_id, before, after)
        except HandlerError as error:
            if error.code != "NotUpdatable" or not self._may_replace(before, after):
                raise
        resource = (logical_id, self._name, physical_id)
        ministack.add_event(ministack.stack_by_name(stack_name), resource, "UPDATE_IN_PROGRESS", _REPLACES)
        return operations.create(self._operation(stack_id, logical_id, tags), after)

    def _may_replace(self, before: Properties, after: Properties) -> bool:
        """Whether a property changes that is create-only under conditions. If so, NotUpdatable means: replace it."""
        paths = self._version().schema.conditional_create_only
        return any(find(before, path) != find(after, path) for path in paths)

    def delete(self, physical_id: str, properties: Properties, logical_id: str) -> None:
        stack = ministack.stack_of(physical_id, logical_id)
        tags = ministack.stack_tags(stack)
        operations.delete(self._operation(stack.get("StackId"), logical_id, tags), physical_id, properties)

    def prepare_import(
        self, identifiers: dict[str, str], stack: dict[str, Any], logical_id: str, properties: Callable[[], Properties]
    ) -> Created | None:
        """Import a resource by READ and UPDATE; None if that failed. `adopt` then raises the error."""
        physical_id = str(identifier(self._version().schema, identifiers))
        operation = self._operation(stack["StackId"], logical_id, ministack.stack_tags(stack), {})
        try:
            imported = operations.adopt(operation, physical_id, properties())
        except Exception as error:  # `adopt` raises it, where the engine expects it
            self._imported[physical_id] = error
            return None
        self._imported[physical_id] = imported
        return imported

    def adopt(self, identifiers: dict[str, str]) -> Created:
        """The resource that `prepare_import` has imported. Raises the error if that failed."""
        physical_id = str(identifier(self._version().schema, identifiers))
        outcome = self._imported.pop(physical_id, None)
        if outcome is None:
            raise ValueError(f"The sandbox imports {physical_id} by a change set of the type IMPORT only.")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def read_for_drift(self, physical_id: str, properties: Properties) -> Properties | None:
        """The live properties, without the stack's own tags; None where the resource is gone."""
        stack = ministack.stack_of(physical_id, None)
        try:
            model = operations.read(self._operation(stack.get("StackId"), None, {}), physical_id)
        except HandlerError as error:
            if error.code == "NotFound":
                return None
            raise
        return _without_stack_tags(model, properties, ministack.stack_tags(stack))

    def _version(self) -> TypeVersion:
        return self._cloud.registry_here().find(self._name, None).default

    def _operation(
        self,
        stack_id: str | None,
        logical_id: str | None,
        tags: Mapping[str, str],
        tags_before: Mapping[str, str] | None = None,
    ) -> Operation:
        place = ministack.get_account_id(), ministack.get_region()
        try:
            version = self._version()
        except RegistryError as error:
            raise ValueError(f"{self._name} is not registered in {place[1]} for {place[0]}.") from error
        return Operation(self._cloud.driver, version, Caller(*place, stack_id, logical_id, tags, tags_before))


def _split(given: Properties) -> tuple[Properties, dict[str, str]]:
    """The template's properties, and the stack's tags."""
    properties = {name: value for name, value in given.items() if name != ministack.STACK_TAGS}
    tags = given.get(ministack.STACK_TAGS, {})
    return properties, {key: value for key, value in tags.items() if not key.startswith(_RESERVED)}


def _without_stack_tags(model: Properties, template: Properties, stack_tags: Mapping[str, str]) -> Properties:
    """Tags that the stack added are no drift, unless the template has them, too."""
    own = {tag["Key"] for tag in template.get("Tags") or [] if isinstance(tag, dict) and "Key" in tag}
    tags = model.get("Tags")
    if not isinstance(tags, list):
        return model
    added = {key: value for key, value in stack_tags.items() if key not in own}
    return {**model, "Tags": [tag for tag in tags if added.get(tag["Key"]) != tag["Value"]]}
