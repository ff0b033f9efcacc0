"""KMS's DescribeKey, of the keys that the strict ECR knows."""

from __future__ import annotations

from typing import Any

from sandbox.ecr.state import RegistryState

Answer = tuple[int, dict[str, Any]]


def describe_key(ecr: RegistryState, spelling: str) -> Answer:
    """Status and body of DescribeKey, or of KMS's error for a key that does not exist."""
    arn = ecr.find_key(spelling)
    if arn is None:
        whole = spelling if spelling.startswith("arn:") else f"arn:aws:kms:{ecr.region}:{ecr.account}:{spelling}"
        kind = "Alias" if ":alias/" in whole else "Key"
        return 400, {"__type": "NotFoundException", "message": f"{kind} {whole} is not found."}
    return 200, {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "AWSAccountId": ecr.account}}
