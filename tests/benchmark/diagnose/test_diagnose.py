"""Diagnosing a mini board: what is trained again is the run itself, what is measured agrees, what is written is complete."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark import cli
from benchmark.board.board import Board
from benchmark.diagnose.fidelity import Fidelity, Probing
from benchmark.diagnose.observed_run import observe_run
from benchmark.diagnose.shared_run import first_masking
from benchmark.diagnose.store import diagnosis_path, load_diagnosis
from benchmark.diagnose.train import train
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, run
from tests.benchmark.boards import Watched, make_board

MOVEMENT = "movement[score_schedule=weights]"
"""It has to be told the learning rate's share of its peak."""
ROWS = ["random", "sensitivity", MOVEMENT, "fisher"]
SCHEDULE = "cubic[window=1,initial=1,final=1]"
HOW = Probing(bins=2, singles=6, batches=1)
CPU = Options(device="cpu")


def cell(board: Board, criterion: str) -> RunSpec:
    return next(spec for spec in board.cells() if spec.criterion == criterion)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A finished board; its cells can be diagnosed, its records are not to be changed."""
    made = make_board(tmp_path_factory.mktemp("diagnosed") / "tiny", criteria=ROWS, schedule=SCHEDULE)
    run_cells(made, made.cells(), Watched(), Settings(device="cpu", save_weights=True))
    assert train(made, made.cells(), HOW, "cpu") == 0
    return made


def test_the_record_is_that_of_a_run_under_observation(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness itself, with all it measures, in a run whose outcome is kept."""
    import benchmark.diagnose.observed_run as watching

    kept = []

    def noting(spec: RunSpec, options: Options) -> None:
        kept.append(run(spec, options).record.outcomes_sha256)

    monkeypatch.setattr(watching, "run", noting)
    for name in ("sensitivity", MOVEMENT):
        observe_run(cell(board, name), CPU, HOW)
    assert kept == [board.record(cell(board, name)).outcomes_sha256 for name in ("sensitivity", MOVEMENT)]


def test_until_the_first_masking_a_pruned_run_is_the_dense_run(board: Board) -> None:
    shared = load_diagnosis(board.folder, board.cells()[0].id)
    assert shared
    assert shared.shared
    assert shared.shared.criteria == ROWS
    for name in ROWS:
        own = load_diagnosis(board.folder, cell(board, name).id)
        assert own
        assert own.fidelity == shared.shared.fidelity[name], name


def test_the_correlation_is_symmetric_and_one_with_itself(board: Board) -> None:
    dense = load_diagnosis(board.folder, board.cells()[0].id)
    assert dense
    assert dense.shared
    table = torch.tensor(
        [[rho if rho is not None else float("nan") for rho in row] for row in dense.shared.correlation]
    )
    assert torch.allclose(table, table.T)
    assert torch.allclose(table.diagonal(), torch.ones(len(ROWS)))
    assert table[0, 1:].abs().max() < 0.02  # random noise against anything


def test_only_fisher_and_sensitivity_predict_a_loss(board: Board) -> None:
    def predicted(name: str) -> bool:
        found: Fidelity | None = getattr(load_diagnosis(board.folder, cell(board, name).id), "fidelity", None)
        assert found
        return found.bins.predicted is not None

    assert [name for name in ROWS if predicted(name)] == ["sensitivity", "fisher"]


def test_what_was_diagnosed_is_not_diagnosed_again(board: Board) -> None:
    paths = [diagnosis_path(board.folder, spec.id) for spec in board.cells()]
    before = [path.stat().st_mtime_ns for path in paths]
    said: list[str] = []
    assert train(board, board.cells(), HOW, "cpu", said.append) == 0
    assert said == []
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_a_later_masking(board: Board) -> None:
    churn, fidelity = observe_run(cell(board, "sensitivity"), CPU, Probing(at=0.7, bins=2, singles=2, batches=1))
    assert fidelity
    assert fidelity.step == 4
    assert [masking.step for masking in churn.maskings][-1] == 5
    assert churn.maskings[-1].sparsity == pytest.approx(0.5)


