"""Shows progress while cells run: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from benchmark.report.escape import clean, for_terminal
from benchmark.suite.spec import RunSpec

if TYPE_CHECKING:  # they load torch, and `status` prints durations without it
    from benchmark.engine.cell import Watcher
    from benchmark.training.train import Progress

EVERY = 10.0
"""Seconds between plain lines about one cell."""
NARROW = 100
"""Columns of a terminal below which there is no room for bars beside a cell's name."""
BESIDE = 48
"""Columns beside the name: steps, loss and sparsity, time."""
BAR = 10
"""Columns of the shortest bar."""
TRACEBACK = 30
"""Lines below which the traceback of a plugin is printed whole."""


def first_line(reason: str) -> str:
    """The first line of a failure's reason; the traceback that may follow is printed once, at the end."""
    return reason.partition("\n")[0]


def failures(cells: Iterable[tuple[str, str, Path]], word: str = "FAILED") -> list[str]:
    """Failed cells by name, reason and the file that has it, a line each; a reason that several share is printed once.

    Of a reason of several lines the first is printed, and the rest where it is the short traceback of a plugin.
    """
    first: dict[str, str] = {}
    lines = []
    for name, reason, file in cells:
        rest = reason.partition("\n")[2]
        whole = not rest or (rest.startswith("Traceback") and rest.count("\n") < TRACEBACK)
        told = reason if whole else f"{first_line(reason)} (the whole text is in {file})"
        lines.append(f"{word} {name}: {f'as {first[reason]}, above' if reason in first else told}")
        first.setdefault(reason, name)
    return lines


class Silent:
    """Shows nothing."""

    def started(self, spec: RunSpec) -> "Progress":  # noqa: ARG002 - a null object
        """A cell starts; its progress is not shown."""
        from benchmark.training.train import silent

        return silent

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """Nothing."""

    def failed(self, spec: RunSpec, reason: str) -> None:
        """Nothing."""

    def noted(self, spec: RunSpec, text: str) -> None:
        """Nothing."""


def shortened(name: str, most: int) -> str:
    """A cell's name in `most` letters, 20 at least. It is cut before sparsity and seed, which tell a row's cells apart."""
    most = max(most, 20)
    return name if len(name) <= most else f"{name[: most - 12]}…{name[-11:]}"


class Tally:
    """Counts cells, and estimates the time left from the pace so far."""

    def __init__(self, done: int, total: int) -> None:
        self.done, self.total, self.fresh, self.began = done, total, 0, time.monotonic()

    def add(self) -> None:
        """Count one more cell, finished or failed."""
        self.done, self.fresh = self.done + 1, self.fresh + 1

    @property
    def left(self) -> str:
        """Time left, or '?' before the first cell has ended."""
        if not self.fresh:
            return "?"
        return duration((time.monotonic() - self.began) / self.fresh * (self.total - self.done))


class Plain:
    """One line when a cell starts or ends, and every few seconds in between."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self.console, self.tally, self.last = console, tally, time.monotonic()

    def started(self, spec: RunSpec) -> "Progress":
        """A long cell prints its progress; a short one only how it ended."""

        def show(done: int, total: int, loss: float, sparsity: float) -> None:
            if time.monotonic() - self.last > EVERY:
                self._line(f"{spec.cell}: step {done}/{total}, loss {loss:.3f}, sparsity {sparsity:.3f}")

        return show

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """One line with the score."""
        self.tally.add()
        self._line(f"{spec.cell}: {score:.2f} in {seconds:.1f} s")

    def failed(self, spec: RunSpec, reason: str) -> None:
        """One line with the reason."""
        self.tally.add()
        self._line(f"{spec.cell}: FAILED: {first_line(reason)}")

    def noted(self, spec: RunSpec, text: str) -> None:
        """One line."""
        self._line(f"{spec.cell}: {text}")

    def _line(self, text: str) -> None:
        self.last = time.monotonic()
        line = f"[{self.tally.done}/{self.tally.total}, {self.tally.left} left] {text}"
        say(self.console, line)


class Live:
    """A bar of cells and a bar for each running one; finished cells scroll by above."""

    def __init__(self, console: Console, tally: Tally, bars: Bars) -> None:
        self.console, self.tally, self.bars = console, tally, bars
        self.board = bars.add_task("cells", total=tally.total, completed=tally.done, note="")
        self.rows: dict[str, int] = {}

    def started(self, spec: RunSpec) -> "Progress":
        """A bar of its own."""
        width = self.console.width
        most = width - BESIDE - (BAR if width >= NARROW else 0)
        row = self.bars.add_task(escape(shortened(clean(spec.cell), most)), total=None, note="")
        self.rows[spec.id] = row

        def show(done: int, total: int, loss: float, sparsity: float) -> None:
            self.bars.update(row, completed=done, total=total, note=f"loss {loss:.3f}  sparsity {sparsity:.3f}")

        return show

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """Its bar becomes a line with the score."""
        say(self.bars.console, f"{spec.cell}  {score:.2f}  ({seconds:.1f} s)")
        self._through(spec)

    def failed(self, spec: RunSpec, reason: str) -> None:
        """Its bar becomes a line with the reason."""
        say(self.bars.console, f"{spec.cell}  FAILED: {first_line(reason)}", style="red")
        self._through(spec)

    def noted(self, spec: RunSpec, text: str) -> None:
        """A line above the bars."""
        say(self.bars.console, f"{spec.cell}  {text}")

    def _through(self, spec: RunSpec) -> None:
        self.tally.add()
        self.bars.remove_task(self.rows.pop(spec.id))  # type: ignore[arg-type]
        self.bars.update(self.board, completed=self.tally.done, note=f"{self.tally.left} left")


@contextmanager
def reporter(console: Console, done: int, total: int) -> Iterator["Watcher"]:
    """The display that suits `console`, for a board with `done` of `total` cells finished."""
    tally = Tally(done, total)
    if not console.is_terminal:
        yield Plain(console, tally)
        return
    columns = (
        TextColumn("{task.description}"),
        *([BarColumn()] if console.width >= NARROW else []),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield Live(console, tally, bars)


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print exactly this text, without markup, colours, wrapping or terminal escapes."""
    console.print(for_terminal(text), markup=False, highlight=False, soft_wrap=True, style=style)


def say_table(console: Console, text: Callable[..., str]) -> None:
    """Print a table as wide as the terminal and in colour, or whole and plain if there is no terminal. It escapes its own names."""
    if not console.is_terminal:
        say(console, text())
        return
    shown = text(width=console.width, colors=console.color_system is not None)
    console.print(Text.from_ansi(shown), soft_wrap=True, highlight=False)


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
