"""The purge report through CloudFormation, and the guide's questions asked of it."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import duckdb
import pytest

from sandbox.build import ROOT
from sandbox.server import Sandbox
from tests.stack.support import Json, Template, blocks, holds, type_in
from tests.support.stack import Stack, unique_name

GUIDE = "purge-report.md"
# Each test has a bucket of its own, and the hardened role has one for all: test_security.py has reports under that.
pytestmark = pytest.mark.usefixtures("generated_role")


@pytest.fixture
def bucket(box: Sandbox) -> str:
    name = unique_name("audit")
    box.client("s3").create_bucket(Bucket=name)
    return name


def objects(box: Sandbox, bucket: str) -> dict[str, bytes]:
    client = box.client("s3")
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}


def results(box: Sandbox, bucket: str) -> list[Json]:
    contents = [content for key, content in objects(box, bucket).items() if key.endswith(".results.jsonl.gz")]
    return [json.loads(line) for content in contents for line in gzip.decompress(content).splitlines()]


def test_a_delete_reports_what_it_removes(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, bucket: str
) -> None:
    report = {"BucketName": bucket, "Prefix": "purges/ecr"}
    stack.create(template({"RepositoryName": repository_name, "PurgeReport": report}))
    box.control.seed(repository_name, ("with_images", {"count": 150}), ("with_multi_arch", {"count": 3}))
    assert stack.delete() == "DELETE_COMPLETE"
    found = results(box, bucket)
    assert len({each["digest"] for each in found}) == len(found) == 159
    assert {each["stackId"] for each in found} == {stack.stack_id}
    [summary] = [json.loads(body) for key, body in objects(box, bucket).items() if key.endswith("/summary.json")]
    assert summary["logicalId"] == "Repository"
    assert summary["images"]["confirmed"] == 159


def test_a_report_that_cannot_be_written_is_refused_with_the_command_that_does_without(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    wanted = {"RepositoryName": repository_name, "PurgeReport": {"BucketName": unique_name("missing")}}
    stack.create(template(wanted))
    box.control.seed(repository_name, ("with_images", {"count": 5}))
    assert stack.delete() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED")
    assert "there is no bucket missing-" in message
    assert holds(box, repository_name) == 5
    command = re.search("aws ecr tag-resource .*Value=off", message)
    assert command
    type_in(box, command[0])
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.fixture
def answers(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, bucket: str, tmp_path: Path
) -> list[list[tuple[object, ...]]]:
    """What the guide's queries answer on a report made in the sandbox, fetched by the guide's command."""
    name = "team/app"
    wanted = {"RepositoryName": name, "PurgeReport": {"BucketName": bucket, "Prefix": "purges"}}
    stack.create(template(wanted))
    box.control.seed(
        name,
        ("with_images", {"count": 1, "tag": "big", "size": 9_000_000_000}),
        ("with_images", {"count": 1, "tag": "lately", "size": 5, "pulled_days_ago": 2}),
        ("with_images", {"count": 1, "tag": "long-ago", "size": 6, "pulled_days_ago": 60}),
    )
    assert stack.delete() == "DELETE_COMPLETE"
    fetch, _who = blocks(GUIDE, "sh")
    type_in(box, f"cd {tmp_path}\n{fetch}", BUCKET=bucket, PREFIX="purges")
    view, *queries = blocks(GUIDE, "sql")
    connection = duckdb.connect()
    connection.execute(view.replace("report/**", f"{tmp_path}/report/**"))
    return [connection.execute(query.replace("report/**", f"{tmp_path}/report/**")).fetchall() for query in queries]


def test_the_questions_of_the_guide_are_answered(answers: list[list[tuple[object, ...]]], stack: Stack) -> None:
    last_week, biggest, pulled, without_result = answers
    assert [(row[1], row[4]) for row in last_week] == [(stack.stack_id, "confirmed")] * 3
    assert [row[1] for row in biggest] == [["big"], ["long-ago"], ["lately"]]
    assert [row[1] for row in pulled] == [["lately"]]
    assert without_result == []


def test_the_table_for_athena_has_the_fields_of_a_record() -> None:
    [statement] = blocks(GUIDE, "athena")
    columns = dict(re.findall(r"(\w+) (string|bigint|array<string>)", statement))
    schema = json.loads((ROOT / "guides" / "purge-report.schema.json").read_text())["definitions"]["record"]
    kinds = {"array": "array<string>", "integer": "bigint"}
    assert columns == {name: kinds.get(str(each.get("type")), "string") for name, each in schema["properties"].items()}


def test_the_line_that_the_guide_shows_has_the_fields_of_a_record() -> None:
    [example] = blocks(GUIDE, "json")
    schema = json.loads((ROOT / "guides" / "purge-report.schema.json").read_text())["definitions"]["record"]
    assert list(json.loads(example)) == list(schema["properties"])
