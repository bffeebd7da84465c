"""Tuning on a tiny board: equal trials, the same search after an interrupt, never the reported split, and the board it writes."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmark.tune.tune as tuning
from benchmark.board.board import Board
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import WriteError
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options
from benchmark.tune.space import Point
from benchmark.tune.study import Study, Trial, load_study, study_path
from benchmark.tune.trial import attempt, trial_spec
from benchmark.tune.tune import Search, rows_of, tune
from benchmark.tune.write import outcome, write_tuned
from tasks.formats.sources import MINI
from tasks.pipeline.prepared import PreparedTask
from tests.benchmark.boards import finish, make_board
from tests.command import Command

pytest.importorskip("optuna")

ROWS = ["magnitude", "movement[score_optimizer=adam]", "sensitivity + distillation"]


def studies(board: Board) -> list[Study]:
    found = [load_study(study_path(board.folder, trial_spec(spec, 1))) for spec in rows_of(board)]
    return [study for study in found if study is not None]


def results(board: Board) -> list[list[tuple[Point, float | None]]]:
    return [[(trial.point, trial.score) for trial in study.trials] for study in studies(board)]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A board after three trials of each row; look, do not touch."""
    board = make_board(tmp_path_factory.mktemp("tuned") / "tiny", criteria=ROWS)
    tune(board, Search(3, device="cpu"))
    return board


def test_every_row_has_the_same_number_of_trials_at_the_same_budget(tuned: Board) -> None:
    assert [study.name for study in studies(tuned)] == [
        "glue/sst2 magnitude 0.5", "glue/sst2 movement[score_optimizer=adam] 0.5", "glue/sst2 sensitivity+distillation 0.5",
    ]  # fmt: skip
    assert [len(study.trials) for study in studies(tuned)] == [3, 3, 3]
    assert {(study.spec.seed, study.spec.heldout, study.spec.training.steps) for study in studies(tuned)} == {
        (1, 0.1, 5)
    }
    assert {study.heldout_examples for study in studies(tuned)} == {5}


def test_the_first_trial_is_the_row_itself_and_all_rows_try_the_same_rates(tuned: Board) -> None:
    magnitude, movement, sensitivity = results(tuned)
    assert magnitude[0][0] == {"lr": 0.001}
    assert movement[0][0] == {"lr": 0.001, "score_lr": 0.01}
    assert sensitivity[0][0] == {"lr": 0.001, "beta1": 0.85, "beta2": 0.99, "window": 10}
    for one, two, three in zip(magnitude, movement, sensitivity, strict=True):
        assert one[0]["lr"] == two[0]["lr"] == three[0]["lr"]


