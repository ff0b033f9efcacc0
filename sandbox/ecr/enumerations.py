"""The values that ECR's service model allows, in its order, and what ECR says of others.

botocore checks types and lengths before a call leaves, but not these: the service is the first to refuse them.
"""

from __future__ import annotations

from sandbox.ecr.errors import invalid

MUTABILITIES = ("IMMUTABLE", "MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")
EXCLUSION_FILTER_TYPES = ("WILDCARD",)
ENCRYPTION_TYPES = ("AES256", "KMS", "KMS_DSSE")
TAG_STATUSES = ("TAGGED", "UNTAGGED", "ANY")
IMAGE_STATUSES = ("ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")
STORAGE_CLASSES = ("STANDARD", "ARCHIVE")
REPLICATION_FILTER_TYPES = ("PREFIX_MATCH",)


def check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise InvalidParameterException, in ECR's words, unless ``value`` is one of the allowed ones."""
    if value not in allowed:
        raise invalid(
            f"Invalid parameter at '{name}' failed to satisfy constraint: 'Member must satisfy enum value set: "
            f"[{', '.join(allowed)}]'"
        )
