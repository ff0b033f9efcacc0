"""The commands that a script for a shell would start: bash takes the script apart, and starts none of them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

# Bash finds no program, and calls this function instead. A command "succeeds", so what follows && is seen; from the
# first sleep on it fails, so that loops end. The second time all fail, so what follows || is seen.
# The record of a command is one line, which bash writes at once, because the commands of a pipe run side by side.
_RECORDER = """
command_not_found_handle() {
  local words
  printf -v words '%s\\x1f' "$@"
  printf '%s\\n' "${words//$'\\n'/$'\\x1e'}" >>"$RECORD"
  echo answer
  return "$FAILS"
}
sleep() { FAILS=1; }
.() { :; }
"""


def commands_of(script: str, folder: Path, variables: Mapping[str, str]) -> list[list[str]]:
    """The words of each command, each once, in the order in which bash comes to them; ``variables`` are set.

    What the script redirects is written into ``folder``. A program that is named by a path is known by its last part.
    """
    record = folder / "record"
    record.write_bytes(b"")
    without_paths = script.replace(".venv/bin/", "")
    for fails in ("0", "1"):
        environment = {"PATH": str(folder / "none"), "HOME": str(folder), "RECORD": str(record), "FAILS": fails} | dict(
            variables
        )
        done = subprocess.run(
            ["/bin/bash", "--norc", "-c", _RECORDER + without_paths],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "syntax error" in done.stderr:
            raise ValueError(f"{script}\n{done.stderr}")
    found = dict.fromkeys(record.read_text(encoding="utf-8").split("\n")[:-1])
    return [each.replace("\x1e", "\n").split("\x1f")[:-1] for each in found]
