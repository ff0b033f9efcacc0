"""Amazon Inspector's coverage of repositories and their images, with the containers that it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sandbox.ecr import paging
from sandbox.ecr.errors import EcrError
from sandbox.workloads.service import Operation, Parameters, Workloads

LARGEST_PAGE = 200
DEFAULT_PAGE = 100
OFF = "Invoking account does not have access permissions"
_KEYS: dict[str, Callable[[Parameters], str]] = {
    "accountId": lambda resource: str(resource["accountId"]),
    "ecrRepositoryName": lambda resource: _repository(resource["resourceId"]),
    "resourceType": lambda resource: str(resource["resourceType"]),
    "scanStatusCode": lambda resource: str(resource["scanStatus"]["statusCode"]),
}


class StrictInspector(Workloads):
    """Covered resources. ``source`` gives all of them; by default those that were added."""

    action_prefix: ClassVar[str] = "inspector2"

    def __init__(self, *place: Any, **more: Any) -> None:
        super().__init__(*place, **more)
        self.resources: list[Parameters] = []
        self.source: Callable[[], list[Parameters]] = lambda: self.resources
        self.is_enabled: Callable[[], bool] = lambda: True
        self.quotas = {"*": self.quota(10, 10)}

    def operations(self) -> dict[str, Operation]:
        return {"ListCoverage": self._list_coverage}

    def cover(self, repository: str, *, scanned: bool = True, account: str | None = None) -> None:
        """Add a repository to the coverage. ``scanned`` is False if the scanning rules of the registry leave it out."""
        self.resources.append(self.repository(repository, scanned=scanned, account=account))

    def count(self, repository: str, digest: str, containers: int | None, account: str | None = None) -> None:
        """Count the containers of an image; None: Inspector says nothing of it."""
        self.resources.append(self.image(repository, digest, containers, account))

    def repository(self, name: str, *, scanned: bool = True, account: str | None = None) -> Parameters:
        """A repository as a covered resource."""
        return {
            "resourceType": "AWS_ECR_REPOSITORY",
            "resourceId": self._arn(name, account),
            "accountId": account or self.account,
            "scanType": "PACKAGE",
            "scanStatus": {"statusCode": "ACTIVE" if scanned else "INACTIVE", "reason": "SUCCESSFUL"},
            "resourceMetadata": {"ecrRepository": {"name": name, "scanFrequency": "CONTINUOUS_SCAN"}},
        }

    def image(self, name: str, digest: str, containers: int | None, account: str | None = None) -> Parameters:
        """An image as a covered resource."""
        count = {} if containers is None else {"inUseCount": containers}
        return {
            "resourceType": "AWS_ECR_CONTAINER_IMAGE",
            "resourceId": f"{self._arn(name, account)}/{digest}",
            "accountId": account or self.account,
            "scanType": "PACKAGE",
            "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"},
            "resourceMetadata": {"ecrImage": {"tags": [], **count}},
        }

    def _arn(self, name: str, account: str | None) -> str:
        return f"arn:aws:ecr:{self.region}:{account or self.account}:repository/{name}"

    def _list_coverage(self, parameters: Parameters) -> Parameters:
        if not self.is_enabled():
            raise EcrError("AccessDeniedException", OFF, 403)
        size = parameters.get("maxResults", DEFAULT_PAGE)
        if not 1 <= size <= LARGEST_PAGE:
            raise EcrError("ValidationException", "maxResults is not valid")
        criteria = parameters.get("filterCriteria", {})
        found = sorted(
            (each for each in self.source() if _fits(each, criteria)), key=lambda each: str(each["resourceId"])
        )
        scope = f"coverage {sorted(criteria)}"
        try:
            after = paging.place(scope, parameters)
        except EcrError as error:
            raise EcrError("ValidationException", "nextToken is not valid") from error
        rest = [each for each in found if after is None or each["resourceId"] > after]
        page, token = paging.cut(rest, size, scope, lambda each: str(each["resourceId"]))
        return {"coveredResources": page, **({"nextToken": token} if token else {})}


def _fits(resource: Parameters, criteria: dict[str, list[dict[str, str]]]) -> bool:
    for key, tests in criteria.items():
        if key not in _KEYS:
            raise EcrError("ValidationException", f"The filter {key} is not known here.")
        value = _KEYS[key](resource)
        if not any((each["value"] == value) is (each["comparison"] == "EQUALS") for each in tests):
            return False
    return True


def _repository(arn: str) -> str:
    return arn.partition(":repository/")[2].partition("/sha256:")[0]
