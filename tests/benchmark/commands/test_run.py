"""`run` says how much room kept weights will take before it takes it."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.weights import weights_path
from benchmark.commands.run import not_kept, weights_room
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.engine.sources import open_sources
from benchmark.errors import PrunebenchError
from benchmark.training.run import Options
from tests.benchmark.boards import Watched, make_board


def test_the_room_that_is_told_is_the_room_that_is_taken(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    cells = board.suite.cells()
    said = weights_room(board, cells, Settings(device="cpu"))
    found = re.fullmatch(
        r"--save-weights: the weights of (\d+) runs will take ([\d.]+) GB in (.+); \d+ GB are free there", said
    )
    assert found is not None
    assert (int(found[1]), found[3]) == (len(cells), str(board.folder / "weights"))
    run_cells(board, cells, Watched(), Settings(device="cpu", save_weights=True))
    taken = sum(weights_path(board.weights_folder, spec.id).stat().st_size for spec in cells)
    assert abs(taken / 1e9 - float(found[2])) < 0.01


@pytest.mark.parametrize(
    ("asked", "there", "said"),
    [
        ({}, (), []),
        ({"save_weights": True}, (), ["--save-weights: nothing is kept of 2 cells"]),
        ({"save_weights": True}, ("weights/a.safetensors",), ["--save-weights: nothing is kept of 1 cell that"]),
        ({"save_weights": True}, ("weights/a.safetensors", "weights/b.safetensors"), []),
        (
            {"save_weights": True, "save_predictions": True},
            (),
            ["--save-weights", "--save-predictions: nothing is kept"],
        ),
    ],
)
def test_what_is_not_kept_of_finished_cells_is_told(
    tmp_path: Path, asked: dict[str, Any], there: tuple[str, ...], said: list[str]
) -> None:
    """They are not run again: the option did nothing, without a word."""
    board = make_board(tmp_path)
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines = not_kept(board, ["a", "b"], Settings(**asked))
    assert len(lines) == len(said)
    assert all(line.startswith(begin) for line, begin in zip(lines, said, strict=True))


def test_a_task_that_cannot_be_opened_is_no_harm(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    spec = board.suite.cells()[0].model_copy(update={"data": str(tmp_path / "nowhere")})
    assert weights_room(board, [spec], Settings(device="cpu")).startswith(
        "--save-weights: how much room the weights take cannot"
    )


TASKS = ["glue/rte", "glue/mrpc", "glue/sst2"]


def test_a_hub_that_gives_no_model_is_asked_once_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def closed(*place: object, **_: object) -> None:
        asked.append(place)
        raise OSError("no connection to\n the hub")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", closed)
    monkeypatch.setattr("tasks.pipeline.checkpoints.config_file", closed)
    board = make_board(tmp_path, tasks=TASKS, model="owner/name", overrides={"glue/mrpc": {"model": "owner/other"}})
    with pytest.raises(PrunebenchError) as caught:
        open_sources(board, board.suite.cells(), Options("cpu"))
    first, second = str(caught.value).splitlines()
    said = "cannot open model 'owner/{}', taken as a hub id (no such folder here): no connection to the hub"
    assert first.startswith(f"glue/rte, glue/sst2: {said.format('name')}")
    assert second.startswith(f"glue/mrpc: {said.format('other')}")
    assert first.endswith("serves as well: --model DIR")
    assert len(asked) == 2


def test_a_hub_that_gives_no_data_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise ConnectionError("cannot be reached")

    monkeypatch.setattr("datasets.load_dataset", closed)
    board = make_board(tmp_path, tasks=[*TASKS, "squad"], data="hub")
    with pytest.raises(PrunebenchError) as caught:
        open_sources(board, board.suite.cells(), Options("cpu"))
    glue, squad = str(caught.value).splitlines()
    assert glue.startswith(
        "glue/rte, glue/mrpc, glue/sst2: could not load nyu-mll/glue from the hub: cannot be reached."
    )
    assert squad.startswith("squad: could not load rajpurkar/squad from the hub")
    assert glue.endswith("serves as well: --data DIR")
