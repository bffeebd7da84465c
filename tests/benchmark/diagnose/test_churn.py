"""Churn by hand, on masks of four weights."""

import pytest
import torch
from torch import Tensor

from benchmark.diagnose.churn import Churn, Masks


def kept(*bits: int) -> Tensor:
    return torch.tensor(bits, dtype=torch.bool)


def seen(*masks: Tensor) -> Churn:
    found = Masks()
    for step, mask in enumerate(masks):
        found.add(step, mask)
    return found.result()


def test_a_mask_that_only_grows_does_not_swap() -> None:
    churn = seen(kept(1, 1, 1, 0), kept(1, 1, 0, 0))
    assert [m.model_dump() for m in churn.maskings] == [
        {"step": 1, "sparsity": 0.5, "flipped": 0.25, "swapped": 0.0, "regrown": 0.0}
    ]
    assert churn.returned == 0


def test_weights_that_change_places() -> None:
    churn = seen(kept(1, 1, 1, 0), kept(1, 1, 0, 1), kept(0, 1, 0, 1), kept(0, 0, 1, 1))
    assert [m.flipped for m in churn.maskings] == [0.5, 0.25, 0.5]
    assert [m.swapped for m in churn.maskings] == [0.5, 0.0, 0.5]
    assert [m.regrown for m in churn.maskings] == [1.0, 0.0, 0.5]
    assert churn.returned == pytest.approx(2 / 4)


def test_one_masking_and_nothing_pruned() -> None:
    assert seen(kept(1, 0)).maskings == []
    assert seen(kept(1, 1), kept(1, 1)).returned == 0


def test_masks_are_copies() -> None:
    found, mask = Masks(), kept(1, 0)
    found.add(1, mask)
    mask.fill_(True)
    found.add(2, mask)
    assert found.result().maskings[0].regrown == 1
