"""The calls of Lambda that find images in use: one function for each, one request for each call of it.

Lambda allows an account 15 requests a second for its control plane, and 100 of GetFunction; deployments need them, too:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from .errors import service_code

MOST_LISTS_PER_SECOND = 5  # a third of what the account has
MOST_GETS_PER_SECOND = 25  # a quarter


class Lambda(Protocol):
    """What is used of botocore's client of Lambda."""

    def list_functions(self, **request: Any) -> Mapping[str, Any]: ...

    def get_function(self, **request: Any) -> Mapping[str, Any]: ...


def list_functions(client: Lambda, marker: str) -> Mapping[str, Any]:
    """A page of functions with all their published versions; Lambda decides how many it has (up to 50)."""
    return client.list_functions(FunctionVersion="ALL", **({"Marker": marker} if marker else {}))


def get_code(client: Lambda, function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the code of a function's version is; nothing if the version is gone."""
    try:
        version = function.get("Version", "$LATEST")
        code: Mapping[str, Any] = client.get_function(FunctionName=function["FunctionName"], Qualifier=version)["Code"]
    except ClientError as error:
        if service_code(error) == "ResourceNotFoundException":
            return {}
        raise
    return code
