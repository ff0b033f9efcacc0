"""`autopurge report`: what deletes removed, from reports that real deletes wrote."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cloudformation_cli_python_lib import OperationStatus

from autopurge.report.contents import tag_groups
from sandbox.ecr import StrictEcr
from tests.support.command_line import Autopurge
from tests.support.reports import bucket
from tests.support.strict import OWNED, STACK, Purge
from tests.support.strict_s3 import Bucket, StrictS3

__all__ = ["bucket"]
LOCATION = "s3://audit/purges/ecr"
REPORTED = {**OWNED, "awstut:auto-purge": "on purge-report", "awstut:purge-report": LOCATION}
DAY = 86_400


@pytest.fixture
def purged(ecr: StrictEcr, bucket: Bucket, delete: Purge) -> Bucket:
    """A bucket with the report of one delete, of 5 tagged, 3 untagged, 2 archived images and an index of 2 others."""
    builder = ecr.repository("app", tags=REPORTED).with_images(5, tag="v{n}", size=2_000_000, pulled_days_ago=3)
    builder.with_images(3, untagged=True, size=500, pushed_days_ago=400).with_archived(2).with_multi_arch(1)
    assert delete(stack_id=STACK, logical_id="Repository").status is OperationStatus.SUCCESS
    return bucket


def test_report_counts_images_bytes_and_outcomes(autopurge: Autopurge, purged: Bucket) -> None:
    document = autopurge.json("report", LOCATION)
    assert document["images"] == 13
    assert document["bytes"] > 5 * 2_000_000 + 3 * 500
    assert document["outcomes"] == {"confirmed": 13, "gone-unconfirmed": 0}
    assert document["archived"]["images"] == 2
    (delete,) = document["deletes"]
    assert (delete["repository"], delete["stack"], delete["status"]) == ("app", "shop", "SUCCESS")
    assert (delete["logicalId"], delete["images"], delete["unresolved"]) == ("Repository", 13, 0)


def copy(source: Bucket, folder: Path) -> Path:
    for key, content in source.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_report_of_a_folder_is_that_of_the_bucket(autopurge: Autopurge, purged: Bucket, tmp_path: Path) -> None:
    assert autopurge.json("report", str(copy(purged, tmp_path))) == autopurge.json("report", LOCATION)


def test_report_counts_an_image_once_that_two_calls_reported(autopurge: Autopurge, purged: Bucket) -> None:
    for key in [key for key in purged.objects if key.endswith(".results.jsonl.gz")]:
        purged.objects[key.replace(".results", "9.results")] = purged.objects[key]
    assert autopurge.json("report", LOCATION)["images"] == 13


def test_report_names_images_that_may_still_be_there(autopurge: Autopurge, purged: Bucket) -> None:
    for key in [key for key in purged.objects if key.endswith((".results.jsonl.gz", "summary.json"))]:
        del purged.objects[key]
    document = autopurge.json("report", LOCATION)
    assert (document["images"], document["unresolved"]) == (0, 13)
    assert document["deletes"][0]["status"] is None


def test_report_does_not_read_what_only_begins_alike(autopurge: Autopurge, purged: Bucket) -> None:
    for key in list(purged.objects):
        purged.objects[key.replace("purges/ecr/", "purges/ecr-of-others/")] = purged.objects[key]
    assert autopurge.json("report", LOCATION)["images"] == 13


def test_report_in_the_terminal_shows_the_same(autopurge: Autopurge, purged: Bucket) -> None:
    result = autopurge("report", LOCATION)
    lines = result.stdout.splitlines()
    assert lines[1].split("\t")[0] == "app"
    assert lines[1].split("\t")[2:4] == ["SUCCESS", "13"]
    assert "1 to 7 days\t5" in lines  # pulled
    assert "over a year\t3" in lines  # old
    assert "v*\t5" in lines
    assert result.stderr.startswith("1 delete: 13 images, ")


def test_report_as_csv_has_a_row_for_each_image(autopurge: Autopurge, purged: Bucket) -> None:
    rows = list(csv.DictReader(io.StringIO(autopurge("report", LOCATION, "--csv", "-").stdout)))
    assert len(rows) == 13
    assert sum(row["tags"].startswith("v") for row in rows) == 5
    assert {row["outcome"] for row in rows} == {"confirmed"}


class Page(HTMLParser):
    """What a browser would load, and the text that it would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def written(autopurge: Autopurge, folder: Path, *options: str) -> str:
    path = folder / "report.html"
    assert autopurge("report", LOCATION, "--output", str(path), *options).exit_code == 0
    return path.read_text(encoding="utf-8")


def test_page_needs_no_other_file_and_runs_no_script(autopurge: Autopurge, purged: Bucket, tmp_path: Path) -> None:
    page = Page(written(autopurge, tmp_path))
    assert page.loads == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 4
    assert "link" not in page.tags


def test_page_shows_counts_and_is_for_dark_and_for_print(autopurge: Autopurge, purged: Bucket, tmp_path: Path) -> None:
    text = written(autopurge, tmp_path)
    page = Page(text)
    for words in ("13 images deleted", "13 confirmed by ECR", "stack shop, resource Repository", "2 archived images"):
        assert words in " ".join(page.text.split())
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "ECR charges an archived image for at least 90 days" in text


