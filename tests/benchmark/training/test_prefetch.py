"""Batches on their way to a device: wider ones give the same losses, and the next is sent before the current is used."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from benchmark.suite.spec import RunSpec, Training
from benchmark.training.prefetch import one_ahead, prefetched, widened
from benchmark.training.run import Options, open_task
from tasks import mini

DECODER = Path(mini.__file__).parent / "decoder"
"""Its padding is no zero."""


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("glue/sst2", "mini"),
        ("glue/sst2", str(DECODER)),
        ("squad", "mini"),
        ("conll2003", "mini"),
        ("e2e[beams=1,max_target=32]", "mini"),
        ("lm/wikitext2", "mini"),
    ],
)
def test_widened_batches_give_the_same_losses(task: str, name: str) -> None:
    spec = RunSpec(
        task=task,
        model=name,
        training=Training(steps=4, batch_size=6, max_length=61, train_examples=40, eval_examples=4),
    )
    prepared = open_task(spec, Options())
    model = prepared.build(0).eval()
    for batch in islice(prepared.batches("train", 6, 0), 3):
        wide = widened(batch, prepared.pads)
        assert wide["input_ids"].shape[1] % 8 == 0
        assert wide["attention_mask"].sum() == batch["attention_mask"].sum()
        assert torch.equal(wide["index"], batch["index"])
        with torch.no_grad():
            plain, wider = prepared.forward(model, batch)[0], prepared.forward(model, wide)[0]
            assert torch.allclose(plain, wider, atol=1e-5)
            assert torch.allclose(plain, prepared.losses(model, wide), atol=1e-5)


def test_the_next_is_sent_before_the_current_is_used() -> None:
    happened: list[str] = []

    def send(item: str) -> str:
        happened.append(f"send {item}")
        return item

    for item in one_ahead("abc", send):
        happened.append(f"use {item}")
    assert happened == ["send a", "send b", "use a", "send c", "use b", "use c"]
    assert list(one_ahead([], send)) == []


def test_on_a_cpu_batches_pass_as_they_are() -> None:
    batches = [{"input_ids": torch.ones(2, 5)}]
    (passed,) = prefetched(batches, torch.device("cpu"), {})
    assert passed is batches[0]
