"""What stack tests share: content for repositories, and what is asked of the sandbox."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.build import ROOT
from sandbox.server import Sandbox
from tests.support.stack import Stack

Json = dict[str, Any]
Template = Callable[..., Json]
IMAGES = (("with_images", {"count": 250}), ("with_multi_arch", {"count": 3}), ("with_archived", {"count": 5}))


def holds(box: Sandbox, name: str) -> int | None:
    found = box.control.repository(name)
    return None if found is None else found["images"]


def run_command_in(box: Sandbox, message: str) -> None:
    """Type the command in a message as it is, with the AWS CLI."""
    match = re.search(r"aws ecr tag-resource .*?(?=\" \(RequestToken|$)", message)
    assert match, message
    command = match[0].replace('\\"', '"')
    done = subprocess.run(command, shell=True, env=box.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def read(box: Sandbox, name: str) -> Json:
    answer = box.client("cloudcontrol").get_resource(TypeName="Awstut::ECR::AutoPurgeRepository", Identifier=name)
    model: Json = json.loads(answer["ResourceDescription"]["Properties"])
    return model


def user_tags(box: Sandbox, name: str) -> dict[str, str]:
    tags = box.control.repository(name)["tags"]  # type: ignore[index]
    return {key: value for key, value in tags.items() if not key.startswith(("awstut:", "aws:"))}


def blocks(guide: str, language: str) -> list[str]:
    """The code blocks of a guide."""
    text = (ROOT / "guides" / guide).read_text()
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, code in re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    ]


def type_in(box: Sandbox, script: str, folder: Path | None = None, **variables: str) -> str:
    """Type commands in a shell, and return what they print."""
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder or box.home,
        env=box.environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def type_in_and_wait(box: Sandbox, script: str, folder: Path, **variables: str) -> str:
    """Likewise, where the commands wait for a stack: the AWS CLI itself looks at it every 30 seconds only."""
    parts = re.split(r"^(?=aws cloudformation wait )", script, flags=re.MULTILINE)
    printed = type_in(box, parts[0], folder, **variables)
    for part in parts[1:]:
        name = re.findall(r"--stack-name (\S+)", part)[0]
        known = box.client("cloudformation").describe_stacks()["Stacks"]
        for stack_id in [each["StackId"] for each in known if each["StackName"] == name]:  # none that is deleted
            Stack(box, name, stack_id=stack_id).wait()
        printed += type_in(box, part, folder, **variables)
    return printed
