"""Compressed 2:4 weights: what is refused and why, and, with torch's compression replaced, what is changed. Real ones need CUDA."""

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning import semi_structured
from benchmark.pruning.masks import make_mask, parse_scope
from benchmark.pruning.semi_structured import convert


class Net(nn.Module):
    """Two linear layers in a list, an embedding before them and a head behind."""

    def __init__(self, first: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Linear(8, 64)
        self.blocks = nn.ModuleList([first or nn.Linear(64, 64), nn.Linear(64, 32)])
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 8] -> [batch, 2]."""
        x = self.embedding(x)
        for block in self.blocks:
            x = block(x).tanh()
        logits: Tensor = self.head(x)
        return logits


def pruned(model: nn.Module) -> nn.Module:
    """`model` with its blocks' weights pruned to 2:4."""
    for block in model.get_submodule("blocks").children():
        weight = block.get_parameter("weight").data
        mask = make_mask(weight.flatten().square(), [(weight.shape[0], weight.shape[1])], parse_scope("2:4"), 0.5)
        weight.mul_(mask.view(weight.shape))
    return model


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Conversion on a CPU, by a compression that changes nothing and notes what it was given."""
    seen: list[Tensor] = []

    def kept(weight: Tensor) -> Tensor:
        seen.append(weight)
        return weight.clone()

    monkeypatch.setattr(semi_structured, "require_cuda", lambda _: None)
    monkeypatch.setattr(torch.sparse, "to_sparse_semi_structured", kept)
    return seen


def test_on_a_cpu_it_is_refused_and_nothing_changes() -> None:
    model = pruned(Net())
    with pytest.raises(PrunebenchError, match="on a CUDA device alone, and this would run on cpu"):
        convert(model)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_prunable_matrices_are_compressed_and_all_is_fp16(anywhere: list[Tensor]) -> None:
    model = pruned(Net())
    x = torch.randn(4, 8)
    with torch.no_grad():
        before = model(x)
        convert(model)
        after = model(x.half())
    assert [tuple(weight.shape) for weight in anywhere] == [(64, 64), (32, 64)]
    assert {p.dtype for p in model.parameters()} == {torch.float16}
    assert not model.get_parameter("blocks.0.weight").requires_grad
    assert model.get_parameter("head.weight").requires_grad
    assert (before - after.float()).abs().max() < 0.01


@pytest.mark.parametrize("kept", [3, 4])
def test_what_is_not_2_4_is_named(kept: int, anywhere: list[Tensor]) -> None:
    model = pruned(Net())
    with torch.no_grad():
        model.get_parameter("blocks.1.weight")[5, 8 : 8 + kept] = 1.0
    with pytest.raises(PrunebenchError, match=r"blocks.1.weight is not 2:4"):
        convert(model)


def test_inputs_that_four_does_not_divide_are_named(anywhere: list[Tensor]) -> None:
    model = Net(nn.Linear(66, 64))
    with pytest.raises(PrunebenchError, match=r"blocks.0.weight is not 2:4"):
        convert(model)


def test_weights_stored_the_other_way_round_are_refused(anywhere: list[Tensor]) -> None:
    from transformers.pytorch_utils import Conv1D

    with pytest.raises(PrunebenchError, match=r"blocks.0.weight is stored as \[in, out\]"):
        convert(pruned(Net(Conv1D(64, 64))))


def test_what_torch_refuses_is_passed_on_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here torch refuses the CPU."""
    monkeypatch.setattr(semi_structured, "require_cuda", lambda _: None)
    with pytest.raises(PrunebenchError, match=r"blocks.0.weight cannot be compressed: .*CUDA"):
        convert(pruned(Net()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_compressed_weights_give_the_dense_ones_answers() -> None:
    import copy

    model = pruned(Net()).cuda().half()
    compressed = copy.deepcopy(model)
    convert(compressed)
    x = torch.randn(64, 8, device="cuda", dtype=torch.float16)
    with torch.no_grad():
        torch.testing.assert_close(compressed(x), model(x), rtol=1e-2, atol=1e-2)
