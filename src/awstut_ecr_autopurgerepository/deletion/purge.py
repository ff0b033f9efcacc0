"""The purge: deletes what was listed, in the right order, then the repository; and judges each pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import HandlerError, service_code
from ..pacing import Pacer, Pool, side_by_side, until_answered
from . import messages
from .inventory import Listing
from .metrics import Figures
from .progress import CallProgress
from .report.journal import Journal
from .report.records import Outcomes
from .state import Counts, CurrentPass, Stalls

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import BatchDeleteImageResponseTypeDef

MOST_IDLE_SECONDS = 120  # ECR may still list, reference and count images for a while after they were deleted
MOST_PASSES_WITHOUT_PROGRESS = 20
_LONGEST_PAUSE_SECONDS = 10
_PAUSE_BETWEEN_WALKS_SECONDS = 1.0

# Of answers that are in flight, as JSON. An answer takes several times as much memory while it is read, and a process
# keeps the memory that each of its threads has used once (measured: with 27 deletes in flight, whose answers have ten
# tags of 128 characters for each image, 16 MB more than with 8).
MOST_ANSWER_BYTES = 2 << 20


@dataclass(frozen=True)
class BatchAnswer:
    """What ECR says of the images that were asked for: those that it names as deleted, and code and digest of failures.

    It is made as soon as the answer arrives, because the whole answer repeats each image for each of its tags.
    """

    asked: int
    deleted: list[str]
    failures: list[tuple[str, str]]

    @classmethod
    def of(cls, asked: list[str], answer: BatchDeleteImageResponseTypeDef) -> BatchAnswer:
        """The answer to a request that names these digests; it keeps their strings, and none of the answer's."""
        named = {each["imageDigest"] for each in answer.get("imageIds", ())}
        failures = [
            (each.get("failureCode", "unknown"), each.get("imageId", {}).get("imageDigest", ""))
            for each in answer.get("failures", ())
        ]
        return cls(len(asked), [digest for digest in asked if digest in named], failures)


