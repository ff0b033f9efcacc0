"""The environment variables of the sandbox's own process, and of those that use it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

HOST = "127.0.0.1"
ACCOUNT = "123456789012"
REGION = "us-east-1"
# All secret keys and session tokens of the sandbox begin with this. It has letters only, so that tests also find it in
# an encoded token.
SECRET_PREFIX = "SANDBOXSECRET"

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_KEPT_FOR_DOWNLOADS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def exports(url: str, region: str = REGION) -> dict[str, str]:
    """What a terminal needs so that the AWS CLI, boto3 and the cfn CLI talk to the sandbox at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_PAGER": "",
    }


def for_subprocess(url: str, home: Path, region: str = REGION) -> dict[str, str]:
    """A whole environment for a command that uses the sandbox, without the user's AWS settings.

    pip, which `cfn submit` runs, keeps its settings and proxies: they are not used for 127.0.0.1.
    """
    names = [*_KEPT, *_KEPT_FOR_DOWNLOADS, *(name for name in os.environ if name.startswith("PIP_"))]
    users_pip = Path.home() / ".config" / "pip" / "pip.conf"
    return {
        **({"PIP_CONFIG_FILE": str(users_pip)} if users_pip.exists() else {}),
        **{name: os.environ[name] for name in names if name in os.environ},
        **exports(url, region),
        "HOME": str(home),
        "TMPDIR": str(home),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
    }


def isolate(port: int, folder: Path, verbose: bool) -> None:
    """Set this process's environment for ministack, which reads it when it is imported. Call this before the import.

    ministack writes to `folder` only. Neither ministack nor the functions that it runs see the user's credentials,
    profiles and proxies. DOCKER_HOST hides every docker daemon: ministack would remove containers in it.
    """
    _replace_environment(
        {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **exports(f"http://{HOST}:{port}"),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "STATE_DIR": str(folder / "state"),
            "S3_DATA_DIR": str(folder / "s3"),
            "LOG_LEVEL": "INFO" if verbose else "CRITICAL",
            "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
    )


def _replace_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None  # computed again, from TMPDIR
