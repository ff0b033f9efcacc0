"""What tests of the purge report share: the report read as an auditor would read it, and checked against its schema."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import jsonschema
import pytest
from cloudformation_cli_python_lib import OperationStatus

from sandbox.ecr import StrictEcr
from tests.support.project_copy import ROOT
from tests.support.strict_s3 import Bucket, StrictS3

REPORTED = {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://audit/purges/ecr"}
THROTTLED: dict[str, Any] = {"operations": {"BatchDeleteImage"}, "rate": 1.0, "burst": 1}  # some 4,000 images a slice
SCHEMA = json.loads((ROOT / "guides" / "purge-report.schema.json").read_text())
_ONE_KIND = {kind: {**SCHEMA, "oneOf": [{"$ref": f"#/definitions/{kind}"}]} for kind in ("intent", "result", "summary")}
INTENT, RESULT, SUMMARY = (jsonschema.Draft7Validator(schema) for schema in _ONE_KIND.values())
# The same, compiled: reports of tests have lines by the ten thousand.
_check_intent, _check_result, _check_summary = (fastjsonschema.compile(schema) for schema in _ONE_KIND.values())
NAME = r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T([0-9]{2}-){2}[0-9]{2}\.[0-9]{3}Z-[0-9a-f]{12}-[0-9]+\.(intent|results)\.jsonl\.gz"
ANNOUNCEMENT = r"([0-9a-f]{16}|none|request-[0-9])/[0-9]+-[0-9a-f]{16}"
SUCCESS, FAILED = OperationStatus.SUCCESS, OperationStatus.FAILED
Record = dict[str, Any]


@pytest.fixture
def bucket(s3: StrictS3) -> Bucket:
    return s3.make_bucket("audit")


@pytest.fixture(autouse=True)
def what_is_written_is_as_documented(s3: StrictS3) -> Iterator[None]:
    """Every object of every test in this module has the shape of the JSON Schema in the guides."""
    yield
    for bucket in s3.buckets.values():
        for record in records(bucket, "intent"):
            _check_intent(record)
        for record in records(bucket, "results"):
            _check_result(record)
        for key, content in bucket.objects.items():
            if key.endswith("/summary.json"):
                _check_summary(json.loads(content))
            elif "/.operations/" in f"/{key}":
                assert re.fullmatch(ANNOUNCEMENT, key.partition(".operations/")[2])
                assert content == b""
            else:
                assert re.fullmatch(NAME, key.rpartition("/")[2])


def records(bucket: Bucket, kind: str = "results") -> list[Record]:
    """All lines of all objects of a kind, as they are."""
    return [
        json.loads(line)
        for key, content in sorted(bucket.objects.items())
        if key.endswith(f".{kind}.jsonl.gz")
        for line in gzip.decompress(content).decode().splitlines()
    ]


def outcomes(bucket: Bucket) -> dict[tuple[str, str], str]:
    """The outcome of each image, once: by digest and push time, confirmed before unconfirmed."""
    found: dict[tuple[str, str], str] = {}
    for record in records(bucket):
        key = record["digest"], record["pushedAt"]
        if found.get(key) != "confirmed":
            found[key] = record["outcome"]
    return found


def summary(bucket: Bucket) -> Record:
    [content] = [content for key, content in bucket.objects.items() if key.endswith("/summary.json")]
    found: Record = json.loads(content)
    return found


def assert_complete(ecr: StrictEcr, bucket: Bucket, digests: set[str]) -> None:
    """Every image that was there is in the report, once, and the summary counts each once."""
    found = outcomes(bucket)
    assert {digest for digest, _ in found} == digests
    assert len(found) == len(digests)
    counts = summary(bucket)["images"]
    assert counts["deleted"] == len(digests)
    assert counts["confirmed"] == sum(outcome == "confirmed" for outcome in found.values())
    assert counts["goneUnconfirmed"] == sum(outcome == "gone-unconfirmed" for outcome in found.values())
    assert counts["unresolved"] == 0


def digests_of(ecr: StrictEcr) -> set[str]:
    return {image.digest for image in ecr.images("app")}
