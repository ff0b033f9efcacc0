"""The command of guides/purge-report.md that finds who asked for a delete, run over events of CloudTrail.

The event has the fields of the example of DeleteStack in AWS's documents:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-api-logging-cloudtrail.html
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.project_copy import ROOT
from tests.support.strict import STACK

GUIDE = (ROOT / "guides" / "purge-report.md").read_text()
DOCUMENTED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "fixtures" / "cloudtrail-delete-stack.json").read_text()
)
FOUND = "2026-11-24T10:14:58Z\tDeleteStack\tarn:aws:iam::123456789012:user/Alice\t192.0.2.7\n"


def asked(*events: dict[str, Any]) -> str:
    """What jq in the guide makes of events, which the AWS CLI prints with tabs between them."""
    block = next(each for each in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if "lookup-events" in each)
    found = re.search(r"jq -r --arg id \"\$STACK_ID\" '(.*?)'\n", block, re.DOTALL)
    assert found
    command = ["jq", "-r", "--arg", "id", STACK, found[1]]
    text = "\t".join(json.dumps(event) for event in events)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("stack_name", ["shop", STACK])
def test_the_caller_of_delete_stack_is_found(stack_name: str) -> None:
    assert asked(DOCUMENTED | {"requestParameters": {"stackName": stack_name}}) == FOUND


def test_calls_of_other_stacks_and_of_other_kinds_are_left_out() -> None:
    other = DOCUMENTED | {"requestParameters": {"stackName": "other"}}
    reads = DOCUMENTED | {"eventName": "DescribeStacks"}
    nothing = DOCUMENTED | {"eventName": "ListStacks", "requestParameters": None}
    assert asked(other, reads, nothing, DOCUMENTED) == FOUND
