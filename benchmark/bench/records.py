"""Times reading a board against its number of records: opening it, `status`, tables, first and again, on a synthetic board."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.bench.result import Section, Target
from benchmark.bench.synthetic import changed, temporary_boards, write_board
from benchmark.bench.timing import Tell, quiet
from benchmark.board.index import index_file
from benchmark.errors import PrunebenchError

COMMAND = "from benchmark.cli import main; main()"
LOAD = """
import os, resource, sys, time
from pathlib import Path
from benchmark.board.board import Board
board = Board.open(Path(sys.argv[1]))
started, before = time.perf_counter(), sum(os.times()[:4])
records, problems = getattr(board, sys.argv[2])()
seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - before
print(seconds, cpu, len(records), len(problems), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
"""Reads the records of an open board in a process of its own: seconds by the clock and of processors, counts, peak bytes."""
CPU, PEAK = ": processor seconds", ": peak bytes"
QUICK = 600
"""Number of records of a quick run, enough for an index."""
FULL = 100_000
"""Number of records for which there are targets."""


def measure(quick: bool, tell: Tell) -> Section:
    """The section for `prunebench bench`, in a temporary folder that goes with it (2 GB)."""
    with temporary_boards() as folder:
        return measure_records(QUICK if quick else FULL, folder / "board", tell, quick)


def measure_records(count: int, folder: Path, tell: Tell = quiet, quick: bool = False) -> Section:
    """Seconds on a synthetic board of `count` records in `folder`, which is written if it is not there.

    `first` is without the index, as after it was deleted; `again` with it. Files come from the page cache: they
    were just written. `quick` leaves out what differs in the state of the index alone. PrunebenchError where a command
    fails or does not see every record.
    """
    if not folder.exists():
        tell(f"writing {count} records into {folder}")
        write_board(folder, count)
        time.sleep(2.5)  # files as fresh as that are not entered in the index
    return _section(count, dict(_readings(folder, count, quick)))


def _readings(folder: Path, count: int, quick: bool) -> Iterator[tuple[str, float]]:
    """(what, seconds or bytes), in the order in which a user meets them."""
    _forget(folder)
    yield from _command("status, first", "status", folder, f"in all {count} of")
    yield from _command("status, again", "status", folder, f"in all {count} of")
    if not quick:
        touched = len(list(changed(folder, 0.004)))
        yield from _command(f"status, {touched} records changed", "status", folder, f"in all {count} of")
        _forget(folder)
        yield from _load("records without curves, first", "summaries", folder, count)
        yield from _load("records without curves, again", "summaries", folder, count)
    yield from _load("whole records", "records", folder, count)
    yield from _command("table, again", "table", folder, "Synthetic")


def _forget(folder: Path) -> None:
    if file := index_file(folder):
        file.unlink(missing_ok=True)


def _command(what: str, name: str, folder: Path, expected: str) -> Iterator[tuple[str, float]]:
    """Seconds of the whole command, the start of Python included, by the clock and of processors."""
    started = time.perf_counter()
    printed, cpu = _run([sys.executable, "-P", "-c", COMMAND, name, str(folder)])
    seconds = time.perf_counter() - started
    if expected not in printed:
        raise PrunebenchError(f"{name} {folder}: expected '{expected}', found {printed[-200:]!r}")
    yield what, seconds
    yield f"{what}{CPU}", cpu


def _load(what: str, method: str, folder: Path, count: int) -> Iterator[tuple[str, float]]:
    printed, _ = _run([sys.executable, "-P", "-c", LOAD, str(folder), method])
    seconds, cpu, found, problems, peak = map(float, printed.split())
    if (found, problems) != (count, 0):
        raise PrunebenchError(f"{folder}: {found:g} of {count} records read, {problems:g} unreadable")
    yield what, seconds
    yield f"{what}{CPU}", cpu
    yield f"{what}{PEAK}", peak


def _run(words: Sequence[str]) -> tuple[str, float]:
    """What a process printed, and the seconds of processors that it and its own processes took."""
    before = _spent()
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise PrunebenchError(f"{words[-2]} {words[-1]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout, _spent() - before


def _spent() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _section(count: int, raw: Mapping[str, float]) -> Section:
    rows = [
        [name, f"{value:.2f}", f"{raw[name + CPU]:.2f}", _peak(raw.get(name + PEAK))]
        for name, value in raw.items()
        if not name.endswith((CPU, PEAK))
    ]
    why = f"stated for {FULL} records, this board has {count}"
    targets = [
        Target(name=f"{name} ({FULL} records)", measured=raw[name] if count >= FULL else None, bound=bound,
               kind="at most", unit="s", why=why)
        for name, bound in (("status, first", 30.0), ("status, again", 3.0), ("table, again", 6.0))
    ]  # fmt: skip
    return Section(
        name=f"records-{count}", title=f"A board of {count} records", columns=["what", "seconds", "of processors", "peak memory"],
        rows=rows, targets=targets, raw={name: [value] for name, value in raw.items()}, repetitions="once",
        notes=["seconds: by the clock, other work on the machine included; of processors: of all cores together.",
               "status and table: the whole command; records: reading alone, the suite already expanded.",
               "first: without the index; again: with it. The records' files are in the page cache."],
    )  # fmt: skip


def _peak(value: float | None) -> str:
    return f"{value / 2**20:.0f} MiB" if value else ""
