"""Each call of a warm handler has its own credentials, and reads nothing of botocore's data a second time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import loaders
from botocore.exceptions import ParamValidationError
from cloudformation_cli_python_lib.utils import Credentials

from awstut_ecr_autopurgerepository.provider.sessions import session_of
from sandbox.in_process import response

SERVICES = ("ecr", "s3", "logs", "cloudwatch")


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def credentials(key: str) -> Credentials:
    return Credentials(accessKeyId=key, secretAccessKey="secret", sessionToken=f"token-{key}")


def clients(key: str) -> list[Any]:
    session = session_of(credentials(key))
    assert session is not None
    make: Any = session.client
    return [make(service) for service in SERVICES]


def answer(client: Any, body: bytes) -> None:
    """Let a client of ECR get such an answer."""
    client.meta.events.register("before-send.ecr.*", lambda request, **_: response(request, 200, {}, body))


def test_without_credentials_there_is_no_session() -> None:
    assert session_of(None) is None


def test_a_second_session_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    clients("first")
    read: list[str] = []
    load = loaders.JSONFileLoader.load_file

    def load_file(self: Any, path: str) -> Any:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(loaders.JSONFileLoader, "load_file", load_file)
    clients("second")
    assert read == []


def test_each_session_signs_with_its_own_credentials() -> None:
    signed = []

    def sent(request: Any, **_: Any) -> Any:
        signed.append((request.headers["Authorization"].decode(), request.headers["X-Amz-Security-Token"].decode()))
        raise ConnectionAbortedError

    both = [clients(key)[0] for key in ("first", "second")]
    for client in (*both, both[0]):
        client.meta.events.register("before-send.ecr.*", sent)
        with pytest.raises(ConnectionAbortedError):
            client.describe_repositories()
    keys = ["first", "second", "first"]
    assert [token for _, token in signed] == [f"token-{key}" for key in keys]
    assert all(f"Credential={key}/" in header for key, (header, _) in zip(keys, signed, strict=True))
    assert [client.meta.region_name for client in both] == ["eu-west-1"] * 2


@pytest.mark.parametrize("key", ["first", "second"])
def test_a_session_has_botocore_s_own_event_handlers(key: str) -> None:
    """One of them knows which names a bucket can have: the service's model does not."""
    s3 = clients(key)[1]
    with pytest.raises(ParamValidationError, match="Invalid bucket name"):
        s3.list_objects_v2(Bucket="no bucket")


def test_what_one_session_is_to_call_no_other_one_calls() -> None:
    called = []

    def sent(**_: Any) -> Any:
        called.append("first")
        raise ConnectionAbortedError

    first, second = (clients(key)[0] for key in ("first", "second"))
    first.meta.events.register("before-send.ecr.*", sent)
    answer(second, b'{"repositories": []}')
    with pytest.raises(ConnectionAbortedError):
        first.describe_repositories()
    assert second.describe_repositories()["repositories"] == []
    assert clients("third")[0].meta.events.emit("before-send.ecr.DescribeRepositories") == []
    assert called == ["first"]


@pytest.mark.parametrize("created", ["1790000000", "1790000000.0", '"2026-09-21T14:13:20Z"'])
def test_points_in_time_are_the_same_in_any_spelling(created: str) -> None:
    ecr = clients("first")[0]
    answer(ecr, b'{"repositories": [{"createdAt": %s}]}' % created.encode())
    [found] = ecr.describe_repositories()["repositories"]
    assert found["createdAt"] == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
