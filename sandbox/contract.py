"""`python -m sandbox.contract [options of cfn test]`: the cfn CLI's contract tests, all calls of which stay local.

Run it in a folder that holds the project (.rpdk-config, schema, inputs/). The handlers run from the built package, as
on Lambda, and work on the sandbox's AWS. Before the arguments of `cfn test` there may be:

--package ZIP   what `cfn submit --dry-run` built; it is built again without it
--sandbox URL   a sandbox that runs already; one is started without it
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rpdk.core import boto_helpers, cli

from sandbox.build import build_package
from sandbox.control import Control
from sandbox.environment import exports
from sandbox.server import start_sandbox


def main(arguments: list[str]) -> None:
    """Run `cfn test`. Ends by SystemExit where a test fails."""
    ours, theirs = _split(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contract-")))
        url = ours.sandbox or stack.enter_context(start_sandbox()).url
        package = ours.package or build_package(folder, Path.cwd())
        Control(url).serve_functions(str(package.resolve()))
        _stay_local(url, folder)
        cli.main(["test", "--endpoint", url, *theirs])


def _split(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m sandbox.contract", add_help=False, allow_abbrev=False)
    parser.add_argument("--package", type=Path)
    parser.add_argument("--sandbox")
    end = arguments.index("--") if "--" in arguments else len(arguments)  # what follows is for pytest
    ours, theirs = parser.parse_known_args(arguments[:end])
    return ours, theirs + arguments[end:]


def _stay_local(url: str, home: Path) -> None:
    """Ignore the user's AWS settings, and send calls of STS to the sandbox: the CLI has a fixed address for STS."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(exports(url), HOME=str(home), AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    boto_helpers.get_service_endpoint = lambda _service, _region: url


if __name__ == "__main__":
    main(sys.argv[1:])
