"""The call of Amazon Inspector that finds images in use; one request for each call of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

MOST_PER_SECOND = 5  # the limit of an account is not documented
RESOURCES_PER_PAGE = 200  # the most that ListCoverage answers


class Inspector(Protocol):
    """What is used of botocore's client of Inspector."""

    def list_coverage(self, **request: Any) -> Mapping[str, Any]: ...


def list_coverage(client: Inspector, account: str, repository: str, token: str) -> Mapping[str, Any]:
    """A page of what Inspector knows of a repository and its images.

    A delegated administrator sees the accounts of its organization, so the account is named. No filter asks for what is
    in use: an answer without any resource could then mean that Inspector does not look.
    """
    criteria = {
        "accountId": [{"comparison": "EQUALS", "value": account}],
        "ecrRepositoryName": [{"comparison": "EQUALS", "value": repository}],
    }
    page = {"nextToken": token} if token else {}
    return client.list_coverage(filterCriteria=criteria, maxResults=RESOURCES_PER_PAGE, **page)
