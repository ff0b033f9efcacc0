"""Random deletes with a report, compared with what ECR really deleted, digest by digest.

`make truth RUNS=2000` makes so many runs, each with a seed of its own, which it prints if it fails.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from cloudformation_cli_python_lib import OperationStatus, ProgressEvent

from awstut_ecr_autopurgerepository import ecr as calls
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.lateness import Stale
from tests.faults.bucket import ReportBucket
from tests.support.direct_client import direct_client
from tests.support.strict import ACCOUNT, OWNED, REGION, STACK, Killed, Purge

TAGS = OWNED | {
    "awstut:auto-purge": "on purge-report",
    "awstut:purge-report": "s3://audit/purges",
    "awstut:request": "0123456789abcdef",
}
FOLDER = "purges/app/"
_SMALL_PAGE, _SMALL_BATCH = 17, 5  # so that a few images make many calls
_MOST_SLICES = 60  # of one operation
_DELETED = ("BatchDeleteImage", "DeleteRepository")


@dataclass
class _Watched:
    """A client whose calls are told of, before and after them."""

    client: Any
    told: Callable[[str], None]
    meta: Any = field(init=False)

    def __post_init__(self) -> None:
        self.meta = self.client.meta

    def __getattr__(self, name: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.told(name)
            try:
                return getattr(self.client, name)(**parameters)
            finally:
                self.told(name)

        return call


@dataclass
class Run:
    """One repository, deleted by one operation after the other until it is gone."""

    seed: int
    told: list[str] = field(default_factory=list)  # what happened

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = VirtualClock()
        self.ecr = StrictEcr(clock=self.clock, account=ACCOUNT, region=REGION)
        self.bucket = ReportBucket(self.clock)
        self.fatal: int | None = None  # the handler is killed in so many moments
        self.leaves_out = False  # the next answer about a delete leaves out what it did
        self.second: int | None = None  # a second copy starts in so many moments
        self.start_second: Callable[[], object] = lambda: None
        self.ends: list[ProgressEvent] = []

    def moment(self, _: str) -> None:
        """Before and after each call of ECR or S3."""
        if self.second is not None:
            self.second -= 1
            if self.second < 0:
                self.second = None
                self.start_second()
        if self.fatal is not None:
            self.fatal -= 1
            if self.fatal < 0:
                self.fatal = None
                self.told.append("killed")
                raise Killed

    def fill(self) -> None:
        builder = self.ecr.repository("app", tags=TAGS)
        draw = self.random.randrange
        builder.with_images(draw(1, 150))
        if draw(2):
            builder.with_multi_arch(draw(1, 12))
        if draw(3) == 0:
            builder.with_repushed_latest(draw(1, 5))
        if draw(3) == 0:
            builder.with_archived(draw(1, 20))
        if draw(4) == 0:
            builder.with_index_of_indexes()

    def go_wrong(self) -> None:
        """Choose what goes wrong in the next call of the handler."""
        draw, chance = self.random.randrange, self.random.random
        faults, late = self.ecr.faults, self.ecr.lateness
        faults.clear()
        self.bucket.faults.clear()
        faults.latency = {"*": self.random.choice([0.05, 0.2, 1.0, 4.0])}
        self.bucket.faults.latency = {"*": self.random.choice([0.05, 0.05, 0.5, 3.0])}
        if chance() < 0.5:
            faults.throttle(rate=self.random.choice([0.4, 1, 2, 5, 20]), burst=self.random.choice([1, 3, 10]))
        if chance() < 0.4:
            fault = self.random.choice(["drop_before", "drop_after", "slow"])
            getattr(faults, fault)(self.random.choice(_DELETED), times=draw(1, 3))
        if chance() < 0.2:
            faults.server_errors(draw(2, 6), ["BatchDeleteImage"])
        if chance() < 0.3:
            fault = self.random.choice(["drop_before", "drop_after", "slow"])
            operation = self.random.choice(["PutObject", "PutObject", "GetObject", "ListObjectsV2"])
            getattr(self.bucket.faults, fault)(operation, times=draw(1, 3))
        if chance() < 0.2:
            self.bucket.faults.server_errors(draw(2, 5))
        late.clear()
        if chance() < 0.5:
            late.deleted_images = self.random.choice([1.0, 4.0, 12.0, 30.0])
        if chance() < 0.2:
            late.deleted_index = self.random.choice([1.0, 8.0])
        if chance() < 0.2:
            late.emptied_repository = self.random.choice([1.0, 10.0])
        if chance() < 0.2:
            late.stale_next("DescribeImages", self.random.choice([Stale.DELETED_IMAGES, Stale.NO_IMAGES]))
        self.leaves_out = chance() < 0.1
        self.fatal = draw(0, 80) if chance() < 0.3 else None
        self.second = draw(0, 80) if chance() < 0.15 else None

    def call(self, purge: Purge, context: dict[str, Any]) -> ProgressEvent:
        def second() -> None:
            self.told.append("second copy")
            began = self.clock.monotonic()
            with contextlib.suppress(Killed):
                purge.one_slice(json.loads(json.dumps(context)), "app", STACK, "Repository")
            self.clock.advance(began - self.clock.monotonic())  # it was at work beside the first

        self.start_second = second
        return purge.one_slice(json.loads(json.dumps(context)), "app", STACK, "Repository")

    def operation(self, number: int, *, well: bool) -> bool:
        """One delete. True if it ended, and was not abandoned after a kill."""
        client = _Watched(direct_client(self.ecr), self.moment)
        answer = client.client.batch_delete_image

        def forgetful(**parameters: Any) -> Any:
            answered = answer(**parameters)
            if self.leaves_out and answered["imageIds"]:
                self.leaves_out = False
                self.told.append("left out")
                answered["imageIds"] = []
            return answered

        client.client.__dict__["batch_delete_image"] = forgetful
        s3: Any = _Client(self.bucket, self.moment)
        purge = Purge(self.ecr, self.clock, client=client, s3=s3, token=f"token-{number}")
        context: dict[str, Any] = {}
        for _ in range(_MOST_SLICES):
            if well:
                self.be_well()
            else:
                self.go_wrong()
            try:
                event = self.call(purge, context)
            except Killed:
                if self.random.random() < 0.4:
                    self.told.append("abandoned")
                    return False
                continue
            if event.status is not OperationStatus.IN_PROGRESS:
                self.ends.append(event)
                return True
            context = dict(event.callbackContext or {})
            self.clock.advance(event.callbackDelaySeconds)
        raise AssertionError(f"seed {self.seed}: no end")

    def be_well(self) -> None:
        self.ecr.faults.clear()
        self.bucket.faults.clear()
        self.ecr.lateness.clear()
        self.ecr.faults.latency = {"*": 0.05}
        self.fatal = self.second = None
        self.leaves_out = False

    def run(self) -> str:
        """How it ended; see compare_runs. Raises AssertionError."""
        self.fill()
        number = 0
        while self.ecr.holds("app") is not None:
            number += 1
            self.operation(number, well=number > 4)
            assert number < 8, f"seed {self.seed}: no end"
        return self.compare()

    def compare(self) -> str:
        deleted = [each.digest for each in self.ecr.deletion_log]
        assert len(deleted) == len(set(deleted))
        results, intents = self.lines("results"), self.lines("intent")
        where = f"seed {self.seed}, {self.told}, {[event.message for event in self.ends]}"
        assert set(deleted) <= {digest for keys in intents.values() for digest, _ in keys}, where
        reported = Counter(key for keys in results.values() for key in set(keys))
        assert {digest for digest, _ in reported} <= set(deleted), where
        assert set(reported.values()) <= {1}, f"{where}: in two operations"
        if any("may lack images: there was no time left" in event.message for event in self.ends):
            return "said to be incomplete"
        assert {digest for digest, _ in reported} == set(deleted), f"{where}: {self.missing(set(deleted), results)}"
        announced = {key.rpartition("-")[2] for key in self.bucket.objects if "/.operations/" in key}
        assert results.keys() <= announced, where
        for operation in intents.keys() & announced:  # One that is not announced was killed before its first delete.
            key = f"{FOLDER}{operation}/summary.json"
            assert key in self.bucket.objects, f"{where}: {operation} has no summary"
            summary = json.loads(self.bucket.objects[key])
            counts, found = summary["images"], set(results.get(operation, []))
            assert counts["deleted"] == len(found), f"{where}: {operation} {counts}, and {len(found)}"
            assert counts["deleted"] == counts["confirmed"] + counts["goneUnconfirmed"], where
            assert counts["unresolved"] == 0, where
        return "equal" if self.is_ended() else "equal, and nobody came back"

    def missing(self, deleted: set[str], results: dict[str, list[tuple[str, str]]]) -> str:
        lack = deleted - {digest for keys in results.values() for digest, _ in keys}
        return f"{len(lack)} of {len(deleted)} are missing"

    def is_ended(self) -> bool:
        """Whether the last call that saw the repository was not killed."""
        return bool(self.ends) and self.ends[-1].status is OperationStatus.SUCCESS and self.told[-1:] != ["abandoned"]

    def lines(self, kind: str) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for key, body in self.bucket.objects.items():
            if key.endswith(f".{kind}.jsonl.gz"):
                operation = key.removeprefix(FOLDER).partition("/")[0]
                records = map(json.loads, gzip.decompress(body).splitlines())
                found.setdefault(operation, []).extend((each["digest"], each["pushedAt"]) for each in records)
        return found


@dataclass
class _Client:
    """Makes clients of the bucket whose calls are told of."""

    bucket: ReportBucket
    told: Callable[[str], None]

    def client(self, **_: Any) -> Any:
        return _Watched(self.bucket, self.told)


def compare_runs(seed: int, runs: int, seconds: float | None = None) -> Counter[str]:
    """How so many runs ended, or those that fit into so many seconds. Raises AssertionError if a report is wrong.

    Each deleted image is in the intents, and once in the results. Nothing else is in the results. The summaries count
    the results. All this also holds if the call that deleted the repository was killed, and nobody repeated it.
    """
    ends: Counter[str] = Counter()
    until = time.monotonic() + seconds if seconds else None
    logging.disable(logging.CRITICAL)
    try:
        with (
            mock.patch.object(calls, "IMAGES_PER_PAGE", _SMALL_PAGE),
            mock.patch.object(calls, "IMAGES_PER_BATCH", _SMALL_BATCH),
        ):
            for number in range(runs):
                if until and time.monotonic() > until:
                    break
                ends[Run(seed + number).run()] += 1
    finally:
        logging.disable(logging.NOTSET)
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.truth", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    chosen = parser.parse_args()
    print(f"TRUTH_SEED={chosen.seed}", flush=True)
    print(f"{chosen.runs:,} runs: {dict(compare_runs(chosen.seed, chosen.runs))}")


if __name__ == "__main__":
    main()
