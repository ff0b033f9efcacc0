"""Where purge reports are: in a bucket, or in a folder to which they were copied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..aws import AT_ONCE, Aws
from ..failures import Failure
from ..repositories import at_once

RESULTS, INTENT, SUMMARY = ".results.jsonl.gz", ".intent.jsonl.gz", "/summary.json"
_KINDS = (RESULTS, INTENT, SUMMARY)
_S3 = re.compile(r"s3://([^/]+)(?:/(.*))?")


def objects(aws: Aws, location: str) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each object of a report, by name.

    Raises Failure where there is no such folder, and what S3 raises.
    """
    found = _S3.fullmatch(location)
    if found is None:
        yield from _in_folder(Path(location))
    else:
        yield from _in_bucket(aws, found[1], found[2] or "")


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        raise Failure(f"There is no folder {folder}. Name a folder with purge reports, or s3://bucket/prefix.")
    for path in sorted(folder.rglob("*")):
        name = "/" + path.relative_to(folder).as_posix()
        if name.endswith(_KINDS) and path.is_file():
            yield name, path.read_bytes()


def _in_bucket(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """A prefix names a folder: ``purges`` does not match ``purges-of-others``."""
    prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", []) if f"/{each['Key']}".endswith(_KINDS)]
    for start in range(0, len(keys), AT_ONCE):  # a few at once: reports can be large
        batch = keys[start : start + AT_ONCE]
        contents = at_once(lambda key: aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read(), batch)
        yield from zip((f"/{key}" for key in batch), contents, strict=True)
