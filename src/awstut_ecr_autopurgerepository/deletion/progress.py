"""The progress of one call: when it is shown to the user, and whether any answer of AWS has moved the delete on.

A tag of the repository shows the progress. The tag is written beside the first deletes of a call. So its request is
repeated until it is answered where ECR throttles, like the others, and takes no extra time where ECR is slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cloudformation_cli_python_lib import HandlerErrorCode

from .. import ecr as calls
from ..errors import AWS_ERRORS, failure, handler_code
from ..pacing import Pacer
from ..rules.reserved_tags import PURGE_PROGRESS
from . import messages
from .look import Look
from .state import Counts, CurrentPass

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

# A purge of so many images ends soon, and shows nothing in its first call: 100 deletes take two seconds at 0.1 s each.
MANY_IMAGES = 10_000
MANY_WHEN_THROTTLED = 1_000  # ten deletes, some seconds where ECR throttles
_SHORTEST_MEASURED_SECONDS = 1.0  # of deletes; from less, the time left is not estimated
_MEASURED_ANSWERS = 16
_MOST_IMAGES = 100_000  # that ECR allows in a repository, if nobody has asked for more


@dataclass
class CallProgress:
    """Tells how far the purge is. All moments are on the clock's monotonic time.

    The first call of an operation ends early, at ``first_answer_at``, so that the user soon sees an answer. It does not
    end early if its purge is expected to end soon: by ``soon_at`` where ECR throttles, otherwise within the call. An
    early end costs another look, and another listing of what is left (measured in guides/reliability.md). Later calls
    use all of their time. ``most_in_flight`` is how many requests can run at once. ``moved`` is True once an answer has
    moved the delete on: a page of the check, or what became of images.
    """

    ecr: ECRClient
    pacer: Pacer
    look: Look
    counts: Counts
    current_pass: CurrentPass
    began: float
    is_first_call: bool
    first_answer_at: float
    soon_at: float
    most_in_flight: int
    moved: bool = False
    _is_shown: bool = False
    _deleting_since: float = math.inf
    _deleted_before: int = 0
    _answers: int = 0
    _pages: int = 0

    # The tag

    def to_show(self) -> Callable[[], None] | None:
        """The request that shows the progress, for the first deletes of a call; None where there is nothing to show.

        It raises only if it was throttled. If the progress cannot be shown, the delete does not fail.
        """
        if self._deleting_since == math.inf:
            self._deleting_since, self._deleted_before = self.pacer.clock.monotonic(), self.counts.deleted
        seen = self.look.seen
        if self._is_shown or seen is None or (self.is_first_call and not self._takes_longer()):
            return None
        self._is_shown = True
        return partial(self._show, seen.arn)

    def _takes_longer(self) -> bool:
        left = self.counts.known - self.counts.deleted
        return left > (MANY_WHEN_THROTTLED if self.pacer.throttled else MANY_IMAGES)

    def _show(self, arn: str) -> None:
        now, counts = self.pacer.clock.time(), self.counts
        value = messages.progress_tag(
            counts.deleted,
            counts.known,
            self.current_pass.number,
            datetime.fromtimestamp(now, UTC),
            counts.deleted / max(1.0, now - (counts.since or now)),
        )
        try:
            calls.tag_repository(self.ecr, arn, {PURGE_PROGRESS: value})
        except AWS_ERRORS as error:
            if handler_code(error) is HandlerErrorCode.Throttling:
                raise  # The caller repeats it. To repeat it after other failures would delay the deletes.

    # When the first call ends

    def note_movement(self) -> None:
        """Note that an answer has moved the delete on."""
        self.moved = True

    def count_page(self) -> None:
        """Count a page of the check."""
        self.note_movement()
        self._pages += 1

    def is_time_to_answer(self) -> bool:
        """Whether the first call ends before the next page of the check, to answer that there are more.

        Nobody knows how many pages there are. Where nothing is throttled, and even the check of the largest repository
        would end soon, it goes on.
        """
        now = self.pacer.clock.monotonic()
        seconds = (now - self.began) / (self._pages + 2)  # for one request; the look before the pages took two
        if not self.is_first_call or now + seconds <= self.first_answer_at:
            return False
        longest_check = self.began + seconds * _MOST_IMAGES / calls.IMAGES_PER_PAGE
        return self.pacer.throttled > 0 or longest_check > self.soon_at

    def count_answer(self) -> None:
        """Count an answer to a request that deletes images. Starts no other once the first call has to end."""
        self.note_movement()
        self._answers += 1
        now = self.pacer.clock.monotonic()
        seconds, deleted = now - self._deleting_since, self.counts.deleted - self._deleted_before
        if not self.is_first_call or seconds < _SHORTEST_MEASURED_SECONDS or not deleted:
            return
        if now + seconds / self._answers <= self.first_answer_at:
            return  # the next answer still comes in time
        if not self.pacer.throttled and self._answers < _MEASURED_ANSWERS:
            # Answers to requests that were sent together come together: the first ones would say too little.
            together = min(self.most_in_flight, int(self.pacer.in_flight))
            deleted = max(deleted, together * calls.IMAGES_PER_BATCH)
        ends = now + (self.counts.known - self._deleted_before - deleted) * seconds / deleted
        if ends > (self.soon_at if self.pacer.throttled else self.pacer.ends):
            self.pacer.ends = -math.inf


def silence(name: str, pacers: dict[str, Pacer], minutes: int) -> str:
    """Why a delete fails that gets no answers. ``pacers`` are by the names of their services, ECR first."""
    mute = [service for service, pacer in pacers.items() if pacer.unanswered and not pacer.answered]
    slow = [service for service, pacer in pacers.items() if pacer.unanswered]
    service = next(iter([*mute, *slow, *pacers]))
    error = pacers[service].last_error
    return messages.no_answer(name, service, minutes, failure(error, service).message if error else None)
