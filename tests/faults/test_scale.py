"""A hundred thousand images: time, calls, memory and context stay within their limits."""

from __future__ import annotations

import hashlib
import io
import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from cloudformation_cli_python_lib import OperationStatus

from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from sandbox.ecr.http import serve
from sandbox.server import start_sandbox
from tests.faults.handler_process import HandlerProcess
from tests.support.direct_client import direct_client
from tests.support.page_numbers import figures
from tests.support.project_copy import ROOT
from tests.support.strict import MARKED, OWNED, Purge, Wire

MEMORY_LIMIT = 128 << 20
CONTEXT_LIMIT = 4_096
OTHER_CALLS = 6  # two looks at the repository, its tags, its delete, and the proof that it is gone; one to spare

Fill = Callable[[RepositoryBuilder], object]
CONTENTS: dict[str, Fill] = {
    "100,000 single images": lambda builder: builder.with_images(100_000),
    "33,000 two-architecture builds": lambda builder: builder.with_multi_arch(33_000),
}


def time_limit() -> float:
    """Seconds that the schema gives a delete."""
    schema = json.loads((ROOT / "awstut-ecr-autopurgerepository.json").read_text())
    return float(schema["handlers"]["delete"]["timeoutInMinutes"]) * 60


def pages(images: int) -> int:
    return math.ceil(images / 1_000)


def least_calls(indexes: int, others: int) -> int:
    """The least with which so many images can be listed, deleted with the indexes first, and the repository with it."""
    return pages(indexes + others) + math.ceil(indexes / 100) + math.ceil(others / 100) + OTHER_CALLS


def answered(ecr: StrictEcr) -> Counter[str]:
    return Counter(call.operation for call in ecr.call_log if call.error is None)


def finish(handler: HandlerProcess, wire: Wire) -> dict[str, Any] | None:
    """The last answer of a delete, over as many calls as it takes."""
    answer = handler.call(wire.event("DELETE", {"RepositoryName": "app"}))
    while answer and answer["status"] == "IN_PROGRESS":
        answer = handler.call(wire.event("DELETE", {"RepositoryName": "app"}, context=answer["callbackContext"]))
    return answer


@pytest.mark.parametrize("contents", CONTENTS)
def test_many_images_at_5_calls_a_second(ecr: StrictEcr, clock: VirtualClock, delete: Purge, contents: str) -> None:
    CONTENTS[contents](ecr.repository("app", tags=MARKED))
    images = ecr.holds("app") or 0
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(rate=5, burst=5)
    delete.client = direct_client(ecr)
    began = clock.monotonic()
    event = delete()
    contexts = [len(json.dumps(each.callbackContext)) for each in delete.events[:-1]]
    seconds, calls, slices = clock.monotonic() - began, answered(ecr), len(delete.events)
    print(
        f"{contents}: {seconds:,.0f} s, {slices} slices, longest {max(delete.slice_seconds):.1f} s, {calls}, "
        f"largest context {max(contexts)} bytes"
    )
    assert event.status is OperationStatus.SUCCESS, event.message
    assert ecr.holds("app") is None
    assert seconds < time_limit()
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
    assert max(contexts) < CONTEXT_LIMIT
    assert calls["DescribeImages"] <= pages(images) * slices
    assert calls["BatchDeleteImage"] <= 1.05 * math.ceil(images / 100)
    column = list(CONTENTS).index(contents)
    assert figures("at 5 requests")[column] == f"{seconds:,.0f} s, {slices} calls of the handler"
    assert figures("longest call")[column] == f"{max(delete.slice_seconds):.1f} s"
    assert figures("largest callback context")[column] == f"{max(contexts):,} bytes"
    assert calls["DescribeImages"] == {0: 221, 1: 219}[column]  # the guide has the first


@pytest.mark.parametrize(
    ("contents", "indexes", "others"),
    [("100,000 single images", 0, 100_000), ("33,000 two-architecture builds", 33_000, 66_000)],
)
def test_many_images_in_a_process_of_their_own(contents: str, indexes: int, others: int) -> None:
    """Unthrottled, so that all digests are in memory at once."""
    ecr = StrictEcr()
    CONTENTS[contents](ecr.repository("app", tags=OWNED))
    with serve(ecr) as url, HandlerProcess(url) as handler:
        answer = finish(handler, Wire(ecr))
    calls, further = sum(ecr.calls.values()), len(handler.seconds) - 1
    print(f"{contents}: {calls} calls, {sum(handler.seconds):.1f} s, peak {handler.peak_bytes / (1 << 20):.1f} MiB")
    assert answer
    assert answer["status"] == "SUCCESS", answer
    assert ecr.holds("app") is None
    # On a slow machine the first call answers early, each further one lists what is left, and what is answered too late
    # is asked again. The exact calls are those of the virtual clock, above and in the bench.
    assert calls <= 1.2 * least_calls(indexes, others) + further * (pages(indexes + others) + OTHER_CALLS)
    assert handler.peak_bytes < MEMORY_LIMIT


