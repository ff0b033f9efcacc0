"""The clients of the handlers: an answer that is cut off on the way is no empty answer."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import boto3
import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, SessionProxy

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.errors import AWS_ERRORS, handler_code, is_transient
from awstut_ecr_autopurgerepository.provider.clients import ecr_client, s3_client

REGION = "eu-west-1"
DIGEST = "sha256:" + "0" * 64


class Answers(http.server.BaseHTTPRequestHandler):
    """Promises 500 bytes, and delivers ``body``."""

    body = b""
    promised = 500

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(self.promised))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = True

    do_PUT = do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[SessionProxy]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        made = boto3.Session("key", "secret", region_name=REGION)
        yield SessionProxy(made)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("body", [b"", b'{"imageDet'])
def test_a_cut_off_answer_of_ecr_is_a_failure_of_the_network(
    session: SessionProxy, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """As an empty answer, it would say that a batch deleted nothing, or that a page was the last one."""
    monkeypatch.setattr(Answers, "body", body)
    client = ecr_client(session, attempts=1)
    for call in (
        lambda: calls.describe_images(client, "app", None),
        lambda: calls.delete_images(client, "app", [DIGEST]),
    ):
        with pytest.raises(AWS_ERRORS) as raised:
            call()
        assert handler_code(raised.value) is HandlerErrorCode.NetworkFailure
        assert is_transient(raised.value)


def test_a_whole_answer_is_taken(session: SessionProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"imageDetails": []}'
    monkeypatch.setattr(Answers, "body", body)
    monkeypatch.setattr(Answers, "promised", len(body))
    assert calls.describe_images(ecr_client(session, attempts=1), "app", None)["imageDetails"] == []


def test_a_cut_off_answer_of_s3_is_a_failure_of_the_network(
    session: SessionProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "body", b"<ListBucket")
    with pytest.raises(AWS_ERRORS) as raised:
        s3_client(session, 1).list_objects_v2(Bucket="audit")
    assert is_transient(raised.value)
