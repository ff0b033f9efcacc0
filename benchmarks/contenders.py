"""How others empty a repository: each as its users run it, with its own page size, described in our own code.

Each takes a boto3 client and the repository's name, and leaves the delete of the repository to its caller, as custom
resources leave it to CloudFormation. Only Python's own library is imported, so that a measured process holds no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_BATCH = 100
_LONGEST_ARGUMENT = 131_072  # bytes that Linux takes as one argument of a command, MAX_ARG_STRLEN


@dataclass(frozen=True)
class Contender:
    """``attempts`` is how often its SDK makes a request at most; ``force``, whether it deletes by force."""

    title: str
    what: str
    source: str
    empty: Callable[[ECRClient, str], object]
    attempts: int
    force: bool = False


def _tutorial(client: ECRClient, name: str) -> None:
    images = client.list_images(repositoryName=name)["imageIds"]
    if images:
        client.batch_delete_image(repositoryName=name, imageIds=images)


def _cdk(client: ECRClient, name: str) -> None:
    arn = client.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
    tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
    if {"Key": "aws-cdk:auto-delete-images", "Value": "true"} not in tags:
        return
    token: dict[str, Any] = {}
    while True:
        page = client.list_images(repositoryName=name, **token)
        tagged = [each for each in page["imageIds"] if "imageTag" in each]
        untagged = [each for each in page["imageIds"] if "imageTag" not in each]
        for images in (tagged, untagged):
            if images:
                client.batch_delete_image(repositoryName=name, imageIds=images)
        if "nextToken" not in page or not page["imageIds"]:
            return
        token = {"nextToken": page["nextToken"]}


def _list_all(client: ECRClient, name: str) -> list[Any]:
    pages = client.get_paginator("list_images").paginate(repositoryName=name)
    return [each for page in pages for each in page["imageIds"]]


def _in_hundreds(client: ECRClient, name: str) -> None:
    images = _list_all(client, name)
    for start in range(0, len(images), _BATCH):
        client.batch_delete_image(repositoryName=name, imageIds=images[start : start + _BATCH])


def _command_line(client: ECRClient, name: str) -> None:
    images = _list_all(client, name)
    if len(json.dumps(images, indent=4)) < _LONGEST_ARGUMENT:  # else the shell says: Argument list too long
        client.batch_delete_image(repositoryName=name, imageIds=images)


def _nothing(_client: ECRClient, _name: str) -> None:
    """The repository is deleted as it is."""


CONTENDERS: dict[str, Contender] = {
    "tutorial": Contender(
        "custom resource of tutorials",
        "Lists one page (100 rows), deletes it in one call, does not look at failures; CloudFormation then deletes the "
        "repository, without force.",
        "the function in demo/tutorial.yaml, which `make demo` runs",
        _tutorial,
        attempts=5,
    ),
    "cdk": Contender(
        "CDK autoDeleteImages",
        "Looks for its tag; for each page (100 rows) deletes the tagged rows in one call and the untagged ones in "
        "another, and does not look at failures; CloudFormation then deletes the repository, without force.",
        "aws-cdk, custom-resource-handlers/lib/aws-ecr/auto-delete-images-handler",
        _cdk,
        attempts=3,
    ),
    "hundreds": Contender(
        "list all, delete in hundreds",
        "Lists everything with boto3's paginator (100 rows a page), deletes the rows in hundreds, one call after the "
        "other, does not look at failures; then deletes the repository, without force.",
        "what scripts do that know of both limits",
        _in_hundreds,
        attempts=5,
    ),
    "cli": Contender(
        "AWS CLI, one pipeline",
        "`list-images --query 'imageIds[*]'`, which pages by itself, and all of it as `--image-ids` of one "
        "`batch-delete-image`, which ECR refuses from 101 rows on; then `delete-repository`.",
        "the two commands as they are pasted from answers and scripts; a test runs the AWS CLI itself",
        _command_line,
        attempts=5,
    ),
    "force": Contender(
        "DeleteRepository(force=true)",
        "One call; ECR removes the images. The floor: nothing is listed, checked or recorded, or can be refused.",
        "what AWS::ECR::Repository does with EmptyOnDelete: true",
        _nothing,
        attempts=5,
        force=True,
    ),
}
OURS = {f"ours-{size}": size for size in (1, 8, 16, 40)}
OUR_DEFAULT = "ours-40"


def title(contender: str) -> str:
    """What a contender is called in tables and plots."""
    if contender in OURS:
        return f"this type, up to {OURS[contender]} in flight"
    return CONTENDERS[contender].title


def run(contender: Contender, client: ECRClient, name: str) -> str | None:
    """Empty and delete a repository as a contender does it; the code of the first error, if any."""
    error = None
    try:
        contender.empty(client, name)
    except client.exceptions.ClientError as raised:
        error = raised.response["Error"]["Code"]
    try:
        client.delete_repository(repositoryName=name, force=contender.force)
    except client.exceptions.ClientError as raised:
        error = error or raised.response["Error"]["Code"]
    return error
