"""A repository with everything set, and what tests look at."""

from __future__ import annotations

import json
from typing import Any

from awstut_ecr_autopurgerepository.rules import push_block
from sandbox.ecr import EcrError, StrictEcr
from sandbox.ecr.image import MANIFEST
from tests.support.strict import ACCOUNT, REGION

NAME = {"RepositoryName": "app"}
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/puller"
LONG_NAME = "/".join(["n" * 63] * 4)
FREEZE = {"awstut:auto-purge": "on freeze-on-delete", "awstut:freeze-on-delete": "on"}
REPORTED = {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://audit/purges"}
OURS = push_block.deny_pushes(push_block.SID)
CALLS = ["DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "DeleteRepository"]
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "pull",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}
OTHER_POLICY: dict[str, Any] = {"Version": "2012-10-17", "Statement": [{**POLICY["Statement"][0], "Sid": "other"}]}
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "keep the newest",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 500},
                "action": {"type": "expire"},
            }
        ]
    }
)
REFUSED_LIFECYCLE = json.dumps({"rules": [{"rulePriority": 1, "description": "without selection and action " * 3}]})
EVERYTHING = {
    "RepositoryName": "team/app",
    "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "alias/aws/ecr"},
    "ImageScanningConfiguration": {"ScanOnPush": "true"},
    "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "ImageTagMutabilityExclusionFilters": [
        {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "dev-*"}
    ],
    "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE, "RegistryId": ACCOUNT},
    "RepositoryPolicyText": POLICY,
    "Tags": [{"Key": "team", "Value": "shop"}],
    "EmptyOnDelete": "false",
    "DeletionProtection": "true",
    "PurgeProtection": {
        "TagPatterns": ["v*", "release-*"],
        "PulledWithinDays": "30",
        "PushedWithinDays": "7",
        "InUseBy": ["LAMBDA", "ECS"],
    },
    "AllowReplicatedDeletes": "true",
    "PurgeReport": {"BucketName": "audit", "Prefix": "purges/ecr", "BucketOwner": "210987654321"},
    "FreezeOnDelete": "true",
}


def manifest(**more: Any) -> str:
    """A manifest of an image without layers; other fields make it another image."""
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **more})


def tags_of(ecr: StrictEcr, name: str = "app") -> dict[str, str]:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    return {tag["Key"]: tag["Value"] for tag in ecr.call("ListTagsForResource", {"resourceArn": arn})["tags"]}


def put_tag(ecr: StrictEcr, key: str, value: str, name: str = "app") -> None:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    ecr.call("TagResource", {"resourceArn": arn, "tags": [{"Key": key, "Value": value}]})


def policies_of(ecr: StrictEcr, name: str = "app") -> tuple[object, object]:
    found = []
    for operation, key in (("GetRepositoryPolicy", "policyText"), ("GetLifecyclePolicy", "lifecyclePolicyText")):
        try:
            found.append(json.loads(ecr.call(operation, {"repositoryName": name})[key]))
        except EcrError:
            found.append(None)
    return found[0], found[1]


def policy_now(ecr: StrictEcr, name: str = "app") -> object:
    """The repository's policy, as a document; None if there is none."""
    return policies_of(ecr, name)[0]
