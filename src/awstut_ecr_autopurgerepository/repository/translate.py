"""Model <-> ECR request and response. Pure.

Request and response shapes are those of ECR's API (botocore's service model of ECR 2015-09-21); model shapes are those
of the schema, which are those of AWS::ECR::Repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from cloudformation_cli_python_lib.identifier_utils import generate_resource_identifier

from ..errors import invalid_request
from ..models import (
    EncryptionConfiguration,
    ImageScanningConfiguration,
    ImageTagMutabilityExclusionFilter,
    LifecyclePolicy,
    PurgeProtection,
    PurgeReport,
    ResourceModel,
    Tag,
)
from ..rules import push_block, reserved_tags
from ..rules.policy_meaning import same_access_policy, same_lifecycle_policy
from ..rules.settings import ReportPlace, Settings

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageTagMutabilityExclusionFilterTypeDef, RepositoryTypeDef

DEFAULT_MUTABILITY = "MUTABLE"
_LONGEST_GENERATED_NAME = 128  # ECR takes 256, but the name becomes a part of every image's URI


@dataclass
class Repository:
    """A repository as ECR holds it: its description, all its tags, and its policies' texts."""

    description: RepositoryTypeDef
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: str | None = None
    lifecycle: str | None = None

    @property
    def arn(self) -> str:
        """The ARN, as AWS gave it (so that the partition is right everywhere)."""
        return self.description["repositoryArn"]


def model(**given: Any) -> ResourceModel:
    """A model with the given properties, and None for the others."""
    return ResourceModel(**{each.name: given.get(each.name) for each in fields(ResourceModel)})


def model_of(repository: Repository, asked: ResourceModel | None = None) -> ResourceModel:
    """What a repository reads as, in the template's shapes.

    ``asked`` is the request's model. Its policies are answered as they came in where they mean the same as ECR's, and
    LifecyclePolicy.RegistryId is reported only where it is asked for.
    """
    described = repository.description
    stored = reserved_tags.read_tags(repository.tags)
    filters = described.get("imageTagMutabilityExclusionFilters")
    return model(
        RepositoryName=described["repositoryName"],
        Arn=described["repositoryArn"],
        RepositoryUri=described["repositoryUri"],
        RegistryId=described["registryId"],
        EncryptionConfiguration=_encryption_model(described),
        ImageScanningConfiguration=ImageScanningConfiguration(ScanOnPush=scan_on_push(described)),
        ImageTagMutability=described.get("imageTagMutability", DEFAULT_MUTABILITY),
        ImageTagMutabilityExclusionFilters=[_filter_model(each) for each in filters] if filters else None,
        LifecyclePolicy=_lifecycle_model(repository, asked),
        RepositoryPolicyText=_policy_model(repository, asked),
        Tags=_tags_model(repository.tags),
        EmptyOnDelete=stored.settings.empty_on_delete if stored.marked else None,
        DeletionProtection=stored.settings.deletion_protection if stored.marked else None,
        PurgeProtection=_protection_model(stored.settings) if stored.marked else None,
        PurgeReport=_report_model(stored.settings) if stored.marked else None,
        FreezeOnDelete=stored.settings.freeze if stored.marked else None,
        AllowReplicatedDeletes=stored.settings.replicated_deletes if stored.marked else None,
    )


def _protection_model(chosen: Settings) -> PurgeProtection | None:
    days = (chosen.pulled_within_days, chosen.pushed_within_days)
    if not chosen.patterns and not chosen.in_use_by and days == (None, None):
        return None
    return PurgeProtection(
        TagPatterns=list(chosen.patterns) or None,
        PulledWithinDays=chosen.pulled_within_days,
        PushedWithinDays=chosen.pushed_within_days,
        InUseBy=list(chosen.in_use_by) or None,
    )


def _report_model(chosen: Settings) -> PurgeReport | None:
    place = chosen.report
    if place is None:
        return None
    return PurgeReport(BucketName=place.bucket, Prefix=place.prefix or None, BucketOwner=place.owner)


def _encryption_model(described: RepositoryTypeDef) -> EncryptionConfiguration:
    encryption = described.get("encryptionConfiguration", {"encryptionType": "AES256"})
    return EncryptionConfiguration(EncryptionType=encryption["encryptionType"], KmsKey=encryption.get("kmsKey"))


def _filter_model(each: ImageTagMutabilityExclusionFilterTypeDef) -> ImageTagMutabilityExclusionFilter:
    return ImageTagMutabilityExclusionFilter(
        ImageTagMutabilityExclusionFilterType=each["filterType"],
        ImageTagMutabilityExclusionFilterValue=each["filter"],
    )


def _lifecycle_model(repository: Repository, asked: ResourceModel | None) -> LifecyclePolicy | None:
    if repository.lifecycle is None:
        return None
    registry_id = asked.LifecyclePolicy.RegistryId if asked and asked.LifecyclePolicy else None
    given = lifecycle_text(asked)
    text = given if same_lifecycle_policy(given, repository.lifecycle) else repository.lifecycle
    return LifecyclePolicy(LifecyclePolicyText=text, RegistryId=registry_id)


def _policy_model(repository: Repository, asked: ResourceModel | None) -> Any:
    live = push_block.remove_from(repository.policy)
    if asked and live is not None and same_access_policy(policy_text(asked), live):
        return asked.RepositoryPolicyText
    return parsed(live)


def _tags_model(tags: Mapping[str, str]) -> list[Tag] | None:
    shown = [Tag(Key=key, Value=value) for key, value in sorted(tags.items()) if reserved_tags.is_user(key)]
    return shown or None


