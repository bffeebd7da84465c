"""Cells per hour for one and two workers, measured on a small board, and for many, simulated with the measured costs.

The folder's costs are those of the temporary folder, on a local disk. A network folder is slower by an amount that depends on the
site, so the simulation is repeated with an assumed 1 ms and 5 ms an operation.
"""

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.bench.result import Section, Target
from benchmark.bench.simulate import Cell, Outcome, Policy, World, simulate
from benchmark.bench.synthetic import temporary_boards
from benchmark.bench.timing import Tell
from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.machine.lock import locked

SUITE: dict[str, Any] = {
    "title": "Workers", "tasks": ["glue/sst2"], "criteria": ["magnitude", "movement", "principled"],
    "regularizers": ["none", "distillation"], "sparsities": [0.5, 0.9], "seeds": [0, 1],
    "training": {"steps": 60, "batch_size": 16, "lr": 0.001, "max_length": 64},
}  # fmt: skip
QUICK: dict[str, Any] = {
    "criteria": ["magnitude"], "sparsities": [0.9], "seeds": [0],
    "training": SUITE["training"] | {"steps": 4, "eval_examples": 20},
}  # fmt: skip
"""What a quick run changes: three cells of four steps, which one runner alone trains."""
WORKERS = (1, 2, 8, 64, 256, 1000)
CELLS = 100_000
STRETCH = 60.0
"""Factor on the measured seconds: simulated cells take minutes, as cells of real boards do."""
PREEMPTIONS = 0.1 / 3600
"""Assumed rate per second of work: one in ten hours."""
CHECKPOINT = 600.0
ASSUMED = (1e-3, 5e-3)
"""Assumed seconds of one operation on a shared folder, beside the measured ones."""
POLICIES: tuple[Policy, ...] = ("runners", "spread", "driver")


def measure(quick: bool, tell: Tell) -> list[Section]:
    """Two sections: the simulation compared with measured runs, and simulated rates for many workers."""
    with temporary_boards() as folder:
        suite = SUITE | (QUICK if quick else {})
        alone = _run(folder / "one", suite, 1, tell)
        pair = alone if quick else _run(folder / "two", suite, 2, tell)
        start = _timed(folder / "one", 1)
        operation = folder_cost(folder / "one")
    raw = {
        f"seconds of cells, {n} workers": [cell.seconds for cell in cells] for n, (cells, _) in ((1, alone), (2, pair))
    }
    raw |= {"wall seconds": [alone[1], pair[1]], "start seconds": [start], "operation seconds": operation}
    world = World(latency=statistics.median(operation), service=statistics.median(operation), start=start)
    beyond = max(0.0, (alone[1] - start - sum(cell.seconds for cell in alone[0])) / len(alone[0]))
    raw["seconds beyond the record"] = [beyond]
    many = grown(alone[0], 2000 if quick else CELLS, STRETCH, beyond)
    return [_checked(alone, pair, world, beyond, raw), _simulated(many, world, _tail(alone[0]))]


def cells_of(board: Board, records: Sequence[Record]) -> list[Cell]:
    """The board's cells in order, each with its recorded seconds and the position of its teacher's cell."""
    order = [spec.id for spec in board.suite.cells()]
    at, by_id = {run_id: i for i, run_id in enumerate(order)}, {record.id: record for record in records}
    found = [by_id[run_id] for run_id in order]
    return [Cell(record.cost.total_seconds, at[record.teacher] if record.teacher else None) for record in found]


def grown(cells: Sequence[Cell], count: int, stretch: float = 1.0, beyond: float = 0.0) -> list[Cell]:
    """At least `count` cells: the board repeated, as with more seeds, every cell `stretch` times as long.

    `beyond` are the seconds of a cell that its record does not count, for writing teachers' weights and the record to the disk.
    """
    more: list[Cell] = []
    while len(more) < count:
        first = len(more)
        more += [Cell(c.seconds * stretch + beyond, None if c.teacher is None else c.teacher + first) for c in cells]
    return more


def folder_cost(board: Path, rounds: int = 200) -> list[float]:
    """Seconds to check a finished cell: take its lock, look for its record, release the lock."""
    locks, records, found = board / ".cache" / "locks", board / "records", []
    for i in range(rounds):
        started = time.perf_counter()
        with locked(locks, f"{i:016x}", wait=False):
            (records / f"{i:016x}.json").exists()
        found.append(time.perf_counter() - started)
    return found


def _run(folder: Path, suite: dict[str, Any], workers: int, tell: Tell) -> tuple[list[Cell], float]:
    """Run a board with `workers` processes; its cells with their seconds, and the wall-clock seconds in all."""
    tell(f"a small board, workers: {workers}")
    folder.mkdir()
    (folder / "suite.yaml").write_text(json.dumps(suite))
    seconds = _timed(folder, workers)
    board = Board.open(folder)
    return cells_of(board, board.records()[0]), seconds


