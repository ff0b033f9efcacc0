"""The registry's actions of CloudFormation's API: parameters in, the result's members out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.driver.workers import WorkerPool
from sandbox.registry.package import Package, PackageError
from sandbox.registry.types import DEFAULT_ALIAS, RegisteredType, Registration, Registry, RegistryError, TypeVersion

Result = dict[str, Any]
_PAGE = 100


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request in the query protocol: `Name`, `List.member.1.Name`, `Structure.Name`."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise RegistryError("ValidationError", f"{name} is required.")
        return value

    def under(self, prefix: str) -> Parameters:
        """The members of a structure."""
        start = f"{prefix}."
        return Parameters({key[len(start) :]: each for key, each in self.values.items() if key.startswith(start)})

    def members(self, name: str) -> list[Parameters]:
        """The members of a list of structures."""
        numbers = {int(key.split(".")[2]) for key in self.values if key.startswith(f"{name}.member.")}
        return [self.under(f"{name}.member.{number}") for number in sorted(numbers)]

    def page_of(self, items: list[Any]) -> tuple[list[Any], str | None]:
        start, size = int(self.get("NextToken") or 0), int(self.get("MaxResults") or _PAGE)
        end = start + size
        return items[start:end], str(end) if end < len(items) else None


class RegistryActions:
    """`handlers` maps the names of actions to methods. They raise RegistryError."""

    def __init__(
        self,
        registry: Registry,
        unpack: Callable[[str], Package],
        make_pool: Callable[[Package], WorkerPool],
        default_role: str,
    ) -> None:
        """`unpack` gets the s3:// address of a package; `make_pool` starts processes for it."""
        self._registry = registry
        self._unpack = unpack
        self._make_pool = make_pool
        self._default_role = default_role
        self.handlers: dict[str, Callable[[Parameters], Result]] = {
            "RegisterType": self.register_type,
            "DescribeTypeRegistration": self.describe_type_registration,
            "ListTypeRegistrations": self.list_type_registrations,
            "SetTypeDefaultVersion": self.set_type_default_version,
            "DescribeType": self.describe_type,
            "ListTypes": self.list_types,
            "ListTypeVersions": self.list_type_versions,
            "DeregisterType": self.deregister_type,
            "SetTypeConfiguration": self.set_type_configuration,
            "BatchDescribeTypeConfigurations": self.batch_describe_type_configurations,
        }

    def register_type(self, parameters: Parameters) -> Result:
        """Register before answering, because the CLI's waiter asks at once, and then only every 30 seconds.

        Until then other callers see the registration as IN_PROGRESS.
        """
        if parameters.get("Type") not in (None, "RESOURCE"):
            raise RegistryError("CFNRegistryException", "The sandbox registers resource types only.")
        name, token = parameters.need("TypeName"), str(uuid.uuid4())
        self._registry.registrations[token] = Registration(token, name, "IN_PROGRESS")
        try:
            self._register(name, parameters, token)
        except PackageError as error:
            self._registry.registrations[token] = Registration(token, name, "FAILED", str(error))
        except BaseException:
            del self._registry.registrations[token]
            raise
        return {"RegistrationToken": token}

    def _register(self, name: str, parameters: Parameters, token: str) -> None:
        """Raises PackageError."""
        package = self._unpack(parameters.need("SchemaHandlerPackage"))
        if package.schema["typeName"] != name:
            raise PackageError(f"The package is of {package.schema['typeName']}, not of {name}.")
        role = parameters.get("ExecutionRoleArn") or self._default_role
        logging = dict(parameters.under("LoggingConfig").values)
        self._registry.register(package, self._make_pool(package), role, logging, token)

    def describe_type_registration(self, parameters: Parameters) -> Result:
        token = parameters.need("RegistrationToken")
        found = self._registry.registrations.get(token)
        if found is None:
            raise RegistryError("CFNRegistryException", f"There is no registration {token}.")
        return {
            "ProgressStatus": found.status,
            "Description": found.description,
            "TypeArn": found.type_arn or None,
            "TypeVersionArn": found.version_arn or None,
        }

    def list_type_registrations(self, parameters: Parameters) -> Result:
        """The registrations of one type with the status that is asked for; by default those that are IN_PROGRESS."""
        asked = parameters.need("TypeName"), parameters.get("RegistrationStatusFilter") or "IN_PROGRESS"
        known = list(self._registry.registrations.values())
        tokens, more = parameters.page_of([each.token for each in known if (each.type_name, each.status) == asked])
        return {"RegistrationTokenList": tokens, "NextToken": more}

    def set_type_default_version(self, parameters: Parameters) -> Result:
        self._registry.set_default(self._version(parameters))
        return {}

    def describe_type(self, parameters: Parameters) -> Result:
        version = self._version(parameters)
        document = version.schema.document
        kind = version.owner
        configuration = version.schema.configuration
        return {
            **_common(kind),
            "Arn": version.arn if parameters.get("VersionId") else kind.arn,
            "DefaultVersionId": kind.default_id,
            "IsDefaultVersion": version is kind.default,
            "Description": document.get("description"),
            "Schema": json.dumps(document),
            "ProvisioningType": "FULLY_MUTABLE" if "update" in document.get("handlers", {}) else "IMMUTABLE",
            "DeprecatedStatus": "DEPRECATED" if version.deprecated else "LIVE",
            "LoggingConfig": version.logging or None,
            "ExecutionRoleArn": version.role_arn,
            "Visibility": "PRIVATE",
            "SourceUrl": document.get("sourceUrl"),
            "DocumentationUrl": document.get("documentationUrl"),
            "LastUpdated": version.created,
            "TimeCreated": version.created,
            "ConfigurationSchema": json.dumps(configuration) if configuration else None,
        }

    def list_types(self, parameters: Parameters) -> Result:
        """The private types: those of AWS and of third parties are not in the sandbox's registry."""
        prefix = parameters.under("Filters").get("TypeNamePrefix") or ""
        private = (parameters.get("Visibility") or "PRIVATE") == "PRIVATE"
        kinds = [kind for name, kind in sorted(self._registry.types.items()) if private and name.startswith(prefix)]
        page, more = parameters.page_of(kinds)
        return {"TypeSummaries": [_summary(kind) for kind in page], "NextToken": more}

    def list_type_versions(self, parameters: Parameters) -> Result:
        kind = self._registry.find(parameters.get("TypeName"), parameters.get("Arn"))
        deprecated = parameters.get("DeprecatedStatus") == "DEPRECATED"
        page, more = parameters.page_of([each for each in kind.versions.values() if each.deprecated is deprecated])
        summaries = [
            {
                **_common(kind),
                "VersionId": version.version,
                "IsDefaultVersion": version is kind.default,
                "Arn": version.arn,
                "TimeCreated": version.created,
                "Description": version.schema.document.get("description"),
            }
            for version in page
        ]
        return {"TypeVersionSummaries": summaries, "NextToken": more}

    def deregister_type(self, parameters: Parameters) -> Result:
        self._registry.deregister(parameters.get("TypeName"), parameters.get("Arn"), parameters.get("VersionId"))
        return {}

    def set_type_configuration(self, parameters: Parameters) -> Result:
        """The alias is required. It must be `default`, because handlers get no other configuration."""
        kind = self._registry.find(parameters.get("TypeName"), parameters.get("TypeArn"))
        alias = parameters.need("ConfigurationAlias")
        if alias != DEFAULT_ALIAS:
            raise RegistryError("ValidationError", f"The sandbox knows the alias {DEFAULT_ALIAS} only, not {alias}.")
        kind.configure(parameters.need("Configuration"))
        return {"ConfigurationArn": _configuration_arn(kind)}

    def batch_describe_type_configurations(self, parameters: Parameters) -> Result:
        errors, found = [], []
        for asked in parameters.members("TypeConfigurationIdentifiers"):
            try:
                found.append(self._configuration(asked))
            except RegistryError as error:
                problem = {"ErrorCode": error.code, "ErrorMessage": str(error)}
                errors.append({**problem, "TypeConfigurationIdentifier": dict(asked.values)})
        return {"Errors": errors, "UnprocessedTypeConfigurations": [], "TypeConfigurations": found}

    def _configuration(self, asked: Parameters) -> Result:
        arn = asked.get("TypeConfigurationArn")
        type_arn = arn.replace(":type-configuration/", ":type/").rsplit("/", 1)[0] if arn else asked.get("TypeArn")
        kind = self._registry.find(asked.get("TypeName"), type_arn)
        if kind.configuration is None:
            raise RegistryError("TypeConfigurationNotFoundException", f"{kind.name} has no type configuration set.")
        return {
            "Arn": _configuration_arn(kind),
            "Alias": DEFAULT_ALIAS,
            "Configuration": json.dumps(kind.configuration),
            "LastUpdated": kind.configured,
            "TypeArn": kind.arn,
            "TypeName": kind.name,
            "IsDefaultConfiguration": True,
        }

    def _version(self, parameters: Parameters) -> TypeVersion:
        asked = (parameters.get(name) for name in ("TypeName", "Arn", "VersionId"))
        return self._registry.find_version(*asked)


def _common(kind: RegisteredType) -> Result:
    return {"Type": "RESOURCE", "TypeName": kind.name}


def _summary(kind: RegisteredType) -> Result:
    return {
        **_common(kind),
        "DefaultVersionId": kind.default_id,
        "TypeArn": kind.arn,
        "LastUpdated": kind.default.created,
        "Description": kind.default.schema.document.get("description"),
    }


def _configuration_arn(kind: RegisteredType) -> str:
    return f"{kind.arn.replace(':type/', ':type-configuration/')}/{DEFAULT_ALIAS}"