def test_many_images_with_a_report_in_a_process_of_their_own(ecr: StrictEcr) -> None:
    """All records are in memory too, compressed; S3 is the sandbox's."""
    place = {"account": ecr.account, "region": ecr.region}
    tags = OWNED | {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://audit/purges"}
    with start_sandbox() as box, HandlerProcess(box.url) as handler:
        box.client("s3").create_bucket(Bucket="audit")
        tag_list = [{"Key": key, "Value": value} for key, value in tags.items()]
        box.client("ecr", region=ecr.region).create_repository(repositoryName="app", tags=tag_list)
        box.control.seed("app", ("with_images", {"count": 100_000}), **place)
        answer = finish(handler, Wire(ecr))
        assert answer
        assert answer["status"] == "SUCCESS", answer
        assert box.control.repository("app", **place) is None
        key = answer["message"].split("s3://audit/")[1].rstrip(".")
        summary = json.loads(box.client("s3").get_object(Bucket="audit", Key=key)["Body"].read())
    print(f"with a report: {sum(handler.seconds):.1f} s, peak {handler.peak_bytes / (1 << 20):.1f} MiB")
    assert summary["images"]["confirmed"] == 100_000
    assert handler.peak_bytes < MEMORY_LIMIT


@contextmanager
def served_bucket() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A bucket over HTTP that takes and gives objects: its address, and what is in it."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            objects[self.path.partition("?")[0]] = self.body()
            self.answer(b"")

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            prefix = "/audit/" + parse_qs(query).get("prefix", [""])[0]
            keys = [key.removeprefix("/audit/") for key in sorted(objects) if key.startswith(prefix)]
            listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
            self.answer(objects.get(path) or f"<ListBucketResult>{listed}</ListBucketResult>".encode())

        def body(self) -> bytes:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "aws-chunked" not in (self.headers.get("Content-Encoding") or ""):
                return body
            content, chunks = b"", io.BytesIO(body)
            while size := int(chunks.readline().split(b";")[0], 16):
                content += chunks.read(size)
                chunks.readline()
            return content

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", objects
    finally:
        server.shutdown()
        server.server_close()


def test_many_images_of_ten_long_tags_with_a_report_in_a_process_of_their_own() -> None:
    """The records of these images do not fit into memory, even compressed: each tag is a hash of 128 characters."""
    ecr = StrictEcr()
    tags = OWNED | {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://audit/purges"}
    builder = ecr.repository("app", tags=tags)
    for image in range(100_000):
        builder.push(tuple(hashlib.sha512(f"{image} {tag}".encode()).hexdigest() for tag in range(10)))
    with serve(ecr) as url, served_bucket() as (s3_url, objects), HandlerProcess(url, s3_url) as handler:
        answer = finish(handler, Wire(ecr))
    print(f"ten long tags: {sum(handler.seconds):.1f} s, peak {handler.peak_bytes / (1 << 20):.1f} MiB")
    assert answer
    assert answer["status"] == "SUCCESS", answer
    [summary] = [json.loads(content) for key, content in objects.items() if key.endswith("summary.json")]
    assert summary["images"]["confirmed"] == 100_000
    assert handler.peak_bytes < MEMORY_LIMIT


def test_a_list_of_1000_repositories_has_each_once(ecr: StrictEcr, wire: Wire) -> None:
    names = [f"team-{number % 7}/app-{number:04}" for number in range(1_000)]
    for name in names:
        ecr.repository(name)
    assert [each["RepositoryName"] for each in wire.call("LIST")["resourceModels"]] == sorted(names)


@pytest.mark.parametrize("count", [999, 1_000, 1_001, 2_345])
def test_list_pages_end_and_together_have_each_repository_once(ecr: StrictEcr, wire: Wire, count: int) -> None:
    names = [f"app-{number:05}" for number in range(count)]
    for name in names:
        ecr.repository(name)
    found, token, answers = [], None, 0
    while True:
        answer = wire.call("LIST", next_token=token)
        found += [each["RepositoryName"] for each in answer["resourceModels"]]
        token, answers = answer.get("nextToken"), answers + 1
        if token is None:
            break
    assert found == names
    assert answers == math.ceil(count / 1_000)


def test_list_pages_survive_deletes_between_them(ecr: StrictEcr, wire: Wire) -> None:
    names = [f"app-{number:05}" for number in range(1_500)]
    for name in names:
        ecr.repository(name)
    first = wire.call("LIST")
    for name in names[500:1_000]:
        ecr.call("DeleteRepository", {"repositoryName": name})
    second = wire.call("LIST", next_token=first["nextToken"])
    assert [each["RepositoryName"] for each in second["resourceModels"]] == names[1_000:]
    assert "nextToken" not in second
