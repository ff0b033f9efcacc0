"""Awstut::ECR::AutoPurgeRepository as a construct that takes the place of aws_ecr.Repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from aws_cdk import CfnDeletionPolicy, CfnResource, aws_ecr, aws_s3
from constructs import Construct

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"


@dataclass(frozen=True)
class PurgeProtection:
    """A delete fails if an image has a tag that matches, was pulled or pushed in the last so many days, or is in use.

    `in_use_by` are one or more of LAMBDA, ECS and INSPECTOR.
    """

    tag_patterns: list[str] | None = None
    pulled_within_days: int | None = None
    pushed_within_days: int | None = None
    in_use_by: list[str] | None = None


@dataclass(frozen=True)
class PurgeReport:
    """Where to write what a delete removed. `bucket_owner` is an account; by default the stack's own."""

    bucket: aws_s3.IBucket
    prefix: str | None = None
    bucket_owner: str | None = None


class AutoPurgeRepository(aws_ecr.Repository):
    """An aws_ecr.Repository that is deleted with its stack although it holds images.

    It takes everything that aws_ecr.Repository takes, and is an IRepository: grants, repository_uri, lifecycle rules as
    objects, events, and the static from_* methods, which give repositories that are there already.

    What is different from aws_ecr.Repository:

    - auto_delete_images is refused: it adds a function and a custom resource, of which there is no need.
    - empty_on_delete is true unless it is set to False. As ever in CDK, removal_policy decides whether the repository
      is deleted at all, and its default is RETAIN.
    - A repository that is replaced (another name, another key) is kept, also with RemovalPolicy.DESTROY.
    - To CDK's own eyes (aspects, CfnRepository in `node.default_child`) it is an AWS::ECR::Repository.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that it has in CDK
        *,
        deletion_protection: bool | None = None,
        purge_protection: PurgeProtection | None = None,
        purge_report: PurgeReport | None = None,
        freeze_on_delete: bool | None = None,
        allow_replicated_deletes: bool | None = None,
        **repository: Any,
    ) -> None:
        if repository.get("auto_delete_images"):
            raise ValueError("Leave out auto_delete_images: the type empties the repository by itself.")
        super().__init__(scope, id, **repository)
        resource = cast(CfnResource, self.node.default_child)
        resource.add_override("Type", TYPE_NAME)
        resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        ours: dict[str, Any] = {
            "DeletionProtection": deletion_protection,
            "FreezeOnDelete": freeze_on_delete,
            "AllowReplicatedDeletes": allow_replicated_deletes,
        }
        if purge_protection:
            ours["PurgeProtection"] = {
                "TagPatterns": purge_protection.tag_patterns,
                "PulledWithinDays": purge_protection.pulled_within_days,
                "PushedWithinDays": purge_protection.pushed_within_days,
                "InUseBy": purge_protection.in_use_by,
            }
        if purge_report:
            ours["PurgeReport"] = {
                "BucketName": purge_report.bucket.bucket_name,
                "Prefix": purge_report.prefix,
                "BucketOwner": purge_report.bucket_owner,
            }
        for name, value in ours.items():
            if value is not None:
                resource.add_property_override(name, value)