def _timed(folder: Path, workers: int) -> float:
    command = [sys.executable, "-P", "-m", "benchmark", "run", str(folder), "--device", "cpu"]
    started = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(workers)]
    codes = [process.wait() for process in running]
    if any(codes):
        raise PrunebenchError(f"a run of the measured board failed (exit codes {', '.join(map(str, codes))})")
    return time.perf_counter() - started


def _tail(cells: Sequence[Cell]) -> float:
    """Standard deviation of log seconds among cells with a teacher, and among those without."""
    spread = []
    for taught in (True, False):
        logs = [math.log(cell.seconds) for cell in cells if (cell.teacher is not None) == taught]
        spread += [value - statistics.fmean(logs) for value in logs]
    return math.sqrt(statistics.fmean([value * value for value in spread]))


def _checked(
    alone: tuple[list[Cell], float],
    pair: tuple[list[Cell], float],
    world: World,
    beyond: float,
    raw: dict[str, list[float]],
) -> Section:
    """Compare simulated with measured rates. The seconds beyond the records are fitted to one runner; two runners are predicted."""
    rows, off = [], 0.0
    for workers, (cells, wall) in ((1, alone), (2, pair)):
        measured = 3600 * len(cells) / wall
        plain, fitted = (simulate(grown(cells, 1, 1.0, more), workers, world).per_hour for more in (0.0, beyond))
        rates = [f"{rate:.0f}" for rate in (measured, plain, fitted)]
        rows.append([str(workers), str(len(cells)), *rates, f"{fitted / measured:.2f}"])
        off = abs(fitted / measured - 1)
    targets = [Target(name="simulation of two runners off by", measured=off, bound=0.15, kind="at most", unit="")]
    slower = sum(cell.seconds for cell in pair[0]) / sum(cell.seconds for cell in alone[0])
    return Section(
        name="workers-measured", title="Cells per hour of one and two runners",
        columns=["runners", "cells", "measured", "simulated from records", "and beyond", "ratio"], rows=rows, targets=targets, raw=raw,
        notes=[f"Two runners share this machine: a cell takes {slower:.2f} times as long beside another, which is in its cost.",
               f"Beyond its record a cell costs {beyond:.2f} s, fitted to the one runner: weights of teachers, record, syncing.",
               f"An operation of the folder takes {1e6 * world.service:.0f} us here, a start {world.start:.1f} s (both measured)."],
        repetitions="one run each",
    )  # fmt: skip


def _simulated(cells: list[Cell], world: World, tail: float) -> Section:
    rows, raw = [], {}
    for service in (world.service, *ASSUMED):
        here = World(latency=service, service=service, entry=service / 100, start=world.start, tail=tail,
                     preemptions=PREEMPTIONS, checkpoint=CHECKPOINT)  # fmt: skip
        for policy in POLICIES:
            found = [simulate(cells, workers, here, policy) for workers in WORKERS]
            words = f"{1e3 * service:.2f} ms" + (" (measured)" if service == world.service else " (assumed)")
            rows.append([words, policy, *(f"{outcome.per_hour:.0f}" for outcome in found), _lost(found[-1])])
            raw[f"{policy}, {1e3 * service:.2f} ms: cells per hour"] = [outcome.per_hour for outcome in found]
            raw[f"{policy}, {1e3 * service:.2f} ms: operations"] = [float(outcome.operations) for outcome in found]
    minutes = statistics.fmean(cell.seconds for cell in cells) / 60
    return Section(
        name="workers-simulated", title=f"Cells per hour, simulated for {len(cells)} cells",
        columns=["an operation of the folder", "policy", *(f"{n} workers" for n in WORKERS), f"where {WORKERS[-1]} lose time"],
        rows=rows, raw=raw, repetitions="one simulation each, seed 0",
        notes=[f"The measured cells again and again, {STRETCH:g} times as long: {minutes:.1f} minutes on average.",
               f"Stragglers: log-normal, {tail:.2f} (measured). Assumed: a worker is lost every {1 / PREEMPTIONS / 3600:.0f} hours of "
               f"work, checkpoints every {CHECKPOINT / 60:.0f} minutes, a listing costs a hundredth of an operation per record.",
               "runners: all in the order of the list, as it was; spread: as it is; driver: one process hands out the cells."],
    )  # fmt: skip


def _lost(outcome: Outcome) -> str:
    """Shares of the workers' time that were not work."""
    every = sum(outcome.spent.values())
    shares = {what: much / every for what, much in outcome.spent.items() if what != "work"}
    return ", ".join(f"{what} {share:.0%}" for what, share in shares.items() if share >= 0.005) or "nowhere"
