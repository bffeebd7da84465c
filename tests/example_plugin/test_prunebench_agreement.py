"""Once installed, the criterion is found by name, keeps its contract, and gets its row beside the others."""

from pathlib import Path

import pytest

from benchmark.board.record import load_records
from benchmark.commands.compare import MARK, compare, widen
from benchmark.commands.new import new
from benchmark.engine.cell import Settings
from benchmark.plugins import registry
from criteria.checks.criterion import check_criterion

pytestmark = pytest.mark.skipif(
    "agreement" not in registry.names("criteria"), reason="the example package is not installed (tox run -e example)"
)


def test_it_keeps_the_contract() -> None:
    for name, seen in check_criterion(registry.configure("criteria", "agreement[decay=0.9]")):
        print(f"{name}: {seen}")


def test_it_gets_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = new("board", "mine", tmp_path).paths[0].parent
    small = {"training": {"steps": 4, "batch_size": 4, "eval_examples": 20, "max_length": 32}, "sparsities": [0.5]}
    assert compare(widen(board, ["agreement"], small), "*", Settings(device="cpu")) == 0
    assert f"{MARK}Agreement" in capsys.readouterr().out
    records, _ = load_records(board / "records")
    assert [record.spec.criterion for record in records] == ["agreement"]
    assert records[0].spec.plugins.criterion.startswith("prunebench-agreement 0.1.0 ")
