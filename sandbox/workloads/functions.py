"""Lambda, as far as it tells which images functions use: pages of 50, one more call for each image, and its quotas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from sandbox.ecr import paging
from sandbox.ecr.errors import EcrError
from sandbox.workloads.service import Operation, Parameters, Workloads

LARGEST_PAGE = 50  # of ListFunctions, "even if you set the number higher" (Lambda's API page)
LATEST = "$LATEST"


@dataclass(frozen=True)
class FunctionVersion:
    """A version of a function; without ``image_uri`` it is made from a zip. ``resolved`` is the URI with the digest."""

    name: str
    version: str = LATEST
    image_uri: str | None = None
    resolved: str | None = None


class StrictLambda(Workloads):
    """Functions. ``source`` gives all versions of them; by default those that were added."""

    action_prefix: ClassVar[str] = "lambda"

    def __init__(self, *place: Any, **more: Any) -> None:
        super().__init__(*place, **more)
        self.functions: list[FunctionVersion] = []
        self.source: Callable[[], list[FunctionVersion]] = lambda: self.functions
        self.quotas = {"GetFunction": self.quota(100, 100), "*": self.quota(15, 15)}

    def operations(self) -> dict[str, Operation]:
        return {"ListFunctions": self._list_functions, "GetFunction": self._get_function}

    def add(self, name: str, image_uri: str | None = None, resolved: str | None = None, version: str = LATEST) -> None:
        """One more version of a function."""
        self.functions.append(FunctionVersion(name, version, image_uri, resolved))

    def _list_functions(self, parameters: Parameters) -> Parameters:
        which, size = parameters.get("FunctionVersion"), int(parameters.get("MaxItems", LARGEST_PAGE))
        if which not in (None, "ALL") or not 1 <= size <= 10_000:
            raise _invalid("1 validation error detected")
        listed = sorted((each for each in self.source() if which or each.version == LATEST), key=_order)
        scope = f"functions {which}"
        try:
            after = paging.place(scope, {"nextToken": parameters["Marker"]} if parameters.get("Marker") else {})
        except EcrError as error:
            raise _invalid("Invalid Marker") from error
        rest = [each for each in listed if after is None or _place(each) > after]
        page, token = paging.cut(rest, min(size, LARGEST_PAGE), scope, _place)
        return {"Functions": [self._configuration(each) for each in page], "NextMarker": token}

    def _get_function(self, parameters: Parameters) -> Parameters:
        name, version = parameters["FunctionName"], parameters.get("Qualifier", LATEST)
        found = next((each for each in self.source() if (each.name, each.version) == (name, version)), None)
        if found is None:
            arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}:{version}"
            raise EcrError("ResourceNotFoundException", f"Function not found: {arn}", 404)
        if found.image_uri is None:
            return {
                "Configuration": self._configuration(found),
                "Code": {"RepositoryType": "S3", "Location": "https://"},
            }
        uris = {"ImageUri": found.image_uri, "ResolvedImageUri": found.resolved or found.image_uri}
        return {"Configuration": self._configuration(found), "Code": {"RepositoryType": "ECR", **uris}}

    def _configuration(self, function: FunctionVersion) -> Parameters:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{function.name}"
        return {
            "FunctionName": function.name,
            "FunctionArn": f"{arn}:{function.version}",
            "Version": function.version,
            "PackageType": "Image" if function.image_uri else "Zip",
        }


def _place(function: FunctionVersion) -> str:
    return f"{function.name}:{function.version:>12}"


def _order(function: FunctionVersion) -> str:
    return _place(function)


def _invalid(message: str) -> EcrError:
    return EcrError("InvalidParameterValueException", message)
