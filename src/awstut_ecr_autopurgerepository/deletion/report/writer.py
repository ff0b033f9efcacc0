"""The objects of the purge report in its bucket.

Layout: ``prefix/repository/operation/``, in which each stretch of at most 10,000 images has two objects, named after
the time, a random number and the number of lines, ``….intent.jsonl.gz`` and ``….results.jsonl.gz``. Both are never
overwritten. The last object is ``summary.json``. The operation is a hash of the request's token, which is the same in
all calls of one delete. So that a later delete of the same repository finds the operation, an empty object is named
after the repository's create request and creation time: ``prefix/repository/.operations/request/created-operation``.
No repository has such a name, because names in ECR do not begin with a dot.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from ...errors import AWS_ERRORS, denied_action, failure, handler_code, service_code, service_message
from ...pacing import OutOfTimeError, Pacer, Pool, side_by_side, until_answered
from ...rules.settings import ReportPlace
from .. import messages
from ..state import Identity
from .reconciliation import key_of
from .records import Part, Record, read_lines, read_records, timestamp

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_INTENT, _RESULTS, SUMMARY = ".intent.jsonl.gz", ".results.jsonl.gz", "summary.json"
SAME_MS = 1_000  # a creation time that differs by less is the same
_READ_AT_ONCE = 8  # objects, of 10,000 lines each

Item = tuple[str, bytes]  # the key of an object, and what is in it


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

    def fields(self, identity: Identity) -> dict[str, str | None]:
        """As every record has them. ``identity`` is that of the repository, which was seen."""
        return {
            "repository": self.repository,
            "repositoryCreatedAt": timestamp((identity.created or 0) / 1_000),
            "createRequest": identity.request,
            "operation": self.operation,
            "stackId": self.stack_id,
            "logicalId": self.logical_id,
        }


@dataclass
class Reporter:
    """Opens the report of one operation, wherever it is to be written. The client is made when it is needed."""

    make_client: Callable[[], S3Client]
    origin: Origin
    pool: Pool
    pacer: Pacer

    @cached_property
    def client(self) -> S3Client:
        """A client that makes each request once, and starts none too late."""
        client = self.make_client()
        client.meta.events.register_first("before-send.s3", self._refuse_late)
        return client

    def _refuse_late(self, **_: object) -> None:
        # botocore makes a request again by itself, with no regard to retries, where a bucket is in another Region.
        if self.pacer.clock.monotonic() > self.pacer.ends:
            raise OutOfTimeError

    def at(self, place: ReportPlace) -> Report:
        """The report in that place."""
        return Report(self, place, self.origin.operation)

    def now(self) -> float:
        """In seconds since 1970."""
        return self.pacer.clock.time()


@dataclass(frozen=True)
class Written:
    """The names of an operation's objects, in their order in time, and whether it has a summary."""

    intents: list[str]
    results: list[str]
    has_summary: bool

    @property
    def objects(self) -> int:
        """How many intents and results there are."""
        return len(self.intents) + len(self.results)

    @property
    def most_missing(self) -> int:
        """How many images may be gone without a result, at most, as far as the names of the objects tell."""
        return max(0, sum(map(_lines_in, self.intents)) - sum(map(_lines_in, self.results)))


