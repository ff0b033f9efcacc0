"""Types that are registered from a template: AWS::CloudFormation::ResourceVersion and ResourceDefaultVersion.

They do what the service's own handlers do, by the registry's actions:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-resourceversion.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.driver.failures import HandlerError
from sandbox.driver.operations import Created
from sandbox.gateway import ministack
from sandbox.registry.actions import Parameters, RegistryActions
from sandbox.registry.types import Registry, RegistryError, TypeVersion

VERSION = "AWS::CloudFormation::ResourceVersion"
DEFAULT_VERSION = "AWS::CloudFormation::ResourceDefaultVersion"

Properties = dict[str, Any]
_Result = TypeVar("_Result")
_ALL_CREATE_ONLY = ("TypeName", "SchemaHandlerPackage", "ExecutionRoleArn", "LoggingConfig")


def install(registry_here: Callable[[], Registry], actions_here: Callable[[], RegistryActions]) -> None:
    """Add the two types to the stack engine."""
    version = VersionResource(registry_here, actions_here)
    default = DefaultVersionResource(registry_here)
    for name, resource, create_only in ((VERSION, version, _ALL_CREATE_ONLY), (DEFAULT_VERSION, default, ())):
        handlers = {
            "create": resource.create,
            "update": resource.update,
            "update_with_logical_id": True,
            "delete": resource.delete,
        }
        drift = (resource.read_for_drift, frozenset[str]())
        ministack.add_resource_type(name, handlers, create_only, drift, takes_tags=False)


class VersionResource:
    """A version of a type. Each property is create-only: a change registers another version."""

    def __init__(self, registry_here: Callable[[], Registry], actions_here: Callable[[], RegistryActions]) -> None:
        self._registry = registry_here
        self._actions = actions_here

    def create(self, _logical_id: str, properties: Properties, _stack_name: str) -> Created:
        flat = {name: str(each) for name, each in properties.items() if not isinstance(each, dict)}
        logging = {f"LoggingConfig.{name}": each for name, each in properties.get("LoggingConfig", {}).items()}
        answer = _with_handler_errors(lambda: self._actions().register_type(Parameters({**flat, **logging})))
        registration = self._registry().registrations[answer["RegistrationToken"]]
        if registration.status == "FAILED":
            raise _failure("GeneralServiceException", registration.description)
        return _attributes(self._registry().find_version(None, registration.version_arn, None))

    def update(self, arn: str, *_: Any) -> Created:
        raise _failure("NotUpdatable", f"{arn} can't be updated.")

    def delete(self, arn: str, _properties: Properties) -> None:
        """Deregister the version; if it is the default, the type, which must have no other version."""
        registry = self._registry()
        if not self.read_for_drift(arn, {}):
            return
        version = registry.find_version(None, arn, None)
        if version is version.owner.default:
            _with_handler_errors(lambda: registry.deregister(version.owner.name, None, None))
        else:
            _with_handler_errors(lambda: registry.deregister(None, arn, None))

    def read_for_drift(self, arn: str, _properties: Properties) -> Properties | None:
        try:
            return {"Arn": self._registry().find_version(None, arn, None).arn}
        except RegistryError:
            return None


class DefaultVersionResource:
    """Which version of a type is the default. Its delete does nothing: there must always be one."""

    def __init__(self, registry_here: Callable[[], Registry]) -> None:
        self._registry = registry_here

    def create(self, _logical_id: str, properties: Properties, _stack_name: str) -> Created:
        registry = self._registry()
        asked = (properties.get(name) for name in ("TypeName", "TypeVersionArn", "VersionId"))
        version = _with_handler_errors(lambda: registry.find_version(*asked))
        _with_handler_errors(lambda: registry.set_default(version))
        return version.owner.arn, {"Arn": version.owner.arn}

    def update(self, _arn: str, _previous: Properties, desired: Properties, stack_name: str, logical: str) -> Created:
        return self.create(logical, desired, stack_name)

    def delete(self, _arn: str, _properties: Properties) -> None:
        pass

    def read_for_drift(self, arn: str, _properties: Properties) -> Properties | None:
        try:
            return {"Arn": self._registry().find(None, arn).arn}
        except RegistryError:
            return None


def _attributes(version: TypeVersion) -> Created:
    return version.arn, {
        "Arn": version.arn,
        "TypeArn": version.owner.arn,
        "VersionId": version.version,
        "IsDefaultVersion": version is version.owner.default,
        "ProvisioningType": "FULLY_MUTABLE",
        "Visibility": "PRIVATE",
    }


def _with_handler_errors(call: Callable[[], _Result]) -> _Result:
    """The result of `call`. An error of the registry is raised as HandlerError."""
    try:
        return call()
    except RegistryError as error:
        raise _failure("GeneralServiceException", str(error)) from error


def _failure(code: str, message: str) -> HandlerError:
    return HandlerError(code, message, str(uuid.uuid4()))