@dataclass
class Purge:
    """Deletes images of one repository, and the repository. ``figures`` are those of this call."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    pool: Pool
    counts: Counts
    current_pass: CurrentPass
    stalls: Stalls
    figures: Figures
    progress: CallProgress

    def delete_images(self, listing: Listing, journal: Journal | None) -> bool:
        """Delete what was listed. True if the repository must be empty now.

        That is so if all of its images were listed, and all that were listed are gone. Indexes are deleted first,
        because ECR refuses an image that an index still references. ``journal`` writes the purge report, if there is
        one. Raises OutOfTimeError, ReportError, and what ECR raises and a repetition does not fix.
        """
        if len(listing):
            self.counts.begin(self.pacer.clock.time())
        before = self.current_pass.deleted + self.current_pass.missing
        count = partial(self._count, listing, journal.outcomes if journal else None)
        kinds = listing.indexes, listing.others
        for digests in journal.stretches(*kinds) if journal else kinds:
            self._delete_digests(digests, count, listing.answer_bytes)
        gone = self.current_pass.deleted + self.current_pass.missing - before
        return listing.is_complete and gone == len(listing)

    def _delete_digests(
        self, digests: Sequence[str], count: Callable[[BatchAnswer | None], None], answer_bytes: int
    ) -> None:
        size = calls.IMAGES_PER_BATCH
        batches = [list(digests[start : start + size]) for start in range(0, len(digests), size)]
        requests: list[Callable[[], BatchAnswer | None]] = [partial(self._delete_batch, batch) for batch in batches]
        shown = self.progress.to_show() if batches else None
        if shown:
            requests.insert(0, shown)
        most = max(1, MOST_ANSWER_BYTES // max(1, answer_bytes))
        side_by_side(self.pacer, self.pool, _make, requests, count, most)

    def _delete_batch(self, digests: list[str]) -> BatchAnswer:
        return BatchAnswer.of(digests, calls.delete_images(self.ecr, self.name, digests))

    def _count(self, listing: Listing, outcomes: Outcomes | None, answer: BatchAnswer | None) -> None:
        """Count what an answer says."""
        if answer is None:  # The answer to the request that shows the progress.
            return
        now = self.pacer.clock.time()
        deleted = answer.deleted
        if outcomes is not None:
            outcomes.confirmed.update(dict.fromkeys(deleted, now))
        self.counts.count_deleted(len(deleted))
        self.current_pass.count_deleted(len(deleted))
        self.figures.images_deleted += len(deleted)
        self.figures.bytes_deleted += sum(listing.sizes.get(digest, 0) for digest in deleted)
        if outcomes is not None and len(deleted) + len(answer.failures) < answer.asked:
            outcomes.doubtful = True  # The answer leaves images out, which may be gone.
        for code, digest in answer.failures:
            if outcomes is not None and code == "ImageNotFound":
                outcomes.doubtful = True  # It is gone; perhaps an earlier call has reported that.
            self._count_failure(code, digest)
        self.progress.count_answer()

    def _count_failure(self, code: str, digest: str) -> None:
        if code == "ImageNotFound":
            self.current_pass.count_missing()
        else:
            self.figures.images_failed += 1
            self.current_pass.count_failure(code, digest)

    def delete_repository(self) -> bool:
        """Delete the repository. False if ECR says that it is not empty. Never by force."""
        try:
            until_answered(self.pacer, lambda: calls.delete_repository(self.ecr, self.name))
            self.progress.note_movement()
        except ClientError as error:
            if service_code(error) == "RepositoryNotEmptyException":
                self.progress.note_movement()
                return False
            raise
        return True

    def end_part(self, listing: Listing, *, frozen: bool) -> None:
        """Go on after what was listed; at the end of a pass, judge it, and begin the next.

        ``frozen`` is True if pushes are refused. Raises HandlerError (NotStabilized) if another pass makes no sense.
        """
        self.current_pass.go_on_at(listing.next_status, listing.next_token, len(listing))
        if listing.is_last:
            now, ended = int(self.pacer.clock.time()), self.current_pass
            self.stalls.count_pass(ended.found - ended.missing, ended.deleted, now)
            self._give_up_if_stuck(now)
            self._give_up_if_filling_up(frozen=frozen)
            self._pause(at_least=1 if ended.missing > ended.deleted else 0)  # ECR still lists what it has deleted.
            self.current_pass.begin_next()

    def restart_pass_for_report(self) -> None:
        """Begin the pass again after a pause, to see once more that no image is left."""
        self.pacer.pause(_PAUSE_BETWEEN_WALKS_SECONDS)
        self.current_pass.restart()

    def restart_pass_after_old_answer(self) -> None:
        """Begin the pass again after a pause, because ECR said that the repository is gone, and it is not.

        Raises HandlerError (NotStabilized) if that does not end.
        """
        now = int(self.pacer.clock.time())
        self.stalls.count_idle(now)
        self._give_up_if_stuck(now)
        self._pause()
        self.current_pass.restart()

    def _pause(self, at_least: int = 0) -> None:
        self.pacer.pause(min(max(self.stalls.idle_passes, at_least), _LONGEST_PAUSE_SECONDS))

    def _give_up_if_stuck(self, now: int) -> None:
        idle_since = self.stalls.idle_since
        if idle_since is None or now - idle_since < MOST_IDLE_SECONDS:
            return
        ended = self.current_pass
        message = messages.stuck(self.name, ended.found, ended.missing, ended.failures, ended.samples)
        raise HandlerError(HandlerErrorCode.NotStabilized, message)

    def _give_up_if_filling_up(self, *, frozen: bool) -> None:
        passes = self.stalls.passes_without_progress
        if passes >= MOST_PASSES_WITHOUT_PROGRESS:
            since = datetime.fromtimestamp(self.stalls.since or 0, UTC)
            message = messages.filling_up(self.name, passes, since, frozen=frozen)
            raise HandlerError(HandlerErrorCode.NotStabilized, message)


def _make(request: Callable[[], BatchAnswer | None]) -> BatchAnswer | None:
    return request()
