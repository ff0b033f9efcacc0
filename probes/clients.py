"""Clients of AWS, or of a sandbox: boto3's, and a session for the registry's own protocol."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import boto3
import requests
from botocore.config import Config
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from probes.pushing import Headers, Send

_TIMEOUT = 30  # seconds
# ECR takes ten manifests a second by default.
_RETRIES = Retry(
    total=6, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503), allowed_methods=None, raise_on_status=False
)
# Probes ask what AWS says of bad parameters: botocore must not refuse them first.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    parameter_validation=False,
    connect_timeout=10,
    read_timeout=70,
    user_agent_extra="autopurge-verify",
)


class BotoClients:
    """All clients of one session, each made once."""

    def __init__(self, session: Any, endpoint_url: str | None = None) -> None:
        """`endpoint_url` is a sandbox's, or None for what boto3 itself finds."""
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[tuple[Any, ...], Any] = {}
        self._senders: dict[str, tuple[requests.Session, str]] = {}

    def client(self, service: str, region: str, credentials: dict[str, str] | None = None) -> Any:
        key = (service, region, *sorted((credentials or {}).items()))
        if key not in self._clients:
            given: Any = credentials or {}
            self._clients[key] = self._session.client(
                service, region_name=region, endpoint_url=self._endpoint_url, config=_CONFIG, **given
            )
        return self._clients[key]

    def sender(self, region: str) -> Send:
        if region not in self._senders:
            self._senders[region] = self._log_in(region)
        session, base = self._senders[region]

        def send(method: str, path: str, headers: Headers, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
            answer = session.request(
                method, urljoin(base, path), headers=dict(headers), data=body, timeout=_TIMEOUT, allow_redirects=False
            )
            return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content

        return send

    def _log_in(self, region: str) -> tuple[requests.Session, str]:
        """A session that sends the token which ECR gave for docker login, and the registry's address."""
        [login] = self.client("ecr", region).get_authorization_token()["authorizationData"]
        base: str = login["proxyEndpoint"]
        session = requests.Session()
        session.mount("https://", HTTPAdapter(max_retries=_RETRIES))
        session.trust_env = not base.startswith("http://127.0.0.1")  # no proxy for a sandbox
        user, _, password = base64.b64decode(login["authorizationToken"]).decode().partition(":")
        session.auth = (user, password)
        return session, base

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        for session, _ in self._senders.values():
            session.close()


def sandbox_session(region: str) -> Any:
    """A session with made-up credentials."""
    return boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox", region_name=region)
