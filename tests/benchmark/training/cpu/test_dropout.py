"""Dropout in bulk: the law of torch's own, its gradients, its attention; seeded by torch's generator; nothing else is touched."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from benchmark.training.cpu.dropout import ATTENTION, LEVELS, BulkDropout, attention, draw_in_bulk, kept


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
def test_a_mask_has_the_shape_asked_for(shape: tuple[int, ...]) -> None:
    assert kept(torch.Size(shape), 0.5).shape == shape


def test_gradient_passes_where_the_value_passed() -> None:
    x = torch.randn(64, 64, requires_grad=True)
    y = BulkDropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y.detach(), x.detach() * x.grad)
    assert 0.2 < (x.grad == 0).float().mean() < 0.4


def test_the_seed_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(BulkDropout(0.5)(torch.ones(1000)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("p", "training", "inplace", "kind"),
    [
        (0.5, False, False, torch.float32),
        (0.0, True, False, torch.float32),
        (1.0, True, False, torch.float32),
        (1e-7, True, False, torch.float32),
        (0.5, True, True, torch.float32),
        (0.5, True, False, torch.float64),
        (0.5, True, False, torch.bfloat16),
    ],
)
def test_everything_else_is_torchs(p: float, training: bool, inplace: bool, kind: torch.dtype) -> None:
    found = []
    for module in (nn.Dropout(p, inplace), BulkDropout(p, inplace)):
        torch.manual_seed(3)
        found.append(module.train(training)(torch.ones(50, dtype=kind)))
    assert torch.equal(found[0], found[1])


def test_plain_dropout_modules_are_changed_and_no_others() -> None:
    class Other(nn.Dropout):
        pass

    model = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.0), Other(0.1), nn.Dropout1d(0.1), nn.Linear(2, 2))
    names = set(model.state_dict())
    draw_in_bulk(model)
    assert [type(module) for module in model] == [BulkDropout, nn.Dropout, Other, nn.Dropout1d, nn.Linear]
    assert set(model.state_dict()) == names


def _heads(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, 3, 5, 8, generator=generator) for _ in range(3))  # type: ignore[return-value]


def _attend(
    query: Tensor, key: Tensor, value: Tensor, dropout: float, mask: Tensor | None = None, **others: Any
) -> Tensor:
    return attention(nn.Module(), query, key, value, mask, dropout, **others)[0].transpose(1, 2)


MASKS: dict[str, dict[str, Any]] = {
    "none": {"is_causal": False},
    "causal": {"is_causal": True},
    "bool": {"mask": torch.tensor([[True] * 5, [True, True, True, False, False]])[:, None, None, :]},
    "added": {"mask": torch.tensor([[0.0, 0.5, -1.0, 0.0, -1e9]] * 5)},
    "scaled": {"scaling": 0.2, "is_causal": False},
}
NAMES = {"mask": "attn_mask", "scaling": "scale", "is_causal": "is_causal"}


@pytest.mark.parametrize("name", MASKS)
def test_attention_is_torchs_but_for_what_is_dropped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without losses, the written-out form gives torch's attention; with them, its mean over many draws."""
    heads, options = _heads(), MASKS[name]
    expected = functional.scaled_dot_product_attention(*heads, **{NAMES[key]: value for key, value in options.items()})
    if name != "causal":
        with monkeypatch.context() as patched:
            patched.setattr("benchmark.training.cpu.dropout.kept", lambda shape, _: torch.ones(shape))
            torch.testing.assert_close(_attend(*heads, dropout=0.1, **options), expected)
    torch.manual_seed(0)
    mean = torch.stack([_attend(*heads, dropout=0.1, **options) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(mean, expected, atol=0.06, rtol=0)


def test_grouped_heads_are_the_librarys() -> None:
    class Grouped(nn.Module):
        num_key_value_groups = 3

    query, key, value = _heads()
    grouped = attention(Grouped(), query, key[:, :1], value[:, :1], None, 0.0, is_causal=False)[0]
    key, value = (heads[:, :1].expand(-1, 3, -1, -1) for heads in (key, value))
    repeated = functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(grouped.transpose(1, 2), repeated)
    torch.manual_seed(0)
    assert attention(Grouped(), query, key[:, :1], value[:, :1], None, 0.5, is_causal=False)[0].shape == (2, 5, 3, 8)


def test_a_row_without_anything_to_attend_to_is_finite() -> None:
    query, key, value = (tensor.requires_grad_() for tensor in _heads())
    nothing = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    _attend(query, key, value, mask=nothing, dropout=0.1).sum().backward()
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_a_whole_model_loses_as_much_and_its_evaluation_nothing(kind: str) -> None:
    """Outputs spread over draws as they do with torch's own dropout; in evaluation the two are the same to the bit."""
    from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, T5Config, T5EncoderModel

    torch.manual_seed(0)
    model: Any = {
        "bert": lambda: BertModel(
            BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        ),
        "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2)),
        "t5": lambda: T5EncoderModel(T5Config(vocab_size=50, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)),
    }[kind]()
    changed = copy.deepcopy(model)
    draw_in_bulk(changed)
    assert changed.config._attn_implementation == (
        ATTENTION if model.config._attn_implementation == "sdpa" else "eager"
    )
    assert "attn_implementation" not in str(changed.config.to_dict())  # a saved model loads anywhere
    ids = torch.randint(0, 50, (2, 9))
    mask = torch.ones_like(ids).index_fill(1, torch.tensor([7, 8]), 0)
    spreads = []
    for one in (model, changed):
        with torch.no_grad():
            one.train()
            outputs = torch.stack([one(ids, attention_mask=mask).last_hidden_state for _ in range(200)])
            spreads.append(outputs[:, :, :7].std(0).mean().item())
            one.eval()
    assert spreads[0] == pytest.approx(spreads[1], rel=0.07)
    with torch.no_grad():
        for given in ({"attention_mask": mask}, {}):
            assert torch.equal(model(ids, **given).last_hidden_state, changed(ids, **given).last_hidden_state)
