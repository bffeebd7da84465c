"""Decided positions picked by their count, as on a device, are those that a mask picks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import Options, open_task
from tasks.base import Batch
from tasks.families import data_to_text
from tasks.pipeline import decided
from tasks.pipeline.decided import DECISIONS, moved, picked, positions


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5))
def test_by_count_as_by_mask(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows)
    values = torch.arange(mask.numel() * 2).view(*mask.shape, 2)
    batch = {"input_ids": torch.zeros(mask.shape), DECISIONS: mask.sum(1)}
    by_mask = picked(batch, mask, values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decided, "is_counted", lambda _: True)
        assert torch.equal(picked(batch, mask, values), by_mask)
    chosen = positions(batch, mask)
    assert chosen.shape == (len(rows), mask.sum(1).max())
    assert torch.equal(picked(batch, mask.gather(1, chosen), values[torch.arange(len(rows))[:, None], chosen]), by_mask)


def test_the_count_stays_where_it_is() -> None:
    batch = {"input_ids": torch.ones(2, 3), DECISIONS: torch.tensor([1, 2])}
    there = moved(batch, lambda tensor: tensor.to("meta"))
    assert (there["input_ids"].device.type, there[DECISIONS].tolist()) == ("meta", [1, 2])


@pytest.mark.parametrize("task", ["conll2003", "e2e[beams=1,max_target=24]"])
def test_a_task_gives_the_same_losses_and_logits(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec(task=task, training=Training(batch_size=5, train_examples=20, eval_examples=4, max_length=48))
    prepared = open_task(spec, Options())
    model = prepared.build(0).eval()
    batches: list[Batch] = list(prepared.batches("train", 5, 0))

    def answers() -> list[Tensor]:
        with torch.no_grad():
            return [part for batch in batches for part in prepared.forward(model, batch)]

    by_mask = answers()
    for batch in batches:
        assert batch[DECISIONS].shape == batch["index"].shape
    for module in (decided, data_to_text):
        monkeypatch.setattr(module, "is_counted", lambda _: True)
    for one, other in zip(by_mask, answers(), strict=True):
        torch.testing.assert_close(one, other)
