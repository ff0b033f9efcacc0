"""Buckets, and what S3 refuses: missing ones, other owners, other Regions, denied actions, names that are taken."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox import in_process
from sandbox.connections import InProcess
from sandbox.ecr.clock import Clock, SystemClock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.faults import Faults

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE_SIZE = 1_000


class S3Error(Exception):
    """An error as the service answers it."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


@dataclass
class Bucket:
    """A bucket; ``denied`` are the actions (s3:PutObject) that its policy denies to everybody."""

    name: str
    region: str
    owner: str
    denied: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)


class StrictS3:
    """All buckets of the world. ``faults`` are those of the strict ECR, by the names of S3's operations."""

    def __init__(self, clock: Clock | None = None, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.clock: Clock = clock or SystemClock()
        self.account, self.region = account, region
        self.buckets: dict[str, Bucket] = {}
        self.faults = Faults(self.clock)
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str, str], object] = lambda *_: None  # is called with the operation and the key

    def make_bucket(self, name: str, region: str | None = None, owner: str | None = None) -> Bucket:
        """A new, empty bucket."""
        self.buckets[name] = Bucket(name, region or self.region, owner or self.account)
        return self.buckets[name]

    def client(self, **chosen: Any) -> S3Client:
        """A real boto3 client that is answered here. Takes what boto3's client takes, config above all."""
        client: S3Client = in_process.make_client("s3", self.region, self._answer, **chosen)
        return client

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
        address = urlsplit(str(request.url))
        host, path = address.netloc, unquote(address.path.lstrip("/"))
        virtual = not host.startswith("s3.")
        name, _slash, key = (host.partition(".")[0], "", path) if virtual else path.partition("/")
        query: dict[str, str] = dict(parse_qsl(str(address.query)))
        operation = _operation(str(request.method), key)
        with self.faults.connection(operation, InProcess(request.url)):
            try:
                status, headers, body = self._serve(operation, host, name, key, query, request)
            except S3Error as error:
                status, headers, body = error.status, error.headers, _xml_error(error)
        headers = {"x-amz-request-id": f"request-{sum(self.calls.values())}", **headers}
        return in_process.response(request, status, headers, body if request.method != "HEAD" else b"")

    def _serve(
        self, operation: str, host: str, name: str, key: str, query: dict[str, str], request: AWSPreparedRequest
    ) -> tuple[int, dict[str, str], bytes]:
        self.clock.sleep(self.faults.seconds(operation))
        self.calls[operation] += 1
        self._check_faults(operation, name)
        self.before(operation, key)
        bucket = self._bucket(operation, host, name, request.headers)
        if operation == "HeadBucket":
            return 200, {"x-amz-bucket-region": bucket.region}, b""
        if operation == "ListObjectsV2":
            return 200, {"content-type": "application/xml"}, _listing(bucket, query)
        if operation == "GetObject":
            if key not in bucket.objects:
                raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
            return 200, {"content-length": str(len(bucket.objects[key]))}, bucket.objects[key]
        return self._put(bucket, key, request)

    def _put(self, bucket: Bucket, key: str, request: AWSPreparedRequest) -> tuple[int, dict[str, str], bytes]:
        if _header(request.headers, "If-None-Match") == "*" and key in bucket.objects:
            raise S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        body: Any = request.body
        content: bytes = body if isinstance(body, bytes) else body.read()
        chunked = "aws-chunked" in (_header(request.headers, "Content-Encoding") or "")
        bucket.objects[key] = _joined(content) if chunked else content
        return 200, {"etag": f'"{hashlib.md5(bucket.objects[key]).hexdigest()}"'}, b""

    def _check_faults(self, operation: str, name: str) -> None:
        try:
            self.faults.check(operation, "role", name)
        except EcrError as error:
            code = {"ThrottlingException": "SlowDown", "ServerException": "InternalError"}.get(error.code, error.code)
            status = {"SlowDown": 503, "AccessDeniedException": 403}.get(code, error.status)
            raise S3Error(status, code.removesuffix("Exception"), error.message) from error

    def _bucket(self, operation: str, host: str, name: str, headers: Any) -> Bucket:
        bucket = self.buckets.get(name)
        if bucket is None:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        if f".{bucket.region}." not in f".{host}.":
            where = {"x-amz-bucket-region": bucket.region}
            words = "The bucket you are attempting to access must be addressed using the specified endpoint."
            raise S3Error(301, "PermanentRedirect", words, where)
        action = {"ListObjectsV2": "s3:ListBucket", "HeadBucket": "s3:ListBucket"}.get(operation, f"s3:{operation}")
        expected = _header(headers, "x-amz-expected-bucket-owner")
        if action in bucket.denied or (expected and expected != bucket.owner):
            raise S3Error(403, "AccessDenied", "Access Denied")
        return bucket


def _joined(chunks: bytes) -> bytes:
    """What was sent in chunks, each behind its length in hexadecimal; a chunk of none ends it."""
    parts: list[bytes] = []
    while True:
        length, _, chunks = chunks.partition(b"\r\n")
        size = int(length, 16)
        if size == 0:
            return b"".join(parts)
        parts.append(chunks[:size])
        chunks = chunks[size:].removeprefix(b"\r\n")


def _header(headers: Any, name: str) -> str | None:
    value = headers.get(name)
    return value.decode() if isinstance(value, bytes) else value


def _operation(method: str, key: str) -> str:
    if method == "PUT":
        return "PutObject"
    if method == "HEAD":
        return "HeadBucket"
    return "GetObject" if key else "ListObjectsV2"


def _listing(bucket: Bucket, query: dict[str, str]) -> bytes:
    after = query.get("continuation-token", "")
    keys = sorted(key for key in bucket.objects if key.startswith(query.get("prefix", "")) and key > after)
    size = min(PAGE_SIZE, int(query.get("max-keys", PAGE_SIZE)))
    page, more = keys[:size], len(keys) > size
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(bucket.objects[key])}</Size></Contents>" for key in page
    )
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{contents}{token}</ListBucketResult>"
    )
    return text.encode()


def _xml_error(error: S3Error) -> bytes:
    return f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>".encode()
