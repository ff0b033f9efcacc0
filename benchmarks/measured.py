"""The processes that are measured. Run with: python -I -S -B measured.py CODE_FOLDER URL WHAT...

CODE_FOLDER is the unpacked package that `cfn submit` uploads; nothing but it and Python's own library is imported, and
no compiled files are kept: so it is on Lambda, too. One line of JSON on stdout says what was seen.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

ACCOUNT, REGION, NAME = "123456789012", "eu-west-1", "app"


def usage() -> dict[str, float]:
    """Peak memory in MB and CPU time in seconds of this process.

    The peak is VmHWM on Linux, because ru_maxrss begins with the memory of the process that started this one.
    """
    times = resource.getrusage(resource.RUSAGE_SELF)
    peak = times.ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return {"peak_mb": round(peak / 1_024, 1), "cpu_seconds": round(times.ru_utime + times.ru_stime, 3)}


def event(action: str, context: dict[str, Any] | None = None) -> dict[str, Any]:
    """What CloudFormation sends."""
    return {
        "action": action,
        "awsAccountId": ACCOUNT,
        "region": REGION,
        "bearerToken": "token-1",
        "resourceType": "Awstut::ECR::AutoPurgeRepository",
        "callbackContext": context,
        "requestData": {
            "resourceProperties": {"RepositoryName": NAME},
            "callerCredentials": {"accessKeyId": "key", "secretAccessKey": "secret", "sessionToken": "token"},
        },
    }


def purge(contender: str) -> dict[str, Any]:
    """Empty and delete the repository as a contender does it."""
    if contender != "ours":
        import boto3

        from benchmarks.contenders import CONTENDERS, run

        client = boto3.client("ecr", region_name=REGION, aws_access_key_id="key", aws_secret_access_key="secret")
        return {"error": run(CONTENDERS[contender], client, NAME)}
    from awstut_ecr_autopurgerepository import handlers

    context, slices = None, 0
    while True:
        answer = handlers.resource(event("DELETE", context), None)
        slices += 1
        if answer["status"] != "IN_PROGRESS":
            return {"error": answer.get("message") or None, "slices": slices}
        context = answer["callbackContext"]


def entry_point(which: str) -> Callable[..., dict[str, Any]]:
    """What Lambda calls: ours, or one that does next to nothing."""
    if which == "ours":
        from awstut_ecr_autopurgerepository.handlers import resource as ours

        return ours
    from benchmarks import empty

    return getattr(empty, which)  # type: ignore[no-any-return]


def read_once(which: str) -> dict[str, Any]:
    """The first answer of a new process."""
    answer = entry_point(which)(event("READ"), None)
    assert answer["status"] == "SUCCESS", answer
    return {}


def read_often(times: int = 300) -> dict[str, Any]:
    """The median milliseconds of a read: ``ours`` by our handler, ``straight`` by the same calls without it, in turn.

    Both use the same client. To make a client takes ten times as long as everything else, and its time varies by more
    than the difference that is measured. ``whole`` is our handler with a client of its own, as on Lambda.
    """
    import boto3
    from cloudformation_cli_python_lib import resource as library

    from awstut_ecr_autopurgerepository.provider import resource as ours

    whole = [_milliseconds(entry_point("ours")) for _ in range(30)]
    client = boto3.client("ecr", aws_access_key_id="key", aws_secret_access_key="secret")
    session = SimpleNamespace(client=lambda *_, **__: client)
    mock.patch.object(library, "_get_boto_session", return_value=session).start()
    mock.patch.object(ours, "session_of", return_value=session).start()
    milliseconds: dict[str, list[float]] = {"ours": [], "straight": []}
    entries = {which: entry_point(which) for which in milliseconds}
    for _ in range(times):
        for which, call in entries.items():
            milliseconds[which].append(_milliseconds(call))
    medians = {which: round(statistics.median(each), 3) for which, each in milliseconds.items()}
    return {**medians, "whole": round(statistics.median(whole), 3)}


def _milliseconds(call: Callable[..., Any]) -> float:
    began = time.perf_counter()
    answer = call(event("READ"), None)
    seconds = time.perf_counter() - began
    assert answer["status"] == "SUCCESS", answer
    return seconds * 1_000


def main() -> None:
    code, url, what, *arguments = sys.argv[1:]
    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [code, str(root)]
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": os.devnull}
    began = time.perf_counter()
    measures: dict[str, Callable[..., dict[str, Any]]] = {
        "purge": purge,
        "read-once": read_once,
        "read-often": read_often,
    }
    seen = measures[what](*arguments)
    print(json.dumps({**seen, "seconds": round(time.perf_counter() - began, 3), **usage()}), flush=True)
    os._exit(0)  # ending is not what is measured


if __name__ == "__main__":
    main()
