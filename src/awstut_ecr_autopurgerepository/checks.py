"""What can be seen to be wrong with a model without asking ECR. Pure."""

from __future__ import annotations

from . import configuration, policy, translate
from .errors import invalid_request
from .models import PurgeProtection, PurgeReport, ResourceModel

_WITH_EXCLUSION = ("MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")


def check(wanted: ResourceModel, account: str | None) -> None:
    """Raise HandlerError (InvalidRequest) for what can be seen to be wrong without asking ECR."""
    _check_policy("RepositoryPolicyText", translate.policy_text(wanted))
    if policy.thawed(translate.policy_text(wanted)) != translate.policy_text(wanted):
        raise invalid_request(
            f"RepositoryPolicyText has a statement with the Sid {policy.SID}, which is reserved for FreezeOnDelete. "
            "Rename it, or leave it out."
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


def _check_ours(protection: PurgeProtection | None, report: PurgeReport | None) -> None:
    try:
        if protection and protection.TagPatterns is not None:
            configuration.check_patterns("PurgeProtection.TagPatterns", protection.TagPatterns)
        if protection and protection.PulledWithinDays is not None:
            configuration.check_days("PurgeProtection.PulledWithinDays", protection.PulledWithinDays)
        if report:
            configuration.report_place("PurgeReport", report.BucketName, report.Prefix, report.BucketOwner)
    except ValueError as error:
        raise invalid_request(f"{error}.") from error


def _check_policy(name: str, text: str | None) -> None:
    if text is not None and not isinstance(translate.parsed(text), dict):
        raise invalid_request(f"{name} is not a JSON object. Check its quotes, commas and braces.")
