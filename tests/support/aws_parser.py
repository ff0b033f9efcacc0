"""`python aws_parser.py`: the complaints of the AWS CLI about commands. It parses and checks them, and runs none.

This is a process of its own, because to import awscli replaces the project's botocore with that of awscli. Standard
input is a JSON list of lists of arguments. Standard output is a JSON list of complaints, which are empty where there
are none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

_LONGEST_COMPLAINT = 200  # characters
_BEGINNINGS = ("Invalid choice:", "error: ", "Unknown options:", "Bad value for")


class _Checks:
    """Replaces the part that calls AWS: it checks the parameters against the operation, and sends no request."""

    def __init__(self, session: Any, *_: Any) -> None:
        self.session = session

    def invoke(self, service: str, operation: str, parameters: dict[str, Any], _: Any) -> int:
        from awscli.botocore.validate import ParamValidator

        shape = self.session.get_service_model(service).operation_model(operation).input_shape
        report = ParamValidator().validate(parameters, shape)
        if report.has_errors():
            raise ValueError(report.generate_report())
        return 0


def _cli_that_runs_nothing() -> Any:
    from awscli import clidriver
    from awscli.customizations import waiters
    from awscli.customizations.commands import BasicCommand

    parse_and_run = BasicCommand.__call__

    def parse(command: Any, *arguments: Any) -> Any:
        if not command.SUBCOMMANDS:
            command._run_main = lambda *_: 0
        return parse_and_run(command, *arguments)

    BasicCommand.__call__ = parse
    clidriver.CLIOperationCaller = _Checks
    waiters.WaiterCaller = _Checks
    setattr(argparse.ArgumentParser, "_get_option_tuples", lambda *_: [])  # noqa: B010  # no options that are cut short
    return clidriver.create_clidriver()


def complaint(driver: Any, arguments: Sequence[str]) -> str:
    """What the AWS CLI says if it does not accept the arguments."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = driver.main([*arguments, "--region", "us-east-1"])
        except SystemExit as end:
            code = end.code
    words = " ".join(said.getvalue().split()) or "it says nothing"
    begins = max(0, *map(words.rfind, _BEGINNINGS))
    return words[begins:][:_LONGEST_COMPLAINT] if code else ""


if __name__ == "__main__":
    cli = _cli_that_runs_nothing()
    print(json.dumps([complaint(cli, each) for each in json.load(sys.stdin)]))