def settings_of(wanted: ResourceModel) -> Settings:
    """The settings that a model asks for, defaults included."""
    protection = wanted.PurgeProtection
    return Settings(
        empty_on_delete=wanted.EmptyOnDelete is not False,
        deletion_protection=wanted.DeletionProtection is True,
        patterns=tuple(protection.TagPatterns or ()) if protection else (),
        pulled_within_days=protection.PulledWithinDays if protection else None,
        report=_report_place(wanted.PurgeReport),
        freeze=wanted.FreezeOnDelete is True,
        pushed_within_days=protection.PushedWithinDays if protection else None,
        replicated_deletes=wanted.AllowReplicatedDeletes is True,
        in_use_by=tuple(protection.InUseBy or ()) if protection else (),
    )


def _report_place(report: PurgeReport | None) -> ReportPlace | None:
    """The place that a model names, which validate.py has checked."""
    return ReportPlace(str(report.BucketName), report.Prefix or "", report.BucketOwner) if report else None


def create_request(wanted: ResourceModel, name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of CreateRepository."""
    request: dict[str, Any] = {"repositoryName": name, "tags": tag_list(tags), **mutability_request(wanted)}
    request["imageScanningConfiguration"] = {"scanOnPush": wants_scan_on_push(wanted)}
    if wanted.EncryptionConfiguration:
        request["encryptionConfiguration"] = encryption_request(wanted)
    return request


def encryption_request(wanted: ResourceModel) -> dict[str, str]:
    """EncryptionConfiguration as ECR takes it; ECR's default where the model has none."""
    encryption = wanted.EncryptionConfiguration
    if encryption is None:
        return {"encryptionType": "AES256"}
    key = {"kmsKey": encryption.KmsKey} if encryption.KmsKey else {}
    return {"encryptionType": str(encryption.EncryptionType), **key}


def mutability_request(wanted: ResourceModel) -> dict[str, Any]:
    """Mutability and its exclusion filters, as CreateRepository and PutImageTagMutability take them."""
    request: dict[str, Any] = {"imageTagMutability": wanted.ImageTagMutability or DEFAULT_MUTABILITY}
    if wanted.ImageTagMutabilityExclusionFilters:
        request["imageTagMutabilityExclusionFilters"] = [
            {
                "filterType": each.ImageTagMutabilityExclusionFilterType,
                "filter": each.ImageTagMutabilityExclusionFilterValue,
            }
            for each in wanted.ImageTagMutabilityExclusionFilters
        ]
    return request


def live_mutability(described: RepositoryTypeDef) -> dict[str, Any]:
    """The same of a repository, for comparison with mutability_request."""
    request: dict[str, Any] = {"imageTagMutability": described.get("imageTagMutability", DEFAULT_MUTABILITY)}
    if filters := described.get("imageTagMutabilityExclusionFilters"):
        request["imageTagMutabilityExclusionFilters"] = list(filters)
    return request


def wants_scan_on_push(wanted: ResourceModel) -> bool:
    """Whether a model asks for a scan of each push; ECR's default is no."""
    return bool(wanted.ImageScanningConfiguration and wanted.ImageScanningConfiguration.ScanOnPush)


def scan_on_push(described: RepositoryTypeDef) -> bool:
    """Whether a repository scans each push."""
    return bool(described.get("imageScanningConfiguration", {}).get("scanOnPush", False))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as ECR takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def user_tags(wanted: ResourceModel | None, stack_tags: Mapping[str, Any] | None) -> dict[str, str]:
    """The tags that a request asks for: the stack's, overruled by the model's own.

    Raises HandlerError (InvalidRequest) for a key that occurs twice or is reserved.
    """
    own: dict[str, str] = {}
    for tag in (wanted.Tags if wanted else None) or ():
        key = str(tag.Key)
        if key in own:
            raise invalid_request(f"Tags has the key {key} twice. Give each key once.")
        if not reserved_tags.is_user(key):
            prefix = "aws:" if reserved_tags.is_aws(key) else reserved_tags.PREFIX
            raise invalid_request(f"Tags has the key {key}: keys that begin with {prefix} are reserved. Rename it.")
        own[key] = str(tag.Value)
    reserved = sorted(filter(reserved_tags.is_reserved, stack_tags or {}))
    if reserved:
        raise invalid_request(
            f"The stack has the tag {reserved[0]}: keys that begin with {reserved_tags.PREFIX} are reserved. Rename it."
        )
    inherited = {key: str(value) for key, value in (stack_tags or {}).items() if reserved_tags.is_user(key)}
    return {**inherited, **own}


def tag_keys(model: ResourceModel, stack_tags: Mapping[str, Any] | None) -> set[str]:
    """The keys of the tags that an earlier state asked for."""
    keys = {str(tag.Key) for tag in model.Tags or ()} | set(stack_tags or ())
    return {key for key in keys if reserved_tags.is_user(key)}


def policy_text(wanted: ResourceModel | None) -> str | None:
    """RepositoryPolicyText as a JSON string, whether it came as an object or as a string."""
    policy = wanted.RepositoryPolicyText if wanted else None
    if policy is None or isinstance(policy, str):
        return policy
    return json.dumps(policy, separators=(",", ":"))


def lifecycle_text(wanted: ResourceModel | None) -> str | None:
    """The lifecycle policy as a JSON string."""
    return wanted.LifecyclePolicy.LifecyclePolicyText if wanted and wanted.LifecyclePolicy else None


def parsed(text: str | None) -> Any:
    """The value of a JSON string; the string itself if it isn't JSON."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def repository_name(stack_id: str | None, logical_id: str | None, token: str | None) -> str:
    """A name that ECR takes, made from the names of stack and resource, and the request's token.

    The same request always gets the same name.
    """
    made = generate_resource_identifier(stack_id, logical_id, token, _LONGEST_GENERATED_NAME)
    return re.sub(r"[^a-z0-9]+", "-", made.lower()).strip("-")
