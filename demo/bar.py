"""Shows how many images of a repository are deleted so far: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_WIDTH = 40  # characters
_LINES = 3  # beside the first


class PurgeBar:
    """Shows what `count_left` says at each look, as deleted of `total`.

    >>> with PurgeBar(console, 2_509, lambda: images_left) as bar:
    ...     bar.look()
    """

    def __init__(self, console: Console, total: int, count_left: Callable[[], int]) -> None:
        self._console, self._total, self._count_left = console, total, count_left
        columns = (
            TextColumn("deleted"),
            BarColumn(_WIDTH),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} images"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console) if console.is_terminal else None
        self._began = 0.0
        self._shown = -1

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._progress is not None:
            self._progress.start()
            self._progress.add_task("deleted", total=self._total)
        self._show(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._show(self._total - self._count_left())
        if self._progress is not None:
            self._progress.stop()

    def look(self) -> None:
        """Show how far it is, if that is worth a line."""
        deleted = self._total - self._count_left()
        if self._progress is not None or self._shown + self._total / _LINES <= deleted < self._total:
            self._show(deleted)

    def _show(self, deleted: int) -> None:
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=deleted)
        elif deleted != self._shown:
            full = round(_WIDTH * deleted / self._total)
            drawn = "━" * full + "╌" * (_WIDTH - full)
            seconds = time.monotonic() - self._began
            self._console.print(f"deleted {drawn} {deleted:,} of {self._total:,} images, after {seconds:.1f} s")
        self._shown = deleted
