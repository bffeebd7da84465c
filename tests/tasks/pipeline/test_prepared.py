"""Ragged features, padding, batches, splits and the cache of tokenized data."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tasks.base import TaskError, in_eval_mode
from tasks.pipeline import cache as caching
from tasks.pipeline.batching import WINDOW, budgeted, carve, grouped, in_order, sample
from tasks.pipeline.cache import Recent, cached
from tasks.pipeline.features import Feature, Features, collate, pack

EXAMPLES: list[list[Feature]] = [
    [{"input_ids": [1, 2, 3], "labels": [7], "label": 1}],
    [{"input_ids": [4], "labels": [], "label": 0}, {"input_ids": [5, 6], "labels": [8, 9], "label": 0}],
    [{"input_ids": [7, 8], "labels": [1], "label": 2}],
]


def test_rows_are_packed_and_found_again() -> None:
    features = pack(EXAMPLES)
    assert len(features) == 4
    assert features.example.tolist() == [0, 1, 1, 2]
    assert features.row("input_ids", 2).tolist() == [5, 6]
    assert features.lengths().tolist() == [3, 1, 2, 2]
    assert features.scalar["label"].tolist() == [1, 0, 0, 2]


def test_batches_are_padded_to_their_longest_row() -> None:
    features = pack(EXAMPLES)
    batch = collate(features, np.array([2, 0]), {"input_ids": 9, "labels": -100})
    assert batch["input_ids"].tolist() == [[5, 6, 9], [1, 2, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["labels"].tolist() == [[8, 9], [7, -100]]
    assert batch["label"].tolist() == [0, 1]
    assert batch["index"].tolist() == [2, 0]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


def test_taking_examples_takes_all_their_rows() -> None:
    taken = pack(EXAMPLES).take(np.array([1, 2]))
    assert taken.example.tolist() == [0, 0, 1]
    assert [taken.row("input_ids", at).tolist() for at in range(3)] == [[4], [5, 6], [7, 8]]
    assert taken.scalar["label"].tolist() == [0, 0, 2]


@given(st.lists(st.lists(st.lists(st.integers(0, 99), max_size=5), min_size=1, max_size=3), min_size=1, max_size=8))
def test_packing_loses_nothing(examples: list[list[list[int]]]) -> None:
    features = pack([[{"x": row} for row in rows] for rows in examples])
    rows = [(at, row) for at, rows in enumerate(examples) for row in rows]
    assert [(features.example[at], features.row("x", at).tolist()) for at in range(len(features))] == rows


def test_scores_are_kept_as_fp32() -> None:
    assert collate(pack([[{"x": [1], "label": 2.5}]]), np.array([0]), {"x": 0})["label"].dtype == torch.float32


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 16), st.integers(0, 5))
def test_grouped_batches_hold_every_row_once(lengths: list[int], size: int, seed: int) -> None:
    batches = grouped(np.array(lengths), size, seed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)


def test_batches_follow_their_seed_and_group_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 128, 3000)
    batches = grouped(lengths, 16, seed=3)
    again, other = grouped(lengths, 16, seed=3), grouped(lengths, 16, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))
    padding = sum(int(lengths[b].max()) * len(b) for b in batches) / int(lengths.sum())
    plain = sum(int(lengths[b].max()) * len(b) for b in in_order(3000, 16)) / int(lengths.sum())
    assert padding < 1.05 < 1.5 < plain
    firsts = [int(lengths[batch].max()) for batch in batches[:WINDOW]]
    assert firsts != sorted(firsts)  # the batches themselves are shuffled: no epoch goes from short to long


def test_evaluation_batches_keep_the_budget_longest_first() -> None:
    lengths = np.array([5, 100, 10, 40, 8, 300])
    batches = budgeted(lengths, rows=3, tokens=120)
    assert [batch.tolist() for batch in batches] == [[5], [1], [3, 2, 4], [0]]


def test_evaluation_batches_end_where_rows_get_short_once_they_are_large_enough() -> None:
    lengths = np.array([100, 95, 80, 79, 40, 39, 10, 9])
    batches = budgeted(lengths, rows=8, tokens=1000, least=150)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2], [3, 4], [5, 6, 7]]
    assert np.concatenate(budgeted(lengths, rows=8, tokens=10**6)).tolist() == list(range(8))


def test_samples_are_fixed_and_nested() -> None:
    assert sample(5, None).tolist() == sample(5, 9).tolist() == [0, 1, 2, 3, 4]
    small, large = sample(100, 10), sample(100, 30)
    assert set(small) < set(large)
    assert small.tolist() == sorted(small)
    with pytest.raises(TaskError, match="expected at least 1"):
        sample(100, 0)


def test_the_held_out_part_is_disjoint_and_seeded() -> None:
    kept, held = carve(100, 0.2, seed=1)
    assert len(held) == 20
    assert sorted([*kept, *held]) == list(range(100))
    assert carve(100, 0.2, seed=1)[1].tolist() == held.tolist() != carve(100, 0.2, seed=2)[1].tolist()
    assert len(carve(100, 0.001, seed=0)[1]) == 1
    for share, count in ((1.0, 10), (-0.1, 10), (0.6, 1)):
        with pytest.raises(TaskError, match="heldout"):
            carve(count, share, seed=0)


def test_recent_forgets_what_was_used_longest_ago() -> None:
    recent: Recent[int] = Recent(2)
    made = []

    def make(value: int) -> int:
        made.append(value)
        return value

    for key in (1, 2, 1, 3, 1, 2):
        recent.get(key, lambda key=key: make(key))  # type: ignore[misc]
    assert made == [1, 2, 3, 2]


def _forget() -> None:
    caching._features.values.clear()


def test_the_cache_is_read_again_and_mends_damage(tmp_path: Path) -> None:
    _forget()
    first = cached("key", tmp_path, lambda: pack(EXAMPLES))
    _forget()
    again = cached("key", tmp_path, lambda: pytest.fail("made twice"))
    assert again.ragged.keys() == first.ragged.keys()
    assert again.row("input_ids", 2).tolist() == [5, 6]
    assert not list(tmp_path.glob(".*.tmp"))
    (tmp_path / "key.safetensors").write_bytes(b"half a fi")
    _forget()
    assert cached("key", tmp_path, lambda: pack(EXAMPLES)).example.tolist() == [0, 1, 1, 2]
    _forget()
    assert Features.load(tmp_path / "key.safetensors").example.tolist() == [0, 1, 1, 2]


def _ask(folder: Path) -> list[int]:
    def make() -> Features:
        (folder / "made").open("a").write("x")
        return pack(EXAMPLES)

    _forget()
    return [int(at) for at in cached("shared", folder, make).example]


def test_several_processes_tokenize_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        found = list(pool.map(_ask, [tmp_path] * 6))
    assert found == [[0, 1, 1, 2]] * 6
    assert (tmp_path / "made").read_text() == "x"


@pytest.mark.parametrize(("whole", "head"), [(True, True), (True, False), (False, True), (False, False)])
def test_evaluation_leaves_every_module_in_its_mode(whole: bool, head: bool) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(whole)
    model[1].train(head)
    before = [module.training for module in model.modules()]
    with in_eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
