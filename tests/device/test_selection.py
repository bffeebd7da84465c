"""Exact selection, scopes and gates on every device: against a stable sort, the CPU's masks and torch's own `where`."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmark.pruning.masks import gate, make_mask, parse_scope
from benchmark.pruning.selection import keep_highest, keep_highest_rows
from tests.benchmark.pruning.test_selection import by_sorting

CASES: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "normal": lambda n, g: torch.randn(n, generator=g),
    "small squares": lambda n, g: torch.randn(n, generator=g).square() * 1e-9,
    "mostly zero": lambda n, g: torch.randn(n, generator=g) * (torch.rand(n, generator=g) > 0.8),
    "both zeros": lambda n, g: torch.where(torch.rand(n, generator=g) > 0.5, 0.0, -0.0),
    "few values": lambda n, g: torch.randint(-3, 3, (n,), generator=g).float(),
    "subnormal": lambda n, g: torch.randn(n, generator=g) * 1e-42,
    "huge": lambda n, g: (torch.randn(n, generator=g) * 1e38).clamp(-3e38, 3e38),
    "sorted": lambda n, _: torch.arange(n).float(),
}


def scores_of(case: str, n: int) -> Tensor:
    """The scores [n] of that kind, on the CPU."""
    return CASES[case](n, torch.Generator().manual_seed(n))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [1, 3, 257, 70_001, 300_007])
def test_the_lowest_go(case: str, n: int, device: torch.device) -> None:
    scores = scores_of(case, n)
    there = scores.to(device)
    for k in sorted({0, 1, n // 2, round(0.8 * n), n - 1, n}):
        assert torch.equal(keep_highest(there, k).cpu(), by_sorting(scores, k)), f"{k} of {n}"


def test_more_scores_than_a_float_counts(accelerator: torch.device) -> None:
    scores, k = torch.randn(20_000_001, generator=torch.Generator().manual_seed(0)), 16_000_001
    assert torch.equal(keep_highest(scores.to(accelerator), k).cpu(), keep_highest(scores, k))


@pytest.mark.parametrize("case", CASES)
def test_the_lowest_of_each_row_go(case: str, device: torch.device) -> None:
    rows = scores_of(case, 70_000).view(7, 10_000)
    for k in (0, 1, 8_000, 10_000):
        expected = torch.stack([by_sorting(row, k) for row in rows])
        assert torch.equal(keep_highest_rows(rows.to(device), k).cpu(), expected), f"{k} of 10,000"


@pytest.mark.parametrize("scope", ["global", "layer", "row", "erk", "2:4", "1:8", "block[4,4]", "published"])
@pytest.mark.parametrize("case", CASES)
def test_every_scope_masks_as_on_the_cpu(scope: str, case: str, accelerator: torch.device) -> None:
    shapes = [(96, 64), (64, 96), (32, 64), (96, 64)]
    scores = scores_of(case, sum(out * inputs for out, inputs in shapes))
    for sparsity in (0.1, 0.5):
        expected = make_mask(scores, shapes, parse_scope(scope), sparsity)
        assert torch.equal(make_mask(scores.to(accelerator), shapes, parse_scope(scope), sparsity).cpu(), expected)


def test_gates_are_exact(device: torch.device) -> None:
    values = torch.tensor([1.0, -2.0, float("inf"), -0.0, 1e-42, float("nan")]).repeat(100_000)
    mask = torch.rand(len(values), generator=torch.Generator().manual_seed(0)) > 0.5
    found = gate(values.to(device), mask.to(device), torch.empty(len(values), device=device)).cpu()
    assert torch.equal(found.view(torch.int32), torch.where(mask, values.view(torch.int32), 0))
