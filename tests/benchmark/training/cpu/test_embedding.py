"""Embeddings that add their gradients in place give the bits that autograd's own backward gives."""

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from benchmark.bench.shapes import TINY, batch, build, loss_of
from benchmark.pruning.flat import Flat
from benchmark.training.cpu.embedding import InPlaceEmbedding, add_in_place

CPU = torch.device("cpu")


def gradient(embedding: nn.Embedding, ids: Tensor, rows: Tensor) -> Tensor:
    (embedding(ids) * rows).sum().backward()
    assert embedding.weight.grad is not None
    return embedding.weight.grad


@pytest.mark.parametrize(("padding", "seed"), list(itertools.product((None, 0), range(5))))
def test_same_bits_as_the_plain_embedding(padding: int | None, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    plain = nn.Embedding(7, 5, padding_idx=padding)
    light = copy.deepcopy(plain)
    Flat(list(light.parameters()))
    add_in_place(light)
    assert isinstance(light, InPlaceEmbedding)
    ids = torch.randint(0, 7, (6, 9), generator=generator)
    rows = torch.randn(6, 9, 5, generator=generator)
    assert torch.equal(light(ids), plain(ids))
    assert torch.equal(gradient(light, ids, rows), gradient(plain, ids, rows))


def test_a_whole_model_has_the_same_gradients() -> None:
    models = [build(TINY, CPU) for _ in range(2)]
    for model in models:
        Flat(list(model.parameters()))
        torch.manual_seed(0)
        if model is models[1]:
            add_in_place(model)
        loss_of(model, batch(TINY, CPU)).backward()
    for left, right in zip(*(model.parameters() for model in models), strict=True):
        assert left.grad is not None
        assert right.grad is not None
        assert torch.equal(left.grad, right.grad)


def test_copies_and_frozen_tables_look_up_plainly() -> None:
    light = nn.Embedding(4, 2)
    Flat(list(light.parameters()))
    add_in_place(light)
    ids = torch.tensor([1, 1, 3])
    copied = copy.deepcopy(light)
    copied(ids).sum().backward()
    assert copied.weight.grad is not None
    assert copied.weight.grad[:, 0].tolist() == [0, 2, 0, 1]
    assert not light.weight.grad.any()  # type: ignore[union-attr]
    light.requires_grad_(False)
    assert not light(ids).requires_grad
    assert light.state_dict().keys() == {"weight"}


def test_only_plain_embeddings_are_changed() -> None:
    scaled = nn.Embedding(4, 2, scale_grad_by_freq=True)
    add_in_place(scaled)
    assert type(scaled) is nn.Embedding
