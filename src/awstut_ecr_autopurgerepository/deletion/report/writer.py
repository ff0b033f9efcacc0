"""The objects of the purge report in its bucket.

Layout: ``prefix/repository/operation/``, in which each part of at most 10,000 images has two objects, named after the
time and a random number, ``….intent.jsonl.gz`` and ``….results.jsonl.gz``. None is ever overwritten. The last object
is ``summary.json``. The operation is a hash of the request's token, which is the same in all calls of one delete.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from ...errors import AWS_ERRORS, failure, handler_code, service_code
from ...pacing import OutOfTimeError, Pacer, Pool, side_by_side, until_answered
from ...rules.settings import ReportPlace
from .reconciliation import Reconciliation, Tally, results
from .records import Outcomes, Part, Spool, read_records, timestamp

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_INTENT, _RESULTS = ".intent.jsonl.gz", ".results.jsonl.gz"


class ReportError(Exception):
    """The report could not be written, for a reason that does not go away by itself; ``words`` say which."""

    def __init__(self, code: HandlerErrorCode, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Origin:
    """What one operation's records have in common. ``account`` owns the repository."""

    repository: str
    operation: str
    account: str
    stack_id: str | None
    logical_id: str | None

    def fields(self) -> dict[str, str | None]:
        """As every record has them."""
        return {"repository": self.repository, "operation": self.operation, "stackId": self.stack_id}


@dataclass
class Reporter:
    """Opens the report of one operation, wherever it is to be written. The client is made when it is needed."""

    make_client: Callable[[], S3Client]
    origin: Origin
    pool: Pool
    pacer: Pacer

    @cached_property
    def client(self) -> S3Client:
        """A client that makes each request once, and none too late."""
        client = self.make_client()
        client.meta.events.register_first("before-send.s3", self._refuse_late)
        return client

    def _refuse_late(self, **_: object) -> None:
        # botocore makes a request again by itself, with no regard to retries, where a bucket is in another Region.
        if self.pacer.clock.monotonic() > self.pacer.ends:
            raise OutOfTimeError

    def at(self, place: ReportPlace) -> Report:
        """The report in that place."""
        return Report(self, place)


