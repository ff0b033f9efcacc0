"""`python -m demo`: the main job on the sandbox. Exits with 1 if anything is not as expected."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from demo.place import copied_project, environment
from demo.shell import Shell, UnexpectedError, expect
from demo.story import REGION, Story
from sandbox.server import Sandbox, start_sandbox


def main(arguments: Sequence[str] = ()) -> int:
    """Run the demo; returns the exit code."""
    asked = _parse(arguments)
    return run(Console(highlight=False, width=None if sys.stdout.isatty() else 120), asked.verbose, asked.step)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    for name, meaning in (
        ("verbose", "show all commands and their output"),
        ("step", "wait for Enter after each chapter"),
    ):
        wanted = os.environ.get(name.upper(), "") not in ("", "0")
        parser.add_argument(f"--{name}", action="store_true", default=wanted, help=f"{meaning}; or {name.upper()}=1")
    return parser.parse_args(arguments)


def run(console: Console, verbose: bool = False, step: bool = False) -> int:
    """Run the demo, and show it on a console; returns the exit code."""
    began = time.monotonic()
    try:
        with copied_project() as project:
            with start_sandbox() as box:
                _tell(Shell(console, project, environment(project, box.exports), verbose, step), box)
            expect(not _is_running(box.process_id), "the sandbox is still running")
        expect(not project.exists(), "the demo left files behind")
    except UnexpectedError as error:
        console.print(f"\n[bold red]Not as expected:[/bold red] {error}")
        return 1
    seconds = time.monotonic() - began
    console.print(f"\n[bold green]All as expected[/bold green], in {seconds:.0f} seconds; nothing is left.")
    return 0


def _tell(shell: Shell, box: Sandbox) -> None:
    shell.say(f"A local AWS answers at {box.url}. It takes about a minute, and nothing is kept.")
    if not shell.verbose:
        shell.say("[dim]make demo VERBOSE=1 shows all commands and their output; STEP=1 waits for Enter.[/dim]")
    for name, value in box.exports.items():
        shell.detail(f"export {name}={value}")
    late = float(os.environ.get("LATE") or 0)
    if late:
        box.control.be_late(late, region=REGION)
        shell.say(f"ECR is {late:g} seconds late in all that is created, tagged and deleted.")
    Story(shell, box).tell()


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
