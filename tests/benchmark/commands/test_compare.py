"""`prunebench compare`: only the new row's cells run, the table marks it, and the suite stays as it is."""

from pathlib import Path

import pytest

from benchmark.board.record import load_records, record_path
from benchmark.commands.compare import MARK, _closing, compare, widen
from benchmark.commands.new import new
from benchmark.engine.cell import Settings
from benchmark.errors import PrunebenchError
from benchmark.report.render import render
from tests.benchmark.boards import write_suite

CPU = Settings(device="cpu")


def ids(folder: Path) -> set[str]:
    return {record.id for record in load_records(folder / "records")[0]}


def test_a_file_of_ones_own_gets_its_row(board_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = new("criterion", "my_idea", tmp_path).paths[0]
    suite, before = (board_copy / "suite.yaml").read_text(), ids(board_copy)
    wider = widen(board_copy, [f"{path}[decay=0.5]"])
    assert compare(wider, "*", CPU) == 0
    printed = capsys.readouterr().out
    assert f"{MARK}My idea (decay 0.5)" in printed
    assert f"{MARK}magnitude" not in printed
    assert f'add to its criteria: "{path}[decay=0.5]"' in printed  # unquoted, YAML reads a list
    assert (board_copy / "suite.yaml").read_text() == suite
    assert ids(board_copy) - before == {cell.id for cell in wider.cells()}
    assert len(wider.cells()) == 1
    stamps = {path: path.stat().st_mtime_ns for path in (board_copy / "records").iterdir()}
    assert compare(wider, "*", CPU) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in (board_copy / "records").iterdir()}


def test_rows_that_are_there_are_only_marked(board_copy: Path) -> None:
    wider = widen(board_copy, ["magnitude", "magnitude"])
    assert wider.board.suite.criteria == ["random", "magnitude"]
    labels = [line.mark + str(line.key[1]) for line in wider.table().rows]
    assert labels == ["", "random", f"{MARK}magnitude"]


