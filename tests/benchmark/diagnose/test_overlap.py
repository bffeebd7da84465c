"""Overlap of kept weights, by hand."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.board.board import Board
from benchmark.board.weights import read_weights, save_weights, weights_path
from benchmark.diagnose.overlap import chance, jaccard, kept_set, overlap_tables, overlaps
from benchmark.errors import PrunebenchError
from tests.benchmark.report.factory import make_record, make_spec


def kept(*bits: int) -> np.ndarray:
    return np.array(bits, dtype=bool)


def test_jaccard_by_hand() -> None:
    assert jaccard(kept(1, 1, 0, 0), kept(1, 0, 1, 0)) == pytest.approx(1 / 3)
    assert jaccard(kept(1, 0), kept(1, 0)) == 1.0
    assert jaccard(kept(0, 0), kept(0, 0)) == 1.0


def test_chance_is_what_random_sets_give() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random(200_000) < 0.2, generator.random(200_000) < 0.2
    assert chance(0.2, 0.2) == pytest.approx(0.2 / 1.8)
    assert jaccard(a, b) == pytest.approx(chance(0.2, 0.2), abs=0.005)


def test_rows_compare_at_equal_seeds_and_themselves_across_seeds() -> None:
    cells = [("magnitude", 0), ("magnitude", 1), ("random", 0), ("random", 1)]
    records = [make_record(make_spec(criterion, seed=seed)) for criterion, seed in cells]
    sets = [kept(1, 1, 0, 0), kept(1, 1, 0, 0), kept(1, 0, 1, 0), kept(0, 0, 1, 1)]
    names, found = overlaps(records, sets)
    assert names == ["magnitude", "random"]
    # magnitude across seeds 1; random across seeds {0,2} against {2,3}: 1/3; between rows 1/3 and 0, one at each seed.
    assert {place: [pair.value for pair in pairs] for place, pairs in found.items()} == {
        ("magnitude", "magnitude"): [1],
        ("magnitude", "random"): [pytest.approx(1 / 3), 0],
        ("random", "magnitude"): [pytest.approx(1 / 3), 0],
        ("random", "random"): [pytest.approx(1 / 3)],
    }


def test_one_seed_has_no_overlap_with_itself() -> None:
    assert overlaps([make_record(make_spec("magnitude"))], [kept(1, 0)]) == (["magnitude"], {})


def test_a_cell_is_of_the_records_of_its_pairs_alone(monkeypatch: pytest.MonkeyPatch, finished: Path) -> None:
    bits = {("magnitude", 0): (1, 1, 0), ("random", 0): (1, 0, 1), ("random", 1): (1, 0, 1), ("random", 2): (0, 1, 1)}
    records = [make_record(make_spec(criterion, seed=seed)) for criterion, seed in bits]
    monkeypatch.setattr(
        "benchmark.diagnose.overlap.kept_set", lambda _, record: kept(*bits[record.spec.criterion, record.spec.seed])
    )
    (table,) = overlap_tables(Board.open(finished), records).values()
    (own, other), (turned, seeds) = table.cells
    assert own.state == "blank"
    assert (other.text, seeds.text) == ("0.333", "0.556")  # 1/3; 1, 1/3 and 1/3
    assert other.ids == turned.ids == (records[0].id, records[1].id)
    assert seeds.ids == tuple(record.id for record in records[1:])


LAYER = "bert.encoder.layer.1.attention.self.query.weight"
Change = Callable[[Path, Path], object]
"""What is done to the file of one cell's weights; the second path is another cell's."""


def saved(path: Path, changed: dict[str, torch.Tensor | None]) -> None:
    """Write the weights with some tensors changed, or left out where None."""
    weights = read_weights(path) | changed
    save_weights(path.parent, path.stem, {name: one for name, one in weights.items() if one is not None})


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("nowhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


ODD: dict[str, tuple[Change, str]] = {
    "another cell's": (lambda path, other: path.write_bytes(other.read_bytes()), "zeros of .*, the record says"),
    "another model's": (
        lambda path, _: save_weights(path.parent, path.stem, {"one": torch.ones(2)}),
        "its weights lack bert",
    ),
    "one matrix missing": (lambda path, _: saved(path, {LAYER: None}), f"its weights lack {LAYER}"),
    "another size": (lambda path, _: saved(path, {LAYER: torch.ones(3)}), f"{LAYER} has 0 zeros of 3"),
    "not finite": (lambda path, _: saved(path, {"more": torch.tensor([torch.inf])}), "more is not finite"),
    "cut short": (lambda path, _: path.write_bytes(path.read_bytes()[:-100]), "its checksum does not hold"),
    "empty": (lambda path, _: path.write_bytes(b""), "its checksum does not hold"),
    "a link to nothing": (lambda path, _: moved_away(path), "[Nn]o such file"),
    "a folder": (lambda path, _: a_folder(path), "not an ordinary file"),
}


@pytest.mark.parametrize("form", ODD)
def test_weights_that_are_not_the_records_are_refused_and_left_alone(board_copy: Path, form: str) -> None:
    change, message = ODD[form]
    board = Board.open(board_copy)
    records = {record.spec.criterion: record for record in board.records()[0]}
    random, magnitude = (weights_path(board.weights_folder, records[name].id) for name in ("random", "magnitude"))
    change(random, magnitude)
    before = sorted(path.name for path in board.weights_folder.iterdir())
    with warnings.catch_warnings(action="error"), pytest.raises(PrunebenchError, match=message) as caught:
        overlap_tables(board, list(records.values()))
    assert str(caught.value).startswith("glue/sst2 random 0.5 seed 0: its kept weights do not fit its record: ")
    assert str(caught.value).endswith(f"Without weights/{random.name} the cell is left out of the overlap")
    assert sorted(path.name for path in board.weights_folder.iterdir()) == before


def test_weights_that_are_the_records_and_those_that_were_not_kept(board_copy: Path) -> None:
    board = Board.open(board_copy)
    record = board.record(board.find("glue/sst2 random 0.5 seed 0"))
    found = kept_set(board, record)
    assert found is not None
    assert np.count_nonzero(~found) == record.sparsity.zeros
    assert overlap_tables(board, [record]) == {}  # there is no pair
    weights_path(board.weights_folder, record.id).unlink()
    assert kept_set(board, record) is None
