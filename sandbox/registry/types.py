"""The types of an account and Region, their versions and configurations."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft7Validator

from sandbox.driver.schema import Schema
from sandbox.driver.workers import WorkerPool
from sandbox.registry.package import Package

DEFAULT_ALIAS = "default"  # of type configurations
_NAME = re.compile(r"[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}(::MODULE)?")


class RegistryError(Exception):
    """A request is refused; `code` is the API's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class TypeVersion:
    """One version of a type: what the driver calls (see sandbox.driver.request.Handlers)."""

    owner: RegisteredType = field(repr=False)
    version: str
    schema: Schema
    package: Package
    pool: WorkerPool
    role_arn: str
    logging: dict[str, str]
    created: datetime
    deprecated: bool = False

    @property
    def arn(self) -> str:
        return f"{self.owner.arn}/{self.version}"

    @property
    def log_group(self) -> str | None:
        return self.logging.get("LogGroupName")

    def configuration(self) -> dict[str, Any] | None:
        return self.owner.configuration

    def start(self, event: dict[str, Any], seconds: float) -> Future[dict[str, Any]]:
        return self.pool.start(event, seconds)


@dataclass
class RegisteredType:
    """A type with all its versions; the default one runs."""

    name: str
    account: str
    region: str
    versions: dict[str, TypeVersion] = field(default_factory=dict)
    default_id: str = ""
    configuration: dict[str, Any] | None = None
    configured: datetime | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account}:type/resource/{self.name.replace('::', '-')}"

    @property
    def default(self) -> TypeVersion:
        return self.versions[self.default_id]

    @property
    def live(self) -> list[TypeVersion]:
        return [each for each in self.versions.values() if not each.deprecated]

    def configure(self, text: str) -> None:
        """Set the type configuration. Raises RegistryError where its schema does not allow it."""
        rules = self.default.schema.configuration
        try:
            configuration = json.loads(text)
        except json.JSONDecodeError as error:
            raise RegistryError("ValidationError", f"The configuration is not JSON: {error}") from error
        if rules is None:
            raise RegistryError("CFNRegistryException", f"{self.name} has no type configuration.")
        definitions = self.default.schema.document.get("definitions", {})
        for wrong in Draft7Validator({**rules, "definitions": definitions}).iter_errors(configuration):
            place = "/".join(map(str, wrong.absolute_path))
            raise RegistryError("ValidationError", f"The configuration does not fit: #/{place}: {wrong.message}")
        self.configuration, self.configured = configuration, datetime.now(UTC)


@dataclass(frozen=True)
class Registration:
    """A request to register, and how it ended."""

    token: str
    type_name: str
    status: str
    description: str = ""
    type_arn: str = ""
    version_arn: str = ""


class Registry:
    """The registry of one account and Region. `changed` gets the name of each type that is new, changed or removed."""

    def __init__(self, account: str, region: str, changed: Callable[[str], None]) -> None:
        self.account = account
        self.region = region
        self.types: dict[str, RegisteredType] = {}
        self.registrations: dict[str, Registration] = {}
        self._changed = changed
        self._lock = threading.Lock()

    def register(
        self, package: Package, pool: WorkerPool, role_arn: str, logging: dict[str, str], token: str
    ) -> Registration:
        """Add a version; the first of a type becomes the default."""
        name = package.schema["typeName"]
        if not _NAME.fullmatch(name):
            raise RegistryError("ValidationError", f"{name} is not a type name.")
        with self._lock:
            kind = self.types.setdefault(name, RegisteredType(name, self.account, self.region))
            number = f"{len(kind.versions) + 1:08}"
            schema, now = Schema(package.schema), datetime.now(UTC)
            version = TypeVersion(kind, number, schema, package, pool, role_arn, logging, now)
            kind.versions[number] = version
            kind.default_id = kind.default_id or number
            registration = Registration(token, name, "COMPLETE", "Deployment is complete.", kind.arn, version.arn)
            self.registrations[token] = registration
        self._changed(name)
        return registration

    def find(self, name: str | None, arn: str | None) -> RegisteredType:
        """A type by name or ARN. Raises RegistryError where there is none."""
        for kind in self.types.values():
            if kind.name == name or (arn is not None and arn in (kind.arn, *(each.arn for each in kind.live))):
                return kind
        raise RegistryError("TypeNotFoundException", f"The type '{name or arn}' cannot be found.")

    def find_version(self, name: str | None, arn: str | None, number: str | None) -> TypeVersion:
        """A version by its number or ARN; the default one where neither names one."""
        kind = self.find(name, arn)
        for version in kind.versions.values():
            if arn == version.arn or (number is not None and number == version.version):
                return version
        if number is not None:
            raise RegistryError("TypeNotFoundException", f"The type '{kind.name}' has no version {number}.")
        return kind.default

    def set_default(self, version: TypeVersion) -> None:
        if version.deprecated:
            raise RegistryError("CFNRegistryException", f"Version {version.version} is deregistered.")
        version.owner.default_id = version.version
        self._changed(version.owner.name)

    def deregister(self, name: str | None, arn: str | None, number: str | None) -> None:
        """Deregister a version. Remove the whole type if the version is the last one, or if no version is named."""
        kind = self.find(name, arn)
        names_version = number is not None or arn not in (None, kind.arn)
        if names_version and len(kind.live) > 1:
            version = self.find_version(name, arn, number)
            if version is kind.default:
                raise RegistryError("CFNRegistryException", "This is the default version: set another first.")
            version.deprecated = True
            version.pool.close()
            return
        if not names_version and len(kind.live) > 1:
            raise RegistryError("CFNRegistryException", "Deregister the other versions first.")
        del self.types[kind.name]
        self._changed(kind.name)
        self._close(kind)

    def close(self) -> None:
        """Stop the processes of all types."""
        for kind in self.types.values():
            self._close(kind)

    @staticmethod
    def _close(kind: RegisteredType) -> None:
        for version in kind.versions.values():
            version.pool.close()
