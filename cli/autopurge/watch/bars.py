"""The bars, in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .story import Stage, Story, clock_time

_STYLES = {Stage.WAITING: "dim", Stage.DELETING: "", Stage.DELETED: "green", Stage.FAILED: "bold red"}


class Bars:
    """One bar for each repository; a context manager."""

    def __init__(self, console: Console, stories: Iterable[Story]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[shown]}", markup=False),
            TextColumn("{task.fields[state]}", style="dim"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {
            story.name: self._progress.add_task(story.name, total=None, shown="", state="") for story in stories
        }

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def renderable(self) -> RenderableType:
        """The bars as they are now."""
        return self._progress.get_renderable()

    def show(self, story: Story, now: float) -> None:
        """Move the bar of a repository."""
        known = story.progress.known if story.progress else None
        total = known or (1 if story.is_over else None)
        done = story.estimate(now) if known else int(story.stage is Stage.DELETED)
        self._progress.update(
            self._tasks[story.name], total=total, completed=done, shown=_counts(story, now), state=_state(story, now)
        )


def _counts(story: Story, now: float) -> str:
    if story.progress is None:
        return ""
    return f"{story.estimate(now):,}/{story.progress.known:,}"


def _state(story: Story, now: float) -> str:
    style = _STYLES[story.stage]
    words = [f"[{style}]{story.stage.value}[/]" if style else ""]
    if story.stage is Stage.DELETING:
        left = story.seconds_left(now)
        words.append(f"{story.progress.rate:,.0f}/s" if story.progress and story.progress.rate else "")
        words.append(f"{clock_time(left)} left" if left is not None else "")
        words.append(f"pass {story.progress.number}" if story.progress else "deleting")
    words.append(f"throttled {story.throttled:,}x" if story.throttled else "")
    return "  ".join(filter(None, words))
