"""The rules of a repository, as a document in the template's shapes and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awstut_ecr_autopurgerepository.repository import translate
from awstut_ecr_autopurgerepository.rules.settings import Stored

from .repositories import Repository

RULES = (
    "EmptyOnDelete",
    "DeletionProtection",
    "PurgeProtection",
    "PurgeReport",
    "FreezeOnDelete",
    "AllowReplicatedDeletes",
)


def rules_document(repository: Repository) -> dict[str, Any]:
    """The rules as a template would say them, and as Read answers them."""
    model = translate.model_of(translate.Repository(repository.description, repository.tags))
    said: Mapping[str, Any] = model._serialize()
    return {name: said[name] for name in RULES if name in said}


def rules_in_words(rules: Mapping[str, Any], stored: Stored | None = None) -> list[str]:
    """The rules that differ from the defaults, a few words each. ``stored`` adds tags that are unreadable."""
    words = []
    if rules.get("DeletionProtection"):
        words.append("locked")
    if rules.get("EmptyOnDelete") is False:
        words.append("keeps images")
    words += protection_in_words(rules.get("PurgeProtection", {}))
    if "PurgeReport" in rules:
        report = rules["PurgeReport"]
        words.append(f"report to {'/'.join(each for each in (report['BucketName'], report.get('Prefix')) if each)}")
    if rules.get("FreezeOnDelete"):
        words.append("refuses pushes during a delete")
    if rules.get("AllowReplicatedDeletes"):
        words.append("may delete replicas")
    if stored is not None and stored.unreadable:
        words.append(f"unreadable, so protected: {', '.join(stored.unreadable)}")
    return words


def protection_in_words(protection: Mapping[str, Any]) -> list[str]:
    """A PurgeProtection, a few words for each of its rules."""
    words = []
    if patterns := protection.get("TagPatterns"):
        words.append(f"tags {' '.join(patterns)}")
    for key, verb in (("PulledWithinDays", "pulled"), ("PushedWithinDays", "pushed")):
        if key in protection:
            words.append(f"{verb} within {protection[key]:,} days")
    if uses := protection.get("InUseBy"):
        words.append(f"in use by {', '.join(uses)}")
    return words
