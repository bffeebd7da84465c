"""The order in which a runner goes through a board: as listed while it is alone, from a place of its own among others."""

import os
from pathlib import Path

import pytest

from benchmark.board.outcomes import load_outcomes, pack_outcomes
from benchmark.board.record import Record, save_record
from benchmark.engine import local
from benchmark.engine.cell import CellRunner, Outcome
from benchmark.engine.local import _from_own_place, run_cells
from benchmark.suite.spec import RunSpec
from tests.benchmark.boards import CPU, Watched, finish, make_board


def test_a_runner_alone_keeps_the_order_of_the_list(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    assert finish(board).finished == [spec.id for spec in board.suite.cells()]


def test_teachers_stay_first_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [RunSpec(task="squad", seed=seed) for seed in range(20)]
    teachers = {spec.id for spec in cells[5:9]}
    orders = set()
    for process in range(30):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        found = _from_own_place(cells, teachers)
        assert {spec.id for spec in found[:4]} == teachers
        assert sorted(spec.seed for spec in found) == list(range(20))
        orders.add(tuple(spec.seed for spec in found))
    assert len(orders) > 10
    assert _from_own_place([], teachers) == []


def test_what_others_finish_is_listed_and_not_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another runner finishes everything while this one trains its first cell: then one listing, not a lock for each."""
    done = make_board(tmp_path / "done", seeds=[0, 1, 2])
    finish(done)
    records: list[Record] = done.records()[0]
    board = make_board(tmp_path / "board", seeds=[0, 1, 2])
    locked: list[str] = []
    attempt = CellRunner.attempt

    def watched(self: CellRunner, spec: RunSpec, wait: bool) -> Outcome:
        locked.append(spec.id)
        return attempt(self, spec, wait)

    class Overtaken(Watched):
        def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
            for record in records:
                if record.id != spec.id:
                    outcomes = pack_outcomes(load_outcomes(done.records_folder, record))
                    save_record(board.records_folder, record, outcomes)

    monkeypatch.setattr(CellRunner, "attempt", watched)
    monkeypatch.setattr(local, "PATIENCE", 2)
    found = run_cells(board, board.cells(), Overtaken(), CPU)
    assert (len(found.finished), len(found.standing), found.failed) == (1, 8, {})
    assert len(locked) == 3
    assert len(set(found.standing)) == 8