def test_after_an_interrupt_it_goes_on_as_if_there_had_been_none(
    tuned: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = make_board(tmp_path / "tiny", criteria=ROWS)
    calls = 0

    def interrupted(spec: RunSpec, point: Point, options: Options) -> Trial:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return attempt(spec, point, options)

    monkeypatch.setattr(tuning, "attempt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(board, Search(3, device="cpu"))
    assert [len(study.trials) for study in studies(board)] == [3, 1]
    tune(board, Search(3, device="cpu"))
    assert calls == 10
    assert results(board) == results(tuned)
    tune(board, Search(3, device="cpu"))
    assert calls == 10


def test_the_reported_split_is_never_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = make_board(tmp_path / "tiny", criteria=["magnitude + distillation"], selection="best_dev")
    asked: list[str] = []
    for method in ("evaluate", "batches"):
        real = getattr(PreparedTask, method)

        def noted(self: Any, *given: Any, _real: Any = real, _at: int = int(method == "evaluate"), **named: Any) -> Any:
            asked.append(named.get("split", given[_at] if len(given) > _at else "?"))
            return _real(self, *given, **named)

        monkeypatch.setattr(PreparedTask, method, noted)
    tune(board, Search(2, device="cpu"))
    assert "heldout" in asked
    assert set(asked) <= {"train", "heldout"}


def test_the_tuned_board_runs_and_says_how_it_was_tuned(tuned: Board, tmp_path: Path) -> None:
    path = write_tuned(tuned, outcome(tuned, 3, 1), tmp_path / "tiny-tuned")
    board = Board.open(path.parent)
    assert [spec.cell for spec in board.cells()] == [
        "glue/sst2 dense seed 0", "glue/sst2 magnitude (tuned) 0.5 seed 0",
        "glue/sst2 movement[score_optimizer=adam] (tuned) 0.5 seed 0", "glue/sst2 sensitivity (tuned)+distillation 0.5 seed 0",
    ]  # fmt: skip
    assert board.cells()[0].id == tuned.cells()[0].id
    assert not {spec.id for spec in board.cells()[1:]} & {spec.id for spec in tuned.cells()}
    assert len(finish(board, "*magnitude*").finished) == 1
    (record,) = board.records()[0]
    best = studies(tuned)[0].best(3)
    assert best
    assert record.spec.training.lr == best.point["lr"]
    assert record.spec.tuned.model_dump(exclude={"space"}) == {
        "row": "magnitude", "trials": 3, "lr": 0.001, "seed": 1, "heldout": 0.1,
    }  # fmt: skip
    assert write_tuned(tuned, outcome(tuned, 3, 1), tmp_path / "tiny-tuned") == path
    with pytest.raises(PrunebenchError, match="this board holds tuned rows"):
        tune(board, Search(3, device="cpu"))


def test_fewer_trials_are_those_of_a_shorter_search(tuned: Board) -> None:
    short = outcome(tuned, 2, 1)
    assert [cell.trials for cell in short.cells] == [2, 2, 2]
    longer = outcome(tuned, 4, 1)
    assert longer.cells == []
    assert longer.lacking[0] == "glue/sst2 magnitude 0.5: 3 of 4 trials"
    with pytest.raises(PrunebenchError, match="no row has all its trials yet"):
        write_tuned(tuned, longer, tuned.folder.parent / "x")


def test_a_criterion_that_prunes_too_little_is_not_the_best(tmp_path: Path) -> None:
    board = make_board(tmp_path / "tiny", criteria=["soft_movement"])
    tune(board, Search(1, device="cpu"))
    (study,) = studies(board)
    assert study.trials[0].state == "missed"
    assert study.best(1) is None
    assert "none of 1 trials counts; the first missed (reached sparsity 0.0" in outcome(board, 1, 1).lacking[0]


def test_of_a_metric_of_which_less_is_better_the_smallest_is_best(tmp_path: Path) -> None:
    training = {"steps": 4, "batch_size": 4, "lr": 1e-3, "max_length": 32, "train_examples": 32, "eval_examples": 8}
    board = make_board(tmp_path / "tiny", tasks=["lm/wikitext2"], criteria=["magnitude"], training=training)
    tune(board, Search(3, device="cpu"))
    (study,) = studies(board)
    assert (study.metric, study.lower_is_better) == ("perplexity", True)
    best, scores = study.best(3), [trial.score for trial in study.trials]
    assert best is not None
    assert best.score == min(score for score in scores if score is not None)
    assert [study.utility(trial) for trial in study.trials] == [-score for score in scores if score is not None]
    assert load_study(study_path(board.folder, study.spec)) == study


def test_a_trial_that_diverges_is_a_failed_trial(tmp_path: Path) -> None:
    decaying = {"steps": 40, "batch_size": 2, "weight_decay": 10.0}  # a weight is multiplied by about -90 a step
    board = make_board(tmp_path / "tiny", criteria=["magnitude"], training=decaying)
    tune(board, Search(1, device="cpu", rates=(9.0, 10.0)))
    (study,) = studies(board)
    assert study.trials[0].state == "failed"
    assert study.trials[0].score is None
    assert "finite" in study.trials[0].reason or "loss is" in study.trials[0].reason


@pytest.mark.parametrize(
    "trouble",
    [WriteError("teacher", "no space left"), RuntimeError("can't allocate memory: 10 bytes"), OSError("gone")],
)
def test_what_the_machine_is_to_blame_for_is_no_failed_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """The search would keep away from a point that has done nothing."""

    def run(*_: object) -> None:
        raise trouble

    monkeypatch.setattr("benchmark.tune.trial.run", run)
    board = make_board(tmp_path / "tiny", criteria=["magnitude"])
    with pytest.raises(type(trouble)):
        tune(board, Search(1, device="cpu"))
    assert not any(study.trials for study in studies(board))


def test_other_ranges_do_not_go_on_with_a_search(tuned: Board) -> None:
    with pytest.raises(PrunebenchError, match=r"its trials have space .*0\.00025 to 0\.004"):
        tune(tuned, Search(3, rates=(1e-5, 1e-4), device="cpu"), "*magnitude*")


def test_damaged_studies_are_named(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text("{")
    with pytest.raises(PrunebenchError, match=r"study.json: not a readable study"):
        load_study(path)


# The door.


def test_what_cannot_be_tuned_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = make_board(tmp_path / "tiny", criteria=["magnitude"])
    with pytest.raises(PrunebenchError, match="magnitude declares nothing to tune"):
        tune(board, Search(3, fixed_rate=True))
    with pytest.raises(PrunebenchError, match="matches dense cells alone"):
        tune(board, Search(3), "*dense*")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PrunebenchError, match=r"pip install 'prunebench\[tune\]'"):
        tune(board, Search(3))
    assert not (board.folder / "tuning").exists()


def test_the_command_tunes_what_only_names_and_writes_the_board(tmp_path: Path, command: Command) -> None:
    board = make_board(tmp_path / "tiny", criteria=["random", "magnitude"])
    words = ["tune", board.folder, "--trials", 1, "--only", "*random*", "--device", "cpu"]
    code, printed, _ = command(*words)
    assert code == 0
    assert "glue/sst2 random 0.5: trial 1 of 1: " in printed
    assert "not tuned: glue/sst2 magnitude 0.5: 0 of 1 trials" in printed
    assert [spec.criterion for spec in Board.open(tmp_path / "tiny-tuned").cells()] == ["dense", "random"]
    (path,) = (board.folder / "tuning").glob("*.json")
    assert json.loads(path.read_text())["best"] == 0
    code, _, err = command(*words, "--lr", "1e-3")
    assert code == 2
    assert "expected LOW,HIGH such as 1e-5,1e-4" in err


def test_all_data_and_models_are_opened_before_the_first_trial(tmp_path: Path) -> None:
    """The second task's data are not there: nothing of the first is tried."""
    shutil.copytree(MINI / "glue/SST-2", tmp_path / "data/glue/SST-2")
    tasks = ["glue/sst2", "glue/rte", "conll2003"]
    board = make_board(tmp_path / "board", criteria=["magnitude"], tasks=tasks, data=str(tmp_path / "data"))
    with pytest.raises(PrunebenchError) as caught:
        tune(board, Search(3, device="cpu"))
    said = str(caught.value).split("\n")
    assert [line.partition(":")[0] for line in said] == ["glue/rte", "conll2003"]
    assert studies(board) == []
