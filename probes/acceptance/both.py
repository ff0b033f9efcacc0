"""The steps in an account and in a sandbox that is started for it, and what ended otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from probes.acceptance import registration
from probes.acceptance.compare import differences
from probes.acceptance.steps import Acceptance
from probes.clients import BotoClients, sandbox_session
from probes.made import TYPE_NAME
from probes.place import Place
from probes.removal import remove_all

Json = dict[str, Any]
_REGION = "us-east-1"
_QUICK = {"callback_delay_cap_seconds": 0.05, "retry_delay_seconds": 0.05}


def accept(place: Place, say: Callable[[str], None]) -> Json:
    """Both records, and what differs. Uses the type that is registered, or registers it for the run.

    A report is requested only if the run itself registered the type. The role of a type that was registered before may
    not be allowed to write one.
    """
    package = cache(registration.build_package)
    say("The type itself, in a sandbox")
    sandbox = _in_sandbox(package)
    say("The type itself, in the account")
    bucket = place.bucket("acceptance")
    registered = registration.make_available(place, TYPE_NAME, bucket, registration.ROLE_TEMPLATE.read_text(), package)
    steps = Acceptance(place, bucket if registered else "").run()
    found = differences(sandbox, steps)
    return {"registered by the run": registered, "differences": found, "steps": steps, "sandbox": sandbox}


def _in_sandbox(package: Callable[[], bytes]) -> dict[str, Json]:
    from sandbox.server import start_sandbox

    with start_sandbox() as box:
        box.control.settings(**_QUICK)
        clients = BotoClients(sandbox_session(_REGION), box.url)
        account = clients.client("sts", _REGION).get_caller_identity()["Account"]
        place = Place(clients, account, _REGION, poll=0.05, settle=0, on_sandbox=True)
        try:
            bucket = place.bucket("acceptance")
            registration.make_available(place, TYPE_NAME, bucket, registration.ROLE_TEMPLATE.read_text(), package)
            return Acceptance(place, bucket).run()
        finally:
            remove_all(place, place.made.things)
            clients.close()
