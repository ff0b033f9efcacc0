"""Is the type registered in this account and Region? If not, the run registers it, and deregisters it at the end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from probes.made import Kind
from probes.place import Place, ProbeError
from probes.recorder.use import register
from probes.removal import is_registered
from probes.stacks import new_stack

_ROOT = Path(__file__).resolve().parent.parent.parent
ROLE_TEMPLATE = _ROOT / "resource-role.yaml"
_TRIES = 3


def build_package() -> bytes:
    """The package that `make package` builds. Raises ProbeError."""
    with tempfile.TemporaryDirectory(prefix="autopurge-package-") as folder:
        command = [sys.executable, str(_ROOT / "scripts" / "package.py"), "--folder", folder]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ProbeError(f"The package could not be built: {done.stderr}")
        [package] = Path(folder).glob("*.zip")
        return package.read_bytes()


def make_available(
    place: Place, type_name: str, bucket: str, role_template: str, package: Callable[[], bytes] = build_package
) -> bool:
    """Register the type, unless it is registered already. Returns True if this call registered it.

    A stack of the template makes the type's role. Raises ProbeError.
    """
    if is_registered(place, type_name):
        return False
    key = "type.zip"
    place.client("s3").put_object(Bucket=bucket, Key=key, Body=package())
    role = _role(place, role_template)
    place.clock.sleep(place.settle)
    thing = place.made.note(Kind.TYPE, type_name, place.region)
    for attempt in range(1, _TRIES + 1):
        answer = register(place, type_name, f"s3://{bucket}/{key}", role)
        if answer["ProgressStatus"] == "COMPLETE":
            place.made.confirm(thing)
            return True
        if attempt < _TRIES:
            place.clock.sleep(place.settle)
    raise ProbeError(f"{type_name} could not be registered: {answer.get('Description', '')}")


def _role(place: Place, template: str) -> str:
    """The ARN of the execution role that a stack of the template makes."""
    stack = new_stack(place, "role")
    status = stack.create(template, Capabilities=["CAPABILITY_IAM"])
    if status != "CREATE_COMPLETE":
        raise ProbeError(f"The stack with the execution role is {status}.")
    return stack.outputs()["ExecutionRoleArn"]