def test_the_first_masking_of_a_schedule() -> None:
    assert first_masking(configure("schedules", "cubic"), 100, 0.5, 0.0) == 21
    assert first_masking(configure("schedules", "cubic"), 100, 0.5, 0.5) == 51
    with pytest.raises(PrunebenchError, match="no masking comes after 110%"):
        first_masking(configure("schedules", "cubic"), 100, 0.5, 1.1)


def test_a_criterion_with_gates_of_its_own_does_not_listen(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["l0", "magnitude"], schedule=SCHEDULE)
    assert train(made, made.cells("*dense*"), HOW, "cpu") == 0
    found = load_diagnosis(made.folder, made.cells()[0].id)
    assert found
    assert found.shared
    assert found.shared.criteria == ["magnitude"]


def test_where_nobody_can_listen_it_is_said(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["l0"], schedule=SCHEDULE)
    said: list[str] = []
    assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 0
    assert said == ["glue/sst2 dense seed 0: no criterion of this board can watch a dense run of it"]


def test_where_nothing_is_trained_there_is_nothing_to_watch(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["magnitude"], schedule="one_shot", training={"steps": 0})
    said: list[str] = []
    assert train(made, made.cells(), HOW, "cpu", said.append) == 0
    assert said == [f"{cell.cell}: nothing is trained in it, so there are no steps to watch" for cell in made.cells()]


def test_another_schedule_or_sparsity_is_another_moment(tmp_path: Path) -> None:
    """A dense cell's id knows of neither."""
    for changes in ({}, {"sparsities": [0.25]}, {"schedule": "cubic[initial=2,final=1,window=1]"}):
        made = make_board(tmp_path / "tiny", **{"criteria": ["magnitude"], "schedule": SCHEDULE, **changes})
        said: list[str] = []
        assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 0
        assert said == ["glue/sst2 dense seed 0: diagnosed"]


def test_cells_that_fail_are_said_and_the_others_go_on(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["magnitude"], schedule=SCHEDULE)
    said: list[str] = []
    assert train(made, made.cells(), Probing(at=2.0), "cpu", said.append) == 1
    assert said == [
        "FAILED glue/sst2 dense seed 0: no masking comes after 200% of 5 steps: choose an earlier moment by --at",
        "glue/sst2 magnitude 0.5 seed 0: diagnosed",
    ]


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def prunebench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls the console script in this process; exit code and everything printed."""

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["prunebench", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return (caught.value.code if isinstance(caught.value.code, int) else 0), printed.out + printed.err

    return call


def test_the_command(board: Board, prunebench: Command) -> None:
    code, printed = prunebench("diagnose", board.folder, "--figures", "svg")
    assert code == 0
    assert re.search(r"PLATON +on the dense run", printed)
    assert "Correlation of scores, SST-2\n" in printed
    assert "Churn" in printed
    assert "Overlap of kept weights, SST-2, 50 %\n" in printed
    assert "Chance: 0.333" in printed
    folder = board.folder / "diagnose"
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert {
        f"{name}.{end}" for name in ("fidelity", "churn", "correlation-glue-sst2") for end in ("md", "csv", "json")
    } <= written
    assert {f"{name}-glue-sst2.svg" for name in ("fidelity", "churn", "correlation")} <= written
    assert "layers-glue-sst2-0.5.md" in written
    assert str(cell(board, "fisher").id) in (folder / "fidelity.csv").read_text()
    assert "glue/sst2,sensitivity,on the dense run," in (folder / "fidelity.csv").read_text()  # data keeps the spelling
    for name in ("fidelity", "churn", "correlation"):
        drawn = (folder / f"{name}-glue-sst2.svg").read_text()
        assert "SST-2<" in drawn, name
        assert "glue/sst2<" not in drawn, name
    assert "PLATON<" in (folder / "fidelity-glue-sst2.svg").read_text()
    assert f"wrote {len(written)} files" in printed


def test_one_cell_by_its_record(board: Board, prunebench: Command) -> None:
    spec = cell(board, MOVEMENT)
    code, printed = prunebench("diagnose", board.records_folder / f"{spec.id}.json", "--format", "markdown")
    assert code == 0
    assert "| Movement" in printed
    assert "PLATON" not in printed


def test_nothing_yet(tmp_path: Path, prunebench: Command) -> None:
    made = make_board(tmp_path / "tiny")
    code, printed = prunebench("diagnose", made.folder)
    assert code == 0
    assert "nothing is diagnosed yet" in printed
