"""Several boards in one table: what may differ, and what keeps them apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.commands.side_by_side import _differences
from benchmark.commands.views import View, comparison, tables_text
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import Plugins, RunSpec, Training
from tests.benchmark.boards import TINY, finish, make_board


def board(folder: Path, **changes: Any) -> Board:
    """A planned board without records."""
    return make_board(
        folder, **({"criteria": ["random"], "sparsities": [0.5], "seeds": [0], "tasks": ["glue/sst2"]} | changes)
    )


@pytest.mark.parametrize(
    ("second", "labels"),
    [
        ({"criteria": ["magnitude"]}, ["Dense", "Random", "Magnitude"]),
        ({"criteria": ["random", "taylor"]}, ["Dense", "Random", "Taylor"]),
        ({"regularizers": ["distillation"]}, ["Dense", "Random", "Random + distil."]),
    ],
)
def test_rows_of_several_boards_stand_side_by_side(tmp_path: Path, second: dict[str, Any], labels: list[str]) -> None:
    boards = [board(tmp_path / "a"), board(tmp_path / "b", **second)]
    out = tables_text(boards, "text", View())
    assert [label for label in labels if f"\n{label} " in out] == labels
    assert len(comparison(boards, View()).rows) == len(labels)


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (("One", "Two"), "{Mini model on SST-2: 1 seed"),
        (("One", ""), "{Mini model on SST-2: 1 seed"),
        (("One", "One"), "{One. Mini model on SST-2: 1 seed"),
    ],
)
def test_a_caption_says_what_all_boards_are_of(tmp_path: Path, titles: tuple[str, str], said: str) -> None:
    """Titles that differ are each true of one board alone."""
    boards = [
        board(tmp_path / f"{k}", title=title, criteria=[["random"], ["magnitude"]][k]) for k, title in enumerate(titles)
    ]
    assert said in tables_text(boards, "latex", View())
    assert tables_text(boards, "text", View()).startswith(said.strip("{").partition(":")[0].partition(".")[0] + "\n")


@pytest.mark.parametrize(("gates", "said"), [((5, 12.5), True), ((5, 5), False)])
def test_gates_that_differ_are_told(tmp_path: Path, gates: tuple[float, float], said: bool) -> None:
    boards = [
        board(tmp_path / f"{k}", gate=gate, criteria=[["random"], ["magnitude"]][k]) for k, gate in enumerate(gates)
    ]
    for format in ("text", "latex"):
        out = tables_text(boards, format, View())
        assert ("Gates: 5 and 12.5 on these boards: the largest holds for all" in out) is said


def test_models_are_blocks(tmp_path: Path) -> None:
    boards = [board(tmp_path / "a", model="one/bert"), board(tmp_path / "b", model="two/roberta")]
    blocks = [line for line in tables_text(boards, "text", View()).splitlines() if line.startswith(("bert", "roberta"))]
    assert blocks[:4] == ["bert", "bert, 50 % sparsity", "roberta", "roberta, 50 % sparsity"]
    assert "model" in tables_text(boards, "csv", View()).splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ({"training": TINY["training"] | {"steps": 7}}, "training.steps"),
        ({"training": TINY["training"] | {"lr": 0.5}}, "training.lr: 0.001 in"),
        ({"training": TINY["training"] | {"eval_examples": 9}}, "training.eval_examples"),
        ({"schedule": "one_shot"}, "schedule: gradual in"),
        ({"scope": "layer"}, "scope: global in"),
        ({"call_point": "after"}, "call_point"),
        ({"selection": "best_dev"}, "selection: last in"),
        ({"heldout": 0.2}, "heldout: 0.0 in"),
        ({"data": "hub"}, "data: mini in"),
    ],
)
def test_boards_of_other_protocols_are_not_mixed(tmp_path: Path, second: dict[str, Any], named: str) -> None:
    boards = [board(tmp_path / "a"), board(tmp_path / "b", **second)]
    with pytest.raises(PrunebenchError, match="not comparable") as caught:
        tables_text(boards, "text", View())
    assert f"glue/sst2, {named}" in str(caught.value)
    assert str(tmp_path / "b") in str(caught.value)


def test_a_method_is_the_same_on_all_boards(tmp_path: Path) -> None:
    """Also where no task stands on two of them, for its name is one row."""
    early = {"criterion": "magnitude", "schedule": "one_shot[at=0.1]"}
    late = early | {"schedule": "one_shot[at=0.9]"}
    boards = [
        board(tmp_path / f"{k}", criteria=["early"], methods={"early": method}, tasks=[task])
        for k, (method, task) in enumerate([(early, "glue/sst2"), (late, "glue/rte"), (early, "glue/rte")])
    ]
    with pytest.raises(PrunebenchError, match=r"methods, early: .*at=0\.1.* in .*at=0\.9"):
        tables_text(boards[:2], "text", View())
    assert "early" in tables_text([boards[0], boards[2]], "text", View()).lower()


def test_tuned_rows_share_the_protocol_too(tmp_path: Path) -> None:
    """They are called otherwise than their criterion, as methods are, which may have a scope and a schedule of their own."""
    row = {"task": "glue/sst2", "row": "magnitude", "sparsity": 0.5, "criterion": "magnitude", "found_lr": 0.002}
    how = {"lr": 0.001, "trials": 3, "seed": 0, "heldout": 0.1, "space": "abc"}
    tuned = {"criteria": ["magnitude"], "heldout": 0.1, "tuned": [row | how]}
    boards = [board(tmp_path / scope, scope=scope, **tuned) for scope in ("global", "layer")]
    with pytest.raises(PrunebenchError, match=r"glue/sst2, scope: global in .*, layer in"):
        tables_text(boards, "text", View())


def test_a_board_without_a_title_is_called_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [board(tmp_path / name, title="", criteria=[row]) for name, row in (("a", "random"), ("b", "taylor"))]
    monkeypatch.chdir(tmp_path / "a")
    here = replace(boards[0], folder=Path())
    assert [found.title for found in (here, boards[1])] == ["a", "b"]


def test_a_setting_that_a_run_lacks_is_called_not_set() -> None:
    cell = RunSpec(task="glue/sst2", criterion="random", sparsity=0.5, training=Training(clip=None))
    other = cell.model_copy(update={"training": Training(), "plugins": Plugins(schedule="0123456789abcdef")})
    said = ["training.clip not set (here 1.0)", "plugins.schedule not set (here 0123456789abcdef)"]
    assert _differences(cell, other) == said


@pytest.mark.parametrize(("inputs", "apart"), [(("dense", "pruned"), True), (("pruned", "pruned"), False)])
def test_calibration_inputs_are_part_of_the_protocol(tmp_path: Path, inputs: tuple[str, str], apart: bool) -> None:
    once = {"schedule": "one_shot", "scope": "row", "training": {"steps": 0}, "tasks": ["lm/wikitext2"]}
    boards = [
        board(tmp_path / name, criteria=["magnitude", name], calibration_inputs=given, **once)
        for name, given in zip(("wanda", "sparsegpt"), inputs, strict=True)
    ]
    if apart:
        with pytest.raises(PrunebenchError, match=r"lm/wikitext2, calibration_inputs: dense in .*, pruned in"):
            tables_text(boards, "text", View())
    else:
        assert "SparseGPT" in tables_text(boards, "text", View())


@pytest.mark.parametrize(("only", "said"), [((), True), (("glue/sst2",), False), (("squad",), True)])
def test_what_differs_from_quoted_figures_is_told_of_shown_tasks_alone(
    tmp_path: Path, only: tuple[str, ...], said: bool
) -> None:
    training = {name: value for name, value in TINY["training"].items() if name != "eval_examples"}
    few = {"squad": {"training": {"eval_examples": 8}}}
    made = board(tmp_path / "a", tasks=["glue/sst2", "squad"], sparsities=[0.9], training=training, overrides=few)
    finish(made)
    out = tables_text([made], "text", View(published=True, only=only))
    assert "quoted from" in out
    assert ("split sampled" in out) is said
