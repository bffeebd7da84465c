"""Exact selection: the host's introselect, the accelerator's radix selection and a stable sort give one mask."""

import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.pruning import selection
from benchmark.pruning.scores import all_finite
from benchmark.pruning.selection import (
    INFINITE,
    _float_of,
    _keep_above,
    _radix_kth,
    keep_highest,
    keep_highest_rows,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
FEW = st.sampled_from([-1.0, -0.0, 0.0, 1e-45, 1.0])
EXTREMES = [0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, -1.1754944e-38, 3.4028235e38, -3.4028235e38, 1.0, -1.0]


def by_sorting(scores: Tensor, k: int) -> Tensor:
    """The reference: a stable sort, of which the first k go."""
    mask = torch.ones(len(scores), dtype=torch.bool)
    mask[scores.argsort(stable=True)[:k]] = False
    return mask


def by_radix(scores: Tensor, k: int) -> Tensor:
    """The accelerator's path, run here."""
    return _keep_above(scores, _radix_kth(scores, k), k)


def kept(scores: Tensor, k: int, device: torch.device) -> Tensor:
    """`keep_highest` on the device, to be compared on the CPU."""
    mask = keep_highest(scores.to(device), k)
    assert (mask.device.type, mask.dtype) == (device.type, torch.bool)
    return mask.cpu()


@st.composite
def selections(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Scores, many of them equal as often as not, and how many of them go."""
    values = draw(st.lists(st.one_of(FLOATS, FEW), min_size=1, max_size=40))
    return torch.tensor(values, dtype=torch.float32), draw(st.integers(0, len(values)))


def test_hand_computed(device: torch.device) -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 1.0])
    assert kept(scores, 0, device).tolist() == [True, True, True, True]
    assert kept(scores, 1, device).tolist() == [True, False, True, True]
    assert kept(scores, 2, device).tolist() == [True, False, True, False]
    assert kept(scores, 3, device).tolist() == [True, False, False, False]
    assert kept(scores, 4, device).tolist() == [False, False, False, False]


def test_of_equal_scores_the_first_go(device: torch.device) -> None:
    assert kept(torch.full((5,), 7.0), 2, device).tolist() == [False, False, True, True, True]


def test_negative_zero_equals_zero(device: torch.device) -> None:
    scores = torch.tensor([0.0, -0.0, 0.0, -0.0])
    assert kept(scores, 2, device).tolist() == by_radix(scores, 2).tolist() == [False, False, True, True]


@given(selections())
def test_three_ways_give_one_mask(device: torch.device, case: tuple[Tensor, int]) -> None:
    scores, k = case
    expected = by_sorting(scores, k)
    assert torch.equal(kept(scores, k, device), expected)
    assert int((~expected).sum()) == k
    if k:
        assert torch.equal(by_radix(scores, k), expected)


@pytest.mark.parametrize("k", range(1, len(EXTREMES) + 1))
def test_extremes_of_float_are_ranked_as_a_sort_ranks_them(k: int, device: torch.device) -> None:
    scores = torch.tensor(EXTREMES)
    expected = by_sorting(scores, k)
    assert torch.equal(kept(scores, k, device), expected)
    assert torch.equal(by_radix(scores, k), expected)


@given(st.lists(FLOATS, min_size=1, max_size=30, unique=True), st.data())
def test_order_of_the_weights_does_not_matter(device: torch.device, values: list[float], data: st.DataObject) -> None:
    scores = torch.tensor(values, dtype=torch.float32).unique()
    k = data.draw(st.integers(0, len(scores)))
    order = torch.tensor(data.draw(st.permutations(range(len(scores)))))
    assert torch.equal(kept(scores[order], k, device), kept(scores, k, device)[order])


@given(selections())
def test_more_pruning_prunes_the_same_and_more(device: torch.device, case: tuple[Tensor, int]) -> None:
    scores, k = case
    if k:
        assert not (kept(scores, k, device) & ~kept(scores, k - 1, device)).any()


KEYS = st.integers(-INFINITE, INFINITE) | st.integers(-3, 3)


@given(st.lists(KEYS, min_size=2, max_size=2))
def test_keys_are_ordered_as_the_floats(pair: list[int]) -> None:
    low, high = _float_of(torch.tensor(pair)).tolist()
    assert (low < high, low == high) == (pair[0] < pair[1], pair[0] == pair[1])
    assert low == -_float_of(torch.tensor(-pair[0]))


@given(st.floats(0, width=32, allow_nan=False))
def test_keys_count_the_floats_from_zero(value: float) -> None:
    key = torch.tensor(abs(value), dtype=torch.float32).view(torch.int32)
    assert _float_of(key.to(torch.int64)) == value
    beyond = torch.nextafter(torch.tensor(value, dtype=torch.float32), torch.tensor(torch.inf))
    assert _float_of(key.to(torch.int64) + 1) == beyond


@pytest.mark.parametrize("k", [1, 500, 1000])
def test_radix_selection_never_waits_for_the_device(k: int) -> None:
    """No value is read by the host; the histogram's branch for a CPU looks at its own mask, and is left out here."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func is not torch.ops.aten._local_scalar_dense.default
            return func(*args, **(kwargs or {}))

    scores = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    with Watch():
        mask = by_radix(scores, k)
    assert torch.equal(mask, by_sorting(scores, k))


@pytest.mark.parametrize("values", [2, 10, 1 << 20])
@pytest.mark.parametrize("k", [0, 1, 60, 100])
def test_rows_are_selected_from_each_on_its_own(values: int, k: int, device: torch.device) -> None:
    rows = torch.randint(-values, values, (5, 100), generator=torch.Generator().manual_seed(values)).float()
    rows[1] = -0.0
    assert torch.equal(keep_highest_rows(rows.to(device), k).cpu(), torch.stack([by_sorting(row, k) for row in rows]))


def test_a_large_vector_with_ties_is_ranked_as_a_sort_ranks_it(device: torch.device) -> None:
    scores = torch.randn(100_003, generator=torch.Generator().manual_seed(0)).mul(100).round().div(100)
    for k in (1, 50_000, 80_002, 100_003):
        assert torch.equal(kept(scores, k, device), by_sorting(scores, k))
        assert torch.equal(by_radix(scores, k), by_sorting(scores, k))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.69, 0.7, 0.71, 0.95, 0.9999])
