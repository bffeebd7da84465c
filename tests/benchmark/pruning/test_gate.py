"""Weights times gates: a mask's product is the exact one, with positive zeros, whatever the values."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.pruning.masks import gate
from criteria.common.blocks import BLOCK

FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=20)


@given(FLOATS, st.integers(0, 2**20 - 1))
def test_a_mask_keeps_bits_or_writes_positive_zero(device: torch.device, values: list[float], pattern: int) -> None:
    vector = torch.tensor(values, dtype=torch.float32, device=device)
    mask = torch.tensor([bool(pattern >> i & 1) for i in range(len(values))], device=device)
    expected = vector.view(torch.int32).masked_fill(~mask, 0)
    assert torch.equal(gate(vector, mask, out=torch.empty_like(vector)).view(torch.int32), expected)
    assert torch.equal(gate(vector, mask, out=vector).view(torch.int32), expected)


def test_blocks_have_no_seams(device: torch.device) -> None:
    vector = torch.randn(2 * BLOCK + 3, generator=torch.Generator().manual_seed(0)).to(device)
    mask = vector > 0.3
    assert torch.equal(gate(vector, mask, out=torch.empty_like(vector)), vector.masked_fill(~mask, 0))


def test_soft_gates_multiply(device: torch.device) -> None:
    vector, gates = (torch.tensor(values, device=device) for values in ([2.0, -4.0, 3.0], [0.5, 0.25, 0.0]))
    assert gate(vector, gates, out=vector).tolist() == [1.0, -1.0, 0.0]
