"""The recorder's package is one that CloudFormation takes, and its requests to S3 are signed as botocore signs them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from probes.made import DESCRIPTION, Run, run_of
from probes.recorder import handlers, package, schema

KEYS = {"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "secret", "sessionToken": "token"}
NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_schema_is_one_that_the_cfn_cli_takes() -> None:
    from rpdk.core.data_loaders import load_resource_spec  # warns when it is imported

    name = Run.new().type_name
    loaded = load_resource_spec(io.StringIO(json.dumps(schema(name))))
    assert loaded["typeName"] == name
    assert loaded["description"].startswith(DESCRIPTION)
    assert run_of(name) is not None


def test_the_package_has_what_the_cfn_cli_uploads() -> None:
    with zipfile.ZipFile(io.BytesIO(package("Autopurge::R1::Recorder", "bucket"))) as outer:
        assert {"schema.json", ".rpdk-config", "ResourceProvider.zip"} == set(outer.namelist())
        entrypoint = json.loads(outer.read(".rpdk-config"))["entrypoint"]
        with zipfile.ZipFile(io.BytesIO(outer.read("ResourceProvider.zip"))) as inner:
            assert inner.read("recorder/bucket.txt") == b"bucket"
            assert entrypoint == "recorder.handlers.resource"
            assert b"def resource(" in inner.read("recorder/handlers.py")


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("PUT", "https://bucket.s3.eu-west-1.amazonaws.com/requests/thing-1/17-CREATE", b'{"a": 1}'),
        ("GET", "https://bucket.s3.eu-west-1.amazonaws.com/things/thing-1", b""),
        ("GET", "https://bucket.s3.eu-west-1.amazonaws.com/?list-type=2&prefix=requests%2Fthing-1%2F", b""),
    ],
)
def test_requests_are_signed_as_botocore_signs_them(
    monkeypatch: pytest.MonkeyPatch, method: str, url: str, body: bytes
) -> None:
    monkeypatch.setattr(handlers, "Path", FakePath)
    monkeypatch.setattr(time, "gmtime", lambda *_: NOW.timetuple())
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
    ours = handlers.Store(KEYS, "eu-west-1")._headers(method, url, body)
    kind = {"content-type": "application/json"} if body else {}
    request = AWSRequest(method, url, kind, body or None)
    S3SigV4Auth(Credentials("ASIAEXAMPLE", "secret", "token"), "s3", "eu-west-1").add_auth(request)
    assert ours["Authorization"] == request.headers["Authorization"]


class FakePath:
    """The file that names the bucket."""

    def __init__(self, *_: Any) -> None:
        self.parent = self

    def __truediv__(self, _: str) -> FakePath:
        return self

    def read_text(self) -> str:
        return "bucket"
