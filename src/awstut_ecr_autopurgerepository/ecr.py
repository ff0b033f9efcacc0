"""The calls of ECR: one function for each, one request for each call of it.

These functions decide nothing and repeat nothing. They raise what botocore raises, with two exceptions: the functions
that get one repository, image or policy return None if it does not exist, and the delete of a missing policy succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .errors import service_code

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import (
        BatchDeleteImageResponseTypeDef,
        DescribeImagesResponseTypeDef,
        DescribeRepositoriesResponseTypeDef,
        ImageDetailTypeDef,
        RepositoryTypeDef,
    )

IMAGES_PER_PAGE = 1_000  # the most that DescribeImages answers
IMAGES_PER_BATCH = 100  # the most that BatchDeleteImage takes
REPOSITORIES_PER_PAGE = 1_000  # the most that DescribeRepositories answers


def create_repository(ecr: ECRClient, request: Mapping[str, Any]) -> RepositoryTypeDef:
    """Create a repository. Returns its description."""
    return ecr.create_repository(**request)["repository"]


def describe_repository(ecr: ECRClient, name: str) -> RepositoryTypeDef | None:
    """The description of a repository, or None if it doesn't exist."""
    try:
        return ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ClientError as error:
        if service_code(error) == "RepositoryNotFoundException":
            return None
        raise


def describe_repositories(ecr: ECRClient, token: str | None) -> DescribeRepositoriesResponseTypeDef:
    """A page of the Region's repositories."""
    page: dict[str, Any] = {"nextToken": token} if token else {}
    return ecr.describe_repositories(maxResults=REPOSITORIES_PER_PAGE, **page)


def delete_repository(ecr: ECRClient, name: str) -> None:
    """Delete an empty repository. Never by force."""
    ecr.delete_repository(repositoryName=name)


def describe_registry(ecr: ECRClient) -> Mapping[str, Any]:
    """The registry of the account and Region, with its replication configuration."""
    return ecr.describe_registry()


def list_tags(ecr: ECRClient, arn: str) -> dict[str, str]:
    """All tags of a repository."""
    return {tag["Key"]: tag.get("Value", "") for tag in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}


def tag_repository(ecr: ECRClient, arn: str, tags: Mapping[str, str]) -> None:
    """Add tags, or change their values."""
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value} for key, value in tags.items()])


def untag_repository(ecr: ECRClient, arn: str, keys: Iterable[str]) -> None:
    """Remove tags."""
    ecr.untag_resource(resourceArn=arn, tagKeys=list(keys))


def describe_images(ecr: ECRClient, name: str, token: str | None, status: str = "ANY") -> DescribeImagesResponseTypeDef:
    """A page of images of a status; ANY: active, archived, being restored."""
    page: dict[str, Any] = {"filter": {"imageStatus": status}} | ({"nextToken": token} if token is not None else {})
    return ecr.describe_images(repositoryName=name, maxResults=IMAGES_PER_PAGE, **page)


def describe_image(ecr: ECRClient, name: str, image_id: Mapping[str, str]) -> ImageDetailTypeDef | None:
    """The image of any status with a digest, or with a tag; None if the repository has no such image."""
    asked: Any = [image_id]
    try:
        found = ecr.describe_images(repositoryName=name, imageIds=asked, filter={"imageStatus": "ANY"})["imageDetails"]
    except ClientError as error:
        if service_code(error) == "ImageNotFoundException":
            return None
        raise
    return found[0] if found else None


def delete_images(ecr: ECRClient, name: str, digests: list[str]) -> BatchDeleteImageResponseTypeDef:
    """Delete up to IMAGES_PER_BATCH images, with all their tags."""
    return ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": digest} for digest in digests])


def get_policy(ecr: ECRClient, name: str) -> str | None:
    """The repository policy as JSON, or None if there is none."""
    try:
        return ecr.get_repository_policy(repositoryName=name)["policyText"]
    except ClientError as error:
        if service_code(error) == "RepositoryPolicyNotFoundException":
            return None
        raise


def put_policy(ecr: ECRClient, name: str, policy: str) -> str:
    """Replace the repository policy. Returns it as ECR has it now."""
    return ecr.set_repository_policy(repositoryName=name, policyText=policy)["policyText"]


def delete_policy(ecr: ECRClient, name: str) -> None:
    """Delete the repository policy. None to delete is fine."""
    try:
        ecr.delete_repository_policy(repositoryName=name)
    except ClientError as error:
        if service_code(error) != "RepositoryPolicyNotFoundException":
            raise


def replace_policy(ecr: ECRClient, name: str, policy: str | None) -> None:
    """Make this the repository policy; None means that there is none."""
    if policy is None:
        delete_policy(ecr, name)
    else:
        put_policy(ecr, name, policy)


def get_lifecycle_policy(ecr: ECRClient, name: str) -> str | None:
    """The lifecycle policy as JSON, or None if there is none."""
    try:
        return ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    except ClientError as error:
        if service_code(error) == "LifecyclePolicyNotFoundException":
            return None
        raise


def put_lifecycle_policy(ecr: ECRClient, name: str, policy: str) -> str:
    """Replace the lifecycle policy. Returns it as ECR has it now."""
    return ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy)["lifecyclePolicyText"]


def delete_lifecycle_policy(ecr: ECRClient, name: str) -> None:
    """Delete the lifecycle policy. None to delete is fine."""
    try:
        ecr.delete_lifecycle_policy(repositoryName=name)
    except ClientError as error:
        if service_code(error) != "LifecyclePolicyNotFoundException":
            raise


def put_mutability(ecr: ECRClient, name: str, mutability: Mapping[str, Any]) -> None:
    """Change tag mutability and its exclusion filters, in the shape of PutImageTagMutability."""
    ecr.put_image_tag_mutability(repositoryName=name, **mutability)


def put_scan_on_push(ecr: ECRClient, name: str, scan_on_push: bool) -> None:
    """Change whether a push starts a scan."""
    ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": scan_on_push})
