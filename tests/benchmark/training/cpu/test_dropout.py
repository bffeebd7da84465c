"""Cheap dropout: the law of torch's own, its gradients, its attention; seeded by torch's generator; nothing else is touched."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from benchmark.training.cpu.dropout import LEVELS, attention, cheap_dropout, dropout, kept

CPU = torch.device("cpu")


@given(p=st.floats(0.001, 0.999), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_share_p_goes_and_the_mean_stays(p: float, seed: int) -> None:
    torch.manual_seed(seed)
    factors, n = kept(torch.Size([400, 250]), p), 100_000
    lost = (factors == 0).double().mean().item()
    assert abs(lost - p) < 5 * math.sqrt(p * (1 - p) / n) + 1 / LEVELS
    scale = LEVELS / (LEVELS - round(p * LEVELS))
    assert set(factors.unique().tolist()) <= {0.0, torch.tensor(scale).item()}
    assert scale == pytest.approx(1 / (1 - p), rel=0.01)


def test_entries_are_independent() -> None:
    """Neighbours, entries of one draw and entries of one column are lost together as often as p^2 says."""
    torch.manual_seed(0)
    lost = (kept(torch.Size([1000, 1000]), 0.1) == 0).double()
    error = 5 * 0.1 / 1000
    for shift in (1, 2, 3, 4, 1000, 1001):
        both = (lost.flatten()[:-shift] * lost.flatten()[shift:]).mean().item()
        assert abs(both - 0.01) < error


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 7), (0,), (2, 3, 4)])
def test_every_shape(shape: tuple[int, ...]) -> None:
    assert kept(torch.Size(shape), 0.5).shape == shape


def test_gradient_passes_where_the_value_passed() -> None:
    x = torch.randn(64, 64, requires_grad=True)
    y = dropout(x, 0.3)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y.detach(), x.detach() * x.grad)
    assert 0.2 < (x.grad == 0).float().mean() < 0.4


def test_the_seed_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(torch.ones(1000), 0.5))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("change", [{"training": False}, {"p": 0.0}, {"p": 1.0}, {"p": 1e-7}, {"inplace": True}])
def test_what_is_not_ours_is_torchs(change: dict[str, Any]) -> None:
    torch.manual_seed(3)
    expected = functional.dropout(torch.ones(50), **({"p": 0.5} | change))
    torch.manual_seed(3)
    assert torch.equal(dropout(torch.ones(50), **({"p": 0.5} | change)), expected)


def _heads(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, 3, 5, 8, generator=generator) for _ in range(3))  # type: ignore[return-value]


MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "causal": {"is_causal": True},
    "bool": {"attn_mask": torch.tensor([[True] * 5, [True, True, True, False, False]])[:, None, None, :]},
    "added": {"attn_mask": torch.tensor([[0.0, 0.5, -1.0, 0.0, -1e9]] * 5)},
    "scaled": {"scale": 0.2},
}


@pytest.mark.parametrize("name", MASKS)
def test_attention_is_torchs_but_for_what_is_dropped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without losses, the written-out form gives torch's attention; with them, its mean over many draws."""
    heads = _heads()
    expected = functional.scaled_dot_product_attention(*heads, **MASKS[name])
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.training.cpu.dropout.kept", lambda shape, _: torch.ones(shape))
        torch.testing.assert_close(attention(*heads, dropout_p=0.1, **MASKS[name]), expected)
    torch.manual_seed(0)
    mean = torch.stack([attention(*heads, dropout_p=0.1, **MASKS[name]) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(mean, expected, atol=0.06, rtol=0)


def test_a_row_without_anything_to_attend_to_is_finite() -> None:
    query, key, value = (tensor.requires_grad_() for tensor in _heads())
    nothing = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    attention(query, key, value, nothing, 0.1).sum().backward()
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


def test_modules_use_it_inside_the_context_and_only_there() -> None:
    layer, x = nn.Dropout(0.5), torch.ones(1000)
    torch.manual_seed(0)
    plain = layer(x)
    torch.manual_seed(0)
    with cheap_dropout(layer, CPU):
        cheap = layer(x)
    torch.manual_seed(0)
    assert torch.equal(cheap, dropout(x, 0.5))
    assert not torch.equal(cheap, plain)
    torch.manual_seed(0)
    assert torch.equal(layer(x), plain)
    for model, device in ((layer, torch.device("cuda")), (nn.Dropout(0), CPU), (nn.Linear(2, 2), CPU)):
        with cheap_dropout(model, device):  # nothing is replaced
            torch.manual_seed(0)
            assert torch.equal(layer(x), plain)


def test_a_whole_encoder_loses_as_much_and_its_evaluation_nothing() -> None:
    """Outputs spread over draws of a BERT as they do with torch's own dropout; in evaluation the two are the same."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(
        BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    )
    ids = torch.randint(0, 50, (2, 9))
    spreads = []
    for device in (CPU, torch.device("cuda")):
        with cheap_dropout(model, device), torch.no_grad():
            outputs = torch.stack([copy.deepcopy(model).train()(ids).last_hidden_state for _ in range(200)])
            spreads.append(outputs.std(0).mean().item())
    assert spreads[0] == pytest.approx(spreads[1], rel=0.05)
    model.eval()
    with cheap_dropout(model, CPU), torch.no_grad():
        inside = model(ids).last_hidden_state
    with torch.no_grad():
        assert torch.equal(inside, model(ids).last_hidden_state)
