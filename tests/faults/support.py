"""What the fault tests share: repositories deleted in several ways, and what must be true when one is gone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloudformation_cli_python_lib import OperationStatus

from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from awstut_ecr_autopurgerepository.rules.push_block import SID
from sandbox.ecr import StrictEcr
from tests.support import gaps
from tests.support.samples import CALLS
from tests.support.strict import MARKED, Purge
from tests.support.strict_s3 import StrictS3

SUCCESS = OperationStatus.SUCCESS
WAYS = {
    "plain": MARKED,
    "rules and report": {
        "awstut:auto-purge": "on protect-tags protect-pulled-days purge-report",
        "awstut:protect-tags": "release-@ stable",
        "awstut:protect-pulled-days": "5",
        "awstut:purge-report": "s3://audit/purged",
    },
    "freeze": {"awstut:auto-purge": "on freeze-on-delete", "awstut:freeze-on-delete": "on"},
}


@dataclass
class Filled:
    """A repository to be deleted, and what it held."""

    ecr: StrictEcr
    s3: StrictS3
    tags: dict[str, str]
    digests: set[str] = field(default_factory=set)

    def fill(self) -> Any:
        """Images of all kinds, on two pages if they are small; returns the builder."""
        if "audit" not in self.s3.buckets:
            self.s3.make_bucket("audit")
        builder = self.ecr.repository("app", tags=self.tags)
        builder.with_images(115).with_multi_arch(2).with_repushed_latest(3).with_archived(4)
        self.digests = {image.digest for image in self.ecr.images("app")}
        return builder

    def assert_gone(self, delete: Purge) -> None:
        """The end is SUCCESS, nothing is left, force was not used, and a report has every image."""
        assert delete.events[-1].status is SUCCESS, delete.events[-1].message
        assert self.ecr.holds("app") is None
        assert not any(each.by_force for each in self.ecr.deletion_log)
        assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
        if "awstut:purge-report" in self.tags:
            assert self.reported() == {each.digest for each in self.ecr.deletion_log}
            assert self.digests <= self.reported()

    def assert_not_frozen(self) -> None:
        """Where a delete has failed, pushes are allowed again."""
        assert SID not in (self.ecr.repositories["app"].policy or "")

    def reported(self) -> set[str]:
        """The digests that results in the report name."""
        return {
            json.loads(line)["digest"]
            for key, content in self.s3.buckets["audit"].objects.items()
            if key.endswith(".results.jsonl.gz")
            for line in gzip.decompress(content).decode().splitlines()
        }


def in_gap(ecr: StrictEcr, number: int, function: Callable[[], object]) -> None:
    """Call a function just before the delete's call of this number, if the repository still exists then."""
    policies = ("GetRepositoryPolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy")
    gaps.at_call(ecr, number, lambda: ecr.holds("app") is not None and function(), (*CALLS, *policies))
