"""`python -m probes`: ask a sandbox (sandbox) or an account (aws), remove leftovers (clean), learn, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from probes import page, verify
from probes.learn import learn
from probes.records import VerificationError
from probes.verify import Options, RefusedError


def main() -> int:
    arguments = _parse()
    options = Options(
        **{
            name: getattr(arguments, name)
            for name in ("only", "yes", "replication", "second_region", "acceptance", "folder")
            if hasattr(arguments, name)
        }
    )
    try:
        return _run(arguments, options)
    except (RefusedError, VerificationError) as error:
        print(error, file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, options: Options) -> int:
    match arguments.command:
        case "sandbox":
            return _sandbox(options)
        case "aws":
            return verify.list_probes(options) if arguments.list else verify.verify_aws(options)
        case "clean":
            return verify.clean(options)
        case "learn":
            print("\n".join(learn(arguments.file)))
        case "page":
            print(f"Written: {page.write()}")
    return 0


def _sandbox(options: Options) -> int:
    """In a sandbox that is started for it."""
    from sandbox.server import start_sandbox  # on AWS it is not needed

    with start_sandbox() as box:
        return verify.verify_sandbox(options, box.url)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m probes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sandbox = commands.add_parser("sandbox", help="ask the local AWS, and print every answer")
    aws = commands.add_parser("aws", help="ask the account of the current credentials")
    clean = commands.add_parser("clean", help="remove what earlier runs left")
    learn_parser = commands.add_parser("learn", help="keep the answers of a verification.json, and show what differs")
    commands.add_parser("page", help="write guides/aws.md")
    for each in (sandbox, aws):
        each.add_argument("--only", default="", help="names of probes or beliefs, separated by commas")
    sandbox.set_defaults(replication=True)
    aws.add_argument("--list", action="store_true", help="show all probes; needs no credentials")
    aws.add_argument(
        "--replication",
        action="store_true",
        help="also set rules of replication for a minute, in a registry that has none",
    )
    aws.add_argument(
        "--acceptance",
        action="store_true",
        help="also use the type itself, on real stacks, and compare with the sandbox",
    )
    for each in (aws, clean):
        each.add_argument("--yes", action="store_true", help="do not ask")
        each.add_argument("--second-region", default="", help="the other Region of --replication")
        each.add_argument("--folder", type=Path, default=Path(), help="where the files are; default: this one")
    learn_parser.add_argument("file", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
