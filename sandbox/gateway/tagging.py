"""The tagging API (resourcegroupstaggingapi) for repositories of the strict ECR, and pages for all that it finds."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from sandbox.ecr import EcrError
from sandbox.gateway import ministack
from sandbox.gateway.images import Registries

DEFAULT_PAGE, LARGEST_PAGE = 50, 100

Tag = dict[str, str]


def install(registries: Registries) -> None:
    """Let GetResources, TagResources and UntagResources work on the strict ECR's repositories."""

    def tagged() -> Iterator[tuple[str, list[Tag]]]:
        """All repositories that have tags: the API knows no others."""
        registry = registries.here()
        for repository in list(registry.repositories.values()):
            tags = registry.lateness.tags(repository)
            if tags:
                yield repository.arn, [{"Key": key, "Value": value} for key, value in tags.items()]

    def change(operation: str, arn: str, **asked: Any) -> None:
        try:
            registries.here().call(operation, {"resourceArn": arn, **asked})
        except EcrError as error:
            missing = error.code == "RepositoryNotFoundException"
            raise ministack.tagging_failure(arn if missing else error.message, missing) from error

    def tag(arn: str, tags: dict[str, str]) -> None:
        change("TagResource", arn, tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def untag(arn: str, keys: list[str]) -> None:
        change("UntagResource", arn, tagKeys=keys)

    ministack.replace_tagging_of_ecr(tagged, tag, untag)
    ministack.page_resources(_page)


def _page(asked: dict[str, Any], found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """A page of what GetResources found, in the order of the ARNs, and the token of the next one. Raises ValueError.

    A token names the last resource that was shown, so that it survives changes.
    """
    size = asked.get("ResourcesPerPage", DEFAULT_PAGE)
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"ResourcesPerPage can be 1 to {LARGEST_PAGE}, not {size}")
    after = _after(asked.get("PaginationToken") or "")
    rest = sorted((each for each in found if each["ResourceARN"] > after), key=lambda each: str(each["ResourceARN"]))
    page = rest[:size]
    return page, base64.urlsafe_b64encode(page[-1]["ResourceARN"].encode()).decode() if len(rest) > size else ""


def _after(token: str) -> str:
    try:
        arn = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        arn = "none"
    if token and not arn.startswith("arn:"):
        raise ValueError("The PaginationToken is not one that GetResources answered")
    return arn