@dataclass(frozen=True)
class Report:
    """The report of one operation. Raises ReportError, and OutOfTimeError where a request would start too late."""

    reporter: Reporter
    place: ReportPlace
    operation: str

    @property
    def _repository_folder(self) -> str:
        parts = (self.place.prefix, self.reporter.origin.repository)
        return "/".join(part for part in parts if part) + "/"

    @property
    def folder(self) -> str:
        """What the keys of this operation's objects begin with."""
        return f"{self._repository_folder}{self.operation}/"

    @property
    def address(self) -> str:
        """Where the summary is."""
        return f"s3://{self.place.bucket}/{self.folder}summary.json"

    def of(self, operation: str) -> Report:
        """The report of another operation in the same place."""
        return replace(self, operation=operation)

    def new_name(self, lines: int) -> str:
        """A new, unique name, without its ending, for an object with so many lines."""
        now = timestamp(self.reporter.now()).replace(":", "-")
        return f"{now}-{uuid.uuid4().hex[:12]}-{lines}"

    def intent(self, part: Part) -> Item:
        """What is about to be deleted, to be written."""
        return self.folder + self.new_name(part.count) + _INTENT, part.compressed()

    def results(self, part: Part) -> Item:
        """What became of images, to be written."""
        return self.folder + self.new_name(part.count) + _RESULTS, part.compressed()

    def announcement(self, identity: Identity) -> Item:
        """What lets a later delete of the same repository find this operation, to be written."""
        return f"{self._announced(identity)}{identity.created}-{self.operation}", b""

    def _announced(self, identity: Identity) -> str:
        return f"{self._repository_folder}.operations/{identity.request or 'none'}/"

    def put_all(self, items: list[Item]) -> None:
        """Write objects, side by side. One that is there already was written by an earlier try."""
        with self._explained():
            _ = self.reporter.client  # made here, because a session must not make clients in several threads at once
            side_by_side(self.reporter.pacer, self.reporter.pool, self._put, items, lambda _: None)

    def look(self) -> None:
        """Raise ReportError if the bucket cannot be asked for objects of this operation. Changes nothing."""
        self._keys(self.folder, most=1)

    def written(self) -> Written:
        """What this operation has written so far, in one request for each 1,000 objects."""
        keys = [key.removeprefix(self.folder) for key in self._keys(self.folder, most=None)]
        return Written(
            [key for key in keys if key.endswith(_INTENT)],
            [key for key in keys if key.endswith(_RESULTS)],
            SUMMARY in keys,
        )

    def earlier(self, identity: Identity) -> list[str]:
        """Other operations that have deleted images of the same repository, in one request: at most 1,000."""
        announced = self._announced(identity)
        found = []
        for key in self._keys(announced, most=1):
            created, _, operation = key.removeprefix(announced).partition("-")
            same = created.isdigit() and abs(int(created) - (identity.created or 0)) < SAME_MS
            if same and operation != self.operation:
                found.append(operation)
        return found

    def records(self, names: Sequence[str]) -> Iterator[tuple[str, list[Record]]]:
        """Read objects, some side by side. Yields each name with its records. ReportError: one cannot be read."""
        for start in range(0, len(names), _READ_AT_ONCE):
            some = names[start : start + _READ_AT_ONCE]
            contents: dict[str, bytes] = {}
            with self._explained():
                _ = self.reporter.client
                side_by_side(self.reporter.pacer, self.reporter.pool, self._get, list(some), contents.update)
            for name in some:
                with self._readable(name):
                    records = list(read_records(contents.pop(name)))
                    for record in records:
                        key_of(record), record["outcome"], record["status"], record["sizeInBytes"] + 0
                yield name, records

    def lines_of_intent(self, name: str) -> Iterator[bytes]:
        """The lines of an intent; none if it cannot be read at once."""
        try:
            yield from read_lines(self._get(name)[name])
        except (*AWS_ERRORS, OSError, EOFError, zlib.error):
            return

    def read_summary(self) -> dict[str, Any]:
        """The summary, which was written."""
        with self._explained():
            content = until_answered(self.reporter.pacer, partial(self._get, SUMMARY))[SUMMARY]
        with self._readable(SUMMARY):
            found: dict[str, Any] = json.loads(content)
            found["images"]["unresolved"], found["message"]
        return found

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the summary; it replaces one that is there, for example from a second copy of the handler."""
        body = json.dumps(summary, indent=2).encode() + b"\n"
        with self._explained():
            item = self.folder + SUMMARY, body
            until_answered(self.reporter.pacer, partial(self._put, item, again=True))

    @property
    def _bucket(self) -> Any:
        owner = self.place.owner or self.reporter.origin.account
        return {"Bucket": self.place.bucket, "ExpectedBucketOwner": owner}

    def _put(self, item: Item, *, again: bool = False) -> None:
        key, body = item
        condition: dict[str, Any] = {} if again else {"IfNoneMatch": "*"}
        try:
            self.reporter.client.put_object(**self._bucket, Key=key, Body=body, **condition)
        except ClientError as error:
            if service_code(error) != "PreconditionFailed":
                raise  # else it is there: an earlier try of ours, of which the answer was lost

    def _get(self, name: str) -> dict[str, bytes]:
        answer = self.reporter.client.get_object(**self._bucket, Key=self.folder + name)
        return {name: answer["Body"].read()}

    def _keys(self, prefix: str, most: int | None) -> list[str]:
        """The keys that begin so, of at most so many pages."""
        keys: list[str] = []
        request = {**self._bucket, "Prefix": prefix}
        with self._explained():
            while True:
                page = until_answered(self.reporter.pacer, partial(self.reporter.client.list_objects_v2, **request))
                keys += [each["Key"] for each in page.get("Contents", ())]
                most = most and most - 1
                if most == 0 or not page.get("NextContinuationToken"):
                    return keys
                request["ContinuationToken"] = page["NextContinuationToken"]

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Turn what is raised over content that is not ours into ReportError."""
        try:
            yield
        except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
            words = messages.unreadable_object(self.folder + name)
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
            raise ReportError(code, _why_not_written(error, self.place, self._bucket["ExpectedBucketOwner"])) from error


def _lines_in(name: str) -> int:
    """How many lines an object has, by its name."""
    number = name.partition(".jsonl")[0].rpartition(".")[0].rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _why_not_written(error: Exception, place: ReportPlace, owner: str) -> str:
    """Why the report cannot be written, in words."""
    if service_code(error) == "NoSuchBucket":
        return messages.no_bucket(place.bucket)
    if isinstance(error, ClientError) and handler_code(error) is HandlerErrorCode.AccessDenied:
        operation = "ListBucket" if error.operation_name == "ListObjectsV2" else error.operation_name
        said = service_message(error)
        return messages.bucket_denied(denied_action(said) or f"s3:{operation}", owner, said)
    return failure(error, "S3").message