@pytest.mark.parametrize("tied", [0.0, 0.7, 1.0])
def test_many_zeros_are_ranked_as_a_sort_ranks_them(share: float, tied: float, device: torch.device) -> None:
    """As the scores of weights that were pruned before, among positive and among signed scores; -0.0 is a zero like any other."""
    random = torch.Generator().manual_seed(0)
    lives = torch.rand(200_000, generator=random) >= tied
    k = round(share * 200_000)
    for scores in (torch.rand(200_000, generator=random), torch.randn(200_000, generator=random)):
        assert torch.equal(kept(scores * lives, k, device), by_sorting(scores * lives, k))


def test_long_vectors_are_counted_in_parts(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MOST", 1000)
    monkeypatch.setattr("benchmark.pruning.scores.MOST", 1000)
    scores = torch.randn(2500, generator=torch.Generator().manual_seed(0)).round()
    for k in (1, 1200, 2499):
        assert torch.equal(kept(scores, k, device), by_sorting(scores, k))
        assert torch.equal(by_radix(scores, k), by_sorting(scores, k))
    assert all_finite(scores.to(device))
    scores[2400] = torch.nan
    assert not all_finite(scores.to(device))


def test_counts_on_a_device_are_of_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    histc = torch.histc

    def watched(part: Tensor, **options: Any) -> Tensor:
        counted.append(len(part))
        return histc(part, **options)

    monkeypatch.setattr(torch, "histc", watched)
    monkeypatch.setattr(selection, "MOST", 1000)
    assert keep_highest(torch.empty(2500, device="meta"), 1200).shape == (2500,)
    assert counted == [1000, 1000, 500] * 3


@pytest.mark.parametrize("warn_only", [False, True])
def test_deterministic_algorithms_may_be_asked_for(
    warn_only: bool, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the Trainer's `full_determinism` does: torch before 2.10 then refuses `histc` and `kthvalue` on CUDA, or warns."""
    for place, name in ((torch, "histc"), (Tensor, "kthvalue")):
        monkeypatch.setattr(place, name, lambda *_, **__: pytest.fail("refused on CUDA"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    rows = torch.randint(-9, 9, (3, 500), generator=torch.Generator().manual_seed(0)).float()
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        masks = [kept(row, 200, device) for row in rows]
        together = keep_highest_rows(rows.to(device), 200).cpu()
        assert keep_highest_rows(torch.empty(3, 500, device="meta"), 200).shape == (3, 500)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(torch.stack(masks), together)
    assert torch.equal(together, torch.stack([by_sorting(row, 200) for row in rows]))


@pytest.mark.parametrize("k", [-1, 4, sys.maxsize])
def test_impossible_counts_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r"k must lie in \[0, 3\], found"):
        keep_highest(torch.zeros(3), k)
