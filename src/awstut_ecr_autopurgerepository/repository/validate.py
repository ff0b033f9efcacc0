"""What is wrong with a model and can be seen without asking ECR. Pure."""

from __future__ import annotations

from typing import cast

from ..errors import invalid_request
from ..models import PurgeProtection, PurgeReport, ResourceHandlerRequest, ResourceModel
from ..rules import push_block
from ..rules.account import AccountRules
from ..rules.images import ACCOUNT_WORDS
from ..rules.reserved_tags import MOST_TAGS, tags_left
from ..rules.settings import ReportPlace, Settings, check_days, check_patterns, check_services, report_place
from . import translate

_WITH_EXCLUSION = ("MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")


def check_model(wanted: ResourceModel, account: str | None) -> None:
    """Raise HandlerError (InvalidRequest) for what is wrong and can be seen without asking ECR."""
    _check_policy("RepositoryPolicyText", translate.policy_text(wanted))
    if push_block.remove_from(translate.policy_text(wanted)) != translate.policy_text(wanted):
        raise invalid_request(
            f"RepositoryPolicyText has a statement with the Sid {push_block.SID}, which is reserved for "
            "FreezeOnDelete. Rename it, or leave it out."
        )
    _check_policy("LifecyclePolicy.LifecyclePolicyText", translate.lifecycle_text(wanted))
    _check_ours(wanted.PurgeProtection, wanted.PurgeReport)
    registry_id = wanted.LifecyclePolicy.RegistryId if wanted.LifecyclePolicy else None
    if registry_id and account and registry_id != account:
        raise invalid_request(
            f"LifecyclePolicy.RegistryId is {registry_id}, but the repository is in account {account}. Leave it out."
        )
    if registry_id and not translate.lifecycle_text(wanted):
        raise invalid_request("LifecyclePolicy has a RegistryId but no LifecyclePolicyText. Add the policy's text.")
    mutability = wanted.ImageTagMutability or translate.DEFAULT_MUTABILITY
    if wanted.ImageTagMutabilityExclusionFilters and mutability not in _WITH_EXCLUSION:
        raise invalid_request(
            f"ImageTagMutabilityExclusionFilters cannot be used with the ImageTagMutability {mutability}. "
            f"Set ImageTagMutability to {' or '.join(_WITH_EXCLUSION)}."
        )
    if mutability in _WITH_EXCLUSION and not wanted.ImageTagMutabilityExclusionFilters:
        raise invalid_request(
            f"The ImageTagMutability {mutability} needs ImageTagMutabilityExclusionFilters. Add them."
        )


def check_report(request: ResourceHandlerRequest, live: ReportPlace | None = None) -> None:
    """Raise HandlerError (InvalidRequest) if PurgeReport names a bucket that the type configuration does not allow.

    The bucket that the repository has already (``live``) is no error here, because a rollback could be refused
    otherwise. A delete refuses it.
    """
    rules = cast("AccountRules | None", request.typeConfiguration)
    report = request.desiredResourceState and request.desiredResourceState.PurgeReport
    bucket = report.BucketName if report else None
    if bucket and rules and not rules.allows(bucket) and not (live and live.bucket == bucket):
        raise invalid_request(
            f"PurgeReport.BucketName is {bucket}, and the {ACCOUNT_WORDS} allows only {', '.join(rules.buckets)}. "
            "Name one of these, or leave PurgeReport out."
        )


def _check_ours(protection: PurgeProtection | None, report: PurgeReport | None) -> None:
    try:
        if protection and protection.TagPatterns is not None:
            check_patterns("PurgeProtection.TagPatterns", list(protection.TagPatterns))
        if protection and protection.InUseBy is not None:
            check_services("PurgeProtection.InUseBy", list(protection.InUseBy))
        for name in ("PulledWithinDays", "PushedWithinDays") if protection else ():
            if (days := getattr(protection, name)) is not None:
                check_days(f"PurgeProtection.{name}", days)
        if report:
            report_place("PurgeReport", report.BucketName, report.Prefix, report.BucketOwner)
    except ValueError as error:
        raise invalid_request(f"{error}.") from error


def _check_policy(name: str, text: str | None) -> None:
    if text is not None and not isinstance(translate.parsed(text), dict):
        raise invalid_request(f"{name} is not a JSON object. Check its quotes, commas and braces.")


def check_room_for_tags(count: int, chosen: Settings) -> None:
    """Raise HandlerError (InvalidRequest) if so many tags of users don't fit beside those of the settings."""
    room = tags_left(chosen)
    if count > room:
        raise invalid_request(
            f"The repository would have {count} tags, those of the stack included, and there is room for {room}: ECR "
            f"allows {MOST_TAGS}, and {MOST_TAGS - room} are kept for the settings of this resource type. "
            f"Remove {count - room}."
        )
