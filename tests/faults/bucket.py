"""A bucket for tests that write many reports: a client of S3 without botocore, with the faults of the strict one."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from sandbox.connections import InProcess
from sandbox.ecr import VirtualClock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.faults import Faults

_CODES = {"ThrottlingException": ("SlowDown", 503), "ServerException": ("InternalError", 500)}


class ReportBucket:
    """One bucket, and the digests that the intents and the results in it name, by folder."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.faults = Faults(clock)
        self.meta = SimpleNamespace(events=SimpleNamespace(register_first=lambda *_: None))  # it repeats nothing itself
        self.objects: dict[str, bytes] = {}
        self.named: dict[str, dict[str, set[str]]] = {"intent": {}, "results": {}}

    def client(self, **_: Any) -> ReportBucket:
        return self

    @contextmanager
    def _call(self, operation: str) -> Iterator[None]:
        self.clock.sleep(self.faults.seconds(operation))
        with self.faults.connection(operation, InProcess()):
            try:
                self.faults.check(operation, "role", "bucket")
            except EcrError as error:
                code, status = _CODES.get(error.code, ("AccessDenied", 403))
                answer: Any = {
                    "Error": {"Code": code, "Message": error.message},
                    "ResponseMetadata": {"HTTPStatusCode": status},
                }
                raise ClientError(answer, operation) from error
            yield

    def put_object(self, Key: str, Body: bytes, IfNoneMatch: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        with self._call("PutObject"):
            if IfNoneMatch and Key in self.objects:
                answer: Any = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
                raise ClientError(answer, "PutObject")
            self.objects[Key] = Body
            kind = Key.split(".")[-3] if Key.endswith(".jsonl.gz") else None
            if kind:
                lines = gzip.decompress(Body).decode().splitlines()
                folder = Key.rpartition("/")[0] + "/"
                self.named[kind].setdefault(folder, set()).update(json.loads(line)["digest"] for line in lines)
        return {}

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        with self._call("GetObject"):
            return {"Body": io.BytesIO(self.objects[Key])}
        raise AssertionError

    def list_objects_v2(self, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        with self._call("ListObjectsV2"):
            return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}
        raise AssertionError

    def digests(self, kind: str, folder: str) -> set[str]:
        """The digests that the intents, or the results, of one operation name."""
        return self.named[kind].get(folder, set())