def test_records_that_cannot_be_read_are_named(board_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wider = widen(board_copy, ["magnitude"])
    spec = next(spec for spec in wider.board.suite.cells() if spec.criterion == "random")
    record_path(board_copy / "records", spec.id).write_text("{")
    assert compare(wider, "*", CPU) == 0
    assert f"{spec.id}.json (`prunebench status` says why)" in capsys.readouterr().err


def test_only_the_chosen_columns_are_run_and_shown(board_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wider = widen(board_copy, ["taylor"], {"sparsities": [0.5, 0.7]})
    before = ids(board_copy)
    assert compare(wider, "*0.7*", CPU) == 0
    assert ids(board_copy) - before == {cell.id for cell in wider.cells() if cell.sparsity == 0.7}
    printed = capsys.readouterr().out
    assert "70 % sparsity" in printed
    assert "50 % sparsity" not in printed
    with pytest.raises(PrunebenchError, match=r"--only 'glue/rte' matches no cell; tasks: "):
        compare(wider, "glue/rte", CPU)


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html", "csv", "json"])
def test_progress_is_on_stdout_only_beside_text(
    board_copy: Path, format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    wider = widen(board_copy, ["taylor"])
    assert compare(wider, "*", CPU, format=format) == 0
    out, err = capfd.readouterr()
    progress = "glue/sst2 taylor 0.5 seed 0: "
    assert (progress in out, progress in err) == (format == "text", format != "text")
    if format != "text":
        assert out == f"{render(wider.table('*', format in ('csv', 'json')), format)}\n"


def test_a_row_may_name_its_regularizer(board_copy: Path) -> None:
    wider = widen(board_copy, ["random + label_smoothing", "taylor"])
    assert wider.added == (("random", "label_smoothing"), ("taylor", "none"))
    rows = [line.key[1] for line in wider.table().rows if line.mark]
    assert rows == ["random + label_smoothing", "taylor"]


def test_what_would_change_the_other_rows_is_refused(board_copy: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"needs held-out scores.*set heldout in suite.yaml"):
        widen(board_copy, ["magnitude + self_regularization[teacher=best]"])


def test_a_tuned_board_takes_no_rows_that_were_not_tuned(tmp_path: Path) -> None:
    row = {"task": "glue/sst2", "row": "magnitude", "sparsity": 0.5, "criterion": "magnitude", "found_lr": 0.002}
    how = {"lr": 0.001, "trials": 3, "seed": 0, "heldout": 0.1, "space": "abc"}
    folder = write_suite(tmp_path / "tuned", criteria=["magnitude"], heldout=0.1, tuned=[row | how])
    with pytest.raises(
        PrunebenchError, match=r"tuned: this board holds tuned rows alone; add taylor to the board that"
    ):
        widen(folder, ["taylor"])
    assert [spec.criterion for spec in widen(folder, ["magnitude"]).cells()] == ["magnitude"]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("here", "given"), [("board", "my_idea.py"), (".", "board/my_idea.py"), (".", "my_idea.py")])
def test_a_file_in_the_boards_folder_is_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool, here: str, given: str
) -> None:
    """Whether the suite lists it or not, and wherever the command is given; the suite calls it by its name."""
    new("criterion", "my_idea", tmp_path / "board")
    folder = write_suite(tmp_path / "board", criteria=["random", *["my_idea.py"] * listed])
    monkeypatch.chdir(tmp_path / here)
    wider = widen(folder if here == "." else Path(), [given])
    assert [spec.sparsity for spec in wider.cells()] == [0.5]
    assert len(wider.board.suite.rows) == 2
    assert bool(wider.new) is not listed
    assert _closing(wider, {}, [])[-1].endswith("suite.yaml lists it already" if listed else "criteria: my_idea.py")


def test_a_namesake_beside_the_suite_is_not_taken_for_it(
    board_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new("criterion", "my_idea", board_copy)
    monkeypatch.chdir(tmp_path)
    path = new("criterion", "my_idea", tmp_path).paths[0]
    with pytest.raises(PrunebenchError, match=r"another one beside the suite, .*; give the whole path"):
        widen(board_copy, ["my_idea.py"])
    assert widen(board_copy, [str(path)]).added == ((str(path), "none"),)


def test_rows_that_cannot_be_added_are_refused(board_copy: Path, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="did you mean 'magnitude'"):
        widen(board_copy, ["magnitud"])
    with pytest.raises(PrunebenchError, match="--add"):
        widen(board_copy, [])
    method = {"mine": {"criterion": "magnitude", "schedule": "one_shot"}}
    folder = write_suite(tmp_path / "methods", criteria=["mine"], methods=method)
    with pytest.raises(PrunebenchError, match=r"--add 'mine': a method of this suite, .*run --only '\*mine\*'"):
        widen(folder, ["mine"])
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(PrunebenchError, match="ZeroDivisionError: division by zero"):
        widen(board_copy, [str(tmp_path / "bad.py")])
    with pytest.raises(PrunebenchError, match="matches no cell"):
        compare(widen(board_copy, ["taylor"]), "squad*", CPU)


def test_data_that_are_not_there_are_one_message_and_no_cells_failure(board_copy: Path, tmp_path: Path) -> None:
    before = sorted((board_copy / "records").iterdir())
    with pytest.raises(PrunebenchError, match=r"--data: no folder '.*mistyped'"):
        widen(board_copy, ["taylor", "gradient"], data=str(tmp_path / "mistyped"))
    (tmp_path / "another").mkdir()
    wider = widen(board_copy, ["taylor", "gradient"], data=str(tmp_path / "another"))
    with pytest.raises(PrunebenchError, match=r"glue/sst2: no train data: looked for .*train\.tsv") as caught:
        compare(wider, "*", CPU)
    assert "\n" not in str(caught.value)
    assert sorted((board_copy / "records").iterdir()) == before


def test_a_wrong_row_is_not_laid_at_set(board_copy: Path, tmp_path: Path) -> None:
    (board_copy / "idea.py").write_text(new("criterion", "idea", tmp_path).paths[0].read_text())
    suite = (board_copy / "suite.yaml").read_text().replace("random", "idea.py")
    (board_copy / "suite.yaml").write_text(suite)
    with pytest.raises(PrunebenchError, match=r"suite.yaml: criteria: .*two files are called idea.py"):
        widen(board_copy, [str(tmp_path / "idea.py")])