def test_page_escapes_what_comes_from_a_report(autopurge: Autopurge, purged: Bucket, tmp_path: Path) -> None:
    (key,) = [key for key in purged.objects if key.endswith("summary.json")]
    summary = {**json.loads(purged.objects[key]), "status": "FAILED", "message": "<script>alert(1)</script>"}
    purged.objects[key] = json.dumps({**summary, "failures": {"KmsError": 3}}).encode()
    page = Page(written(autopurge, tmp_path))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "KmsError: 3" in page.text


def test_page_is_the_same_when_written_again(autopurge: Autopurge, purged: Bucket, tmp_path: Path) -> None:
    drop = re.compile("<!--.*?-->")
    assert drop.sub("", written(autopurge, tmp_path)) == drop.sub("", written(autopurge, tmp_path))


@pytest.mark.parametrize("location", ["s3://audit/elsewhere", "folder"])
def test_report_of_nothing_says_where_to_look(
    autopurge: Autopurge, bucket: Bucket, tmp_path: Path, location: str
) -> None:
    (tmp_path / "folder").mkdir()
    result = autopurge("report", location if location.startswith("s3") else str(tmp_path / location))
    assert result.exit_code == 1
    assert "There is no purge report at" in result.stderr


def test_report_of_a_bucket_that_is_not_there_is_an_error(autopurge: Autopurge, s3: StrictS3) -> None:
    result = autopurge("report", "s3://nothing/here")
    assert (result.exit_code, "NoSuchBucket" in result.stderr or "does not exist" in result.stderr) == (1, True)


def test_report_names_an_object_that_is_none_of_a_report(autopurge: Autopurge, purged: Bucket) -> None:
    purged.objects["purges/ecr/app/x/y.results.jsonl.gz"] = b"no gzip"
    result = autopurge("report", LOCATION)
    assert result.exit_code == 1
    assert "purges/ecr/app/x/y.results.jsonl.gz is not an object of a purge report" in result.stderr


@pytest.mark.parametrize(
    ("tags", "groups"),
    [
        (["v1.2", "v1.3", "release-7", "latest"], {"v*": 2, "release-*": 1, "latest": 1}),
        (["1.2.3", "0a1b2c3d4e5f"], {"*": 1, "commit ids": 1}),
        ([], {}),
    ],
)
def test_tags_are_grouped_by_how_they_begin(tags: list[str], groups: dict[str, int]) -> None:
    assert tag_groups([{"tags": [tag]} for tag in tags]) == groups


Events = Callable[..., None]


@pytest.fixture
def cloudtrail(autopurge: Autopurge) -> Any:
    """CloudTrail, with the events of a test: ``events`` are pages by event source, ``asked`` is what was looked up."""
    trail = SimpleNamespace(events={}, asked=[])

    def paginate(**request: Any) -> Any:
        trail.asked.append(request)
        pages = trail.events.get(request["LookupAttributes"][0]["AttributeValue"], [[]])
        return [{"Events": [{"CloudTrailEvent": json.dumps(event)} for event in page]} for page in pages]

    trail.get_paginator = lambda _: SimpleNamespace(paginate=paginate)
    autopurge.clients["cloudtrail"] = trail
    return trail


def event(name: str, who: str, time: str, **asked: str) -> dict[str, Any]:
    return {"eventName": name, "eventTime": time, "userIdentity": {"arn": who}, "requestParameters": asked}


def test_report_who_names_the_caller_of_the_delete(autopurge: Autopurge, purged: Bucket, cloudtrail: Any) -> None:
    began = autopurge.json("report", LOCATION)["deletes"][0]["beganAt"]
    cloudtrail.events["cloudformation.amazonaws.com"] = [
        [
            event("DeleteStack", "arn:aws:iam::1:user/ann", began, stackName=STACK),
            event("DeleteStack", "arn:aws:iam::1:user/other", began, stackName="other"),
            event("DescribeStacks", "arn:aws:iam::1:user/reader", began, stackName="shop"),
        ],
        [event("DeleteStack", "arn:aws:iam::1:user/early", "2020-01-01T00:00:00Z", stackName="shop")],
    ]
    (delete,) = autopurge.json("report", LOCATION, "--who")["deletes"]
    assert delete["callers"] == [f"arn:aws:iam::1:user/ann by DeleteStack at {began}"]
    assert len(cloudtrail.asked) == 1
    assert "user/ann by DeleteStack" in autopurge("report", LOCATION, "--who").stdout


def test_report_who_knows_deletes_by_cloud_control(
    autopurge: Autopurge, ecr: StrictEcr, bucket: Bucket, delete: Purge, cloudtrail: Any
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1)
    delete()
    began = autopurge.json("report", LOCATION)["deletes"][0]["beganAt"]
    asked = event("DeleteResource", "arn:aws:iam::1:user/bob", began, identifier="app")
    cloudtrail.events["cloudcontrolapi.amazonaws.com"] = [[asked]]
    (found,) = autopurge.json("report", LOCATION, "--who")["deletes"]
    assert found["callers"] == [f"arn:aws:iam::1:user/bob by DeleteResource at {began}"]


def test_report_who_does_not_read_events_for_ever(autopurge: Autopurge, purged: Bucket, cloudtrail: Any) -> None:
    cloudtrail.events["cloudformation.amazonaws.com"] = [[]] * 500
    result = autopurge("report", LOCATION, "--who")
    assert result.exit_code == 0
    assert "CloudTrail has more events than 100 pages" in result.stderr
