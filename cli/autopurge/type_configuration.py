"""The type configuration: an administrator's rules for all repositories of an account and Region."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from awstut_ecr_autopurgerepository.rules.account import AccountRules, account_rules

from .aws import Aws
from .failures import Failure
from .repositories import TYPE_NAME

_ALIAS = "default"  # handlers get the configuration of this alias only
_NONE_SET = frozenset({"TypeConfigurationNotFoundException", "TypeConfigurationNotFound"})
_NOT_REGISTERED = frozenset({"TypeNotFoundException", "TypeNotFound"})


def read(aws: Aws) -> dict[str, Any]:
    """The type configuration; empty where none is set, or where the type is not registered. One call.

    Raises Failure where CloudFormation does not tell it, because nobody knows then what the account forbids.
    """
    answer = aws.cloudformation.batch_describe_type_configurations(
        TypeConfigurationIdentifiers=[
            {"Type": "RESOURCE", "TypeName": TYPE_NAME, "TypeConfigurationAlias": _ALIAS},
        ]
    )
    for found in answer.get("TypeConfigurations", []):
        configuration: dict[str, Any] = json.loads(found.get("Configuration") or "{}")
        return configuration
    for error in answer.get("Errors", []):
        if error.get("ErrorCode") not in _NONE_SET | _NOT_REGISTERED:
            raise Failure(f"The type configuration could not be read: {error.get('ErrorMessage')}")
    return {}


def write(aws: Aws, configuration: Mapping[str, Any]) -> None:
    """Replace the type configuration as a whole: there is no call that changes a part of it."""
    aws.cloudformation.set_type_configuration(
        Type="RESOURCE",
        TypeName=TYPE_NAME,
        ConfigurationAlias=_ALIAS,
        Configuration=json.dumps(configuration),
    )


def rules_of(configuration: Mapping[str, Any]) -> AccountRules:
    """The rules in a type configuration. Raises Failure for one that the handlers refuse, too."""
    try:
        return account_rules(configuration)
    except ValueError as error:
        raise Failure(f"The type configuration is not valid, so every delete fails: {error}") from error
