"""The Python that runs the sandbox's own process.

It has an environment of its own, which `make setup` creates within .venv. Reason: ministack pins a version of botocore,
and the package for Lambda must not depend on that version.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


class NotSetUpError(RuntimeError):
    """The environment of the sandbox is missing; the message says what to do."""


def is_this() -> bool:
    """Whether this Python has what the sandbox needs."""
    return importlib.util.find_spec("ministack") is not None


def find() -> str:
    """The path of the sandbox's Python. Raises NotSetUpError."""
    if is_this():
        return sys.executable
    python = Path(sys.prefix) / "sandbox" / "bin" / "python"
    if not python.exists():
        raise NotSetUpError(f"The sandbox's Python is not there: {python}. Run `make setup`, and use .venv/bin/python.")
    return str(python)
