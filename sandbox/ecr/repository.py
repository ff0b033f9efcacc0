"""Repositories, as ECR holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.ecr.image import Images
from sandbox.ecr.traces import Traces


@dataclass
class Repository:
    """A repository. ``created_at`` is in seconds since 1970, to the millisecond."""

    name: str
    arn: str
    uri: str
    registry_id: str
    created_at: float
    encryption: dict[str, str]
    mutability: str = "MUTABLE"
    exclusion_filters: list[dict[str, str]] = field(default_factory=list)
    scan_on_push: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    lifecycle: str | None = None
    images: Images = field(default_factory=Images)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)  # begun, and not complete
    traces: Traces = field(default_factory=Traces, repr=False)

    def description(self) -> dict[str, Any]:
        """As DescribeRepositories answers it."""
        filters = {"imageTagMutabilityExclusionFilters": self.exclusion_filters} if self.exclusion_filters else {}
        return {
            "repositoryArn": self.arn,
            "registryId": self.registry_id,
            "repositoryName": self.name,
            "repositoryUri": self.uri,
            "createdAt": self.created_at,
            "imageTagMutability": self.mutability,
            "imageScanningConfiguration": {"scanOnPush": self.scan_on_push},
            "encryptionConfiguration": self.encryption,
            **filters,
        }
