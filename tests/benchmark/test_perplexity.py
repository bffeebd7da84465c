"""A board of perplexity from run to page: what is recorded can be made again, and what was changed is found out."""

import json
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.board.record import record_path
from benchmark.commands.verify import verify_board
from benchmark.commands.views import View, plot, statistics_text, table_text, write_report
from tests.benchmark.boards import finish, make_board

TRAINING = {"steps": 3, "batch_size": 8, "lr": 1e-4, "max_length": 64, "train_examples": 64, "eval_examples": 40}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    made = make_board(
        tmp_path_factory.mktemp("perplexity") / "board",
        tasks=["lm/wikitext2"],
        criteria=["random", "magnitude", "wanda"],
        sparsities=[0.7],
        seeds=[0, 1],
        schedule="one_shot[at=0]",
        training=TRAINING,
    )
    finish(made)
    return made


def test_the_smallest_perplexity_is_best(board: Board) -> None:
    text = table_text(board, "text", View(against="best"))
    rows = {
        line.split()[0]: line for line in text.splitlines() if line.startswith(("Dense", "Random", "Magn", "Wanda"))
    }
    assert "perplexity (lower is better)" in text
    assert "*" in rows["Magnitude"] + rows["Wanda"]
    assert "*" not in rows["Random"]
    assert "\N{DAGGER}" not in rows["Dense"]


def test_records_verify_and_a_changed_one_does_not(board: Board) -> None:
    assert not verify_board(board, tell=lambda _: None)
    spec = board.find("lm/wikitext2 magnitude 0.7 seed 1")
    path = record_path(board.records_folder, spec.id)
    kept = path.read_text()
    content = json.loads(kept)
    content["metrics"]["perplexity"] *= 0.99
    path.write_text(json.dumps(content))
    told: list[str] = []
    assert verify_board(board, tell=told.append)
    assert any("perplexity is" in line and "its outcomes give" in line for line in told)
    path.write_text(kept)
    assert board.record(spec).lower_is_better == ["perplexity"]


def test_statistics_figures_and_the_page_are_made(board: Board, tmp_path: Path) -> None:
    assert "Magnitude" in statistics_text(board)
    names = {path.name for path in plot(board, tmp_path / "figures", "svg")}
    assert "score-sparsity.svg" in names
    page = write_report([board], tmp_path / "page.html").read_text()
    assert "Score: perplexity (lower is better)" in page
    assert " data-less " in page