@dataclass(frozen=True)
class Report:
    """The report of one operation. Raises ReportError, and OutOfTimeError where a request would start too late."""

    reporter: Reporter
    place: ReportPlace

    @property
    def origin(self) -> Origin:
        """What its records have in common."""
        return self.reporter.origin

    @property
    def folder(self) -> str:
        """What the keys of this operation's objects begin with."""
        parts = (self.place.prefix, self.origin.repository, self.origin.operation)
        return "/".join(part for part in parts if part) + "/"

    def spool(self) -> Spool:
        """Where the records of listed images are kept until they are written."""
        return Spool(self.origin.fields())

    def write_intent(self, parts: list[Part]) -> list[str]:
        """Write what is about to be deleted. Returns a name for each part."""
        names = [self._new_name() for _ in parts]
        items = [(name + _INTENT, part.compressed()) for name, part in zip(names, parts, strict=True)]
        self._put_all(items)
        return names

    def write_results(self, names: list[str], parts: list[Part], outcomes: Outcomes) -> Tally:
        """Write what became of the images of parts that were written as intent. Returns what all results add up to."""
        tally = Tally()
        made = [results(part, outcomes, tally) for part in parts]
        items = [(name + _RESULTS, part.compressed()) for name, part in zip(names, made, strict=True)]
        self._put_all(items)
        return tally

    def reconcile(
        self, known_parts: int, known: Tally, gone_since: float | None, *, sure: bool
    ) -> Reconciliation | None:
        """What the whole report adds up to, each image once; None if nothing was reported.

        If no other parts were written than those that are known, that is what is known; unless a call was killed, or
        ran twice, or an answer was lost (not ``sure``): then it is read again, and images without a result are reported
        as gone, where the repository is gone since a time.
        """
        with self._explained():
            names = self._names()
            if not names:
                return None
            if sure and len(names) == 2 * known_parts:
                return Reconciliation(known)
            found, late = Reconciliation(), Part()
            for name in sorted(names, key=lambda each: each.endswith(_INTENT)):  # results first
                content = self._get(name)
                with self._readable(name):
                    if name.endswith(_RESULTS):
                        found.add_results(read_records(content))
                        continue
                    for record in found.add_intent(read_records(content), gone_since):
                        late.add(record)
            if late.count:
                until_answered(
                    self.reporter.pacer, partial(self._put, (self._new_name() + _RESULTS, late.compressed()))
                )
            return found

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the end of the operation; again, if a second copy of the handler has written it already."""
        body = json.dumps(summary, indent=2).encode() + b"\n"
        with self._explained():
            until_answered(self.reporter.pacer, partial(self._put, ("summary.json", body), again=True))

    def _new_name(self) -> str:
        now = timestamp(self.reporter.pacer.clock.time()).replace(":", "-")
        return f"{now}-{uuid.uuid4().hex[:12]}"

    @property
    def _bucket(self) -> Any:
        return {"Bucket": self.place.bucket, "ExpectedBucketOwner": self.place.owner or self.origin.account}

    def _put_all(self, items: list[tuple[str, bytes]]) -> None:
        with self._explained():
            _ = self.reporter.client  # made here, as a session must not make clients in several threads at once
            side_by_side(self.reporter.pacer, self.reporter.pool, self._put, items, lambda _: None)

    def _put(self, item: tuple[str, bytes], *, again: bool = False) -> None:
        name, body = item
        condition: dict[str, Any] = {} if again else {"IfNoneMatch": "*"}
        try:
            self.reporter.client.put_object(**self._bucket, Key=self.folder + name, Body=body, **condition)
        except ClientError as error:
            if service_code(error) != "PreconditionFailed":
                raise  # else it is there: an earlier try of ours, of which the answer was lost

    def _get(self, name: str) -> bytes:
        request = {**self._bucket, "Key": self.folder + name}
        return until_answered(self.reporter.pacer, lambda: self.reporter.client.get_object(**request)["Body"].read())

    def _names(self) -> list[str]:
        """The names of all parts' objects that this operation has written so far."""
        names: list[str] = []
        request = {**self._bucket, "Prefix": self.folder}
        while True:
            page = until_answered(self.reporter.pacer, partial(self.reporter.client.list_objects_v2, **request))
            names += [each["Key"].removeprefix(self.folder) for each in page.get("Contents", ())]
            if not page.get("NextContinuationToken"):
                return [name for name in names if name.endswith((_INTENT, _RESULTS))]
            request["ContinuationToken"] = page["NextContinuationToken"]

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Turn what is raised over content that is not ours into ReportError."""
        try:
            yield
        except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
            words = f"{self.folder}{name} is not as this delete has written it, and cannot be read"
            raise ReportError(HandlerErrorCode.InvalidRequest, words) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what AWS says into ReportError."""
        try:
            yield
        except AWS_ERRORS as error:
            code = handler_code(error)
            if code is HandlerErrorCode.GeneralServiceException:
                code = HandlerErrorCode.InvalidRequest
            raise ReportError(code, _in_words(error, self.place, self._bucket["ExpectedBucketOwner"])) from error


def _in_words(error: Exception, place: ReportPlace, owner: str) -> str:
    """Why the report cannot be written, in words."""
    if service_code(error) == "NoSuchBucket":
        return f"there is no bucket {place.bucket}"
    if isinstance(error, ClientError) and handler_code(error) is HandlerErrorCode.AccessDenied:
        action = "ListBucket" if error.operation_name == "ListObjectsV2" else error.operation_name
        return (
            f"s3:{action} was denied. Allow it to the role that runs this resource type, look for a Deny in the "
            f"policies of the bucket and of its key, and make sure that the bucket belongs to account {owner}"
        )
    return failure(error, "S3").message
