"""Training on every device: the optimizer, steps as graphs, batches on their way, and generated text. Whole and resumed runs are in
tests/benchmark/training/test_checkpoint.py, which runs on every device too."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.machine import environment
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.optimizer import FlatOptimizer
from benchmark.training.prefetch import prefetched
from benchmark.training.run import Options, open_task, run
from tasks.pipeline.decided import DECISIONS
from tasks.pipeline.generation import Plan, generate
from tests.device.test_pruner import net


@pytest.mark.parametrize("name", ["adamw", "adamax"])
def test_the_flat_optimizer_is_the_usual_one(name: str, device: torch.device) -> None:
    model, other = net(device), net(device)
    training = Training.model_validate({"weight_decay": 0.1, "optimizer": name})
    flat = FlatOptimizer(model, PrunableWeights(find_prunable(model)), training)
    groups = [
        {"params": [p for p in other.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in other.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adamax
    usual = kind(groups, lr=0.01)
    for step in range(5):
        x = torch.randn(8, 64, generator=torch.Generator().manual_seed(step)).to(device)
        for each in (model, other):
            first, second, third = cast("nn.ModuleList", each.blocks)
            cast("nn.Linear", each.head)(third(torch.tanh(second(first(x))))).square().mean().backward()
        flat.clip(0.1)
        torch.nn.utils.clip_grad_norm_(other.parameters(), 0.1)
        for group in usual.param_groups:
            group["lr"] = 0.01 * (step + 1)
        flat.step(0.01 * (step + 1))
        usual.step()
        flat.zero_grad()
        usual.zero_grad()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs")
def test_steps_as_graphs_are_the_plain_steps() -> None:
    """In bf16 both, so that only the first steps can be told to be the same; of every width graphs are recorded, none is left out."""
    training = Training(steps=40, batch_size=8, lr=1e-4, train_examples=200, eval_examples=32, max_length=48)
    spec = RunSpec(task="glue/sst2", criterion="soft_movement", regularizer="rdrop", sparsity=0.5, training=training)
    plain, *fast = (
        run(spec, Options(device="cuda", compile=compiled)).record.curve for compiled in (False, True, True)
    )
    counters = torch._dynamo.utils.counters
    assert not counters["graph_break"]
    assert not counters["inductor"]["cudagraph_skips"]
    # The gradient of an embedding is added up in no certain order, so that not even two compiled runs are the same.
    for curve in fast:
        for ours, theirs in zip(curve[:10], plain[:10], strict=True):
            assert ours.loss == pytest.approx(theirs.loss, rel=0.05)


def test_batches_arrive_as_they_were(device: torch.device) -> None:
    batches = [
        {"input_ids": torch.full((4, 5 + i), i), "index": torch.arange(4), DECISIONS: torch.full((4,), i)}
        for i in range(40)
    ]
    arrived = 0
    for i, batch in enumerate(prefetched(batches, device, {"input_ids": 7})):
        assert batch["input_ids"].device.type == device.type
        assert batch[DECISIONS].device.type == "cpu"
        assert batch["input_ids"][:, : 5 + i].eq(i).all()
        assert batch["input_ids"][:, 5 + i :].eq(7).all()
        assert batch["index"].tolist() == [0, 1, 2, 3]
        assert batch[DECISIONS].tolist() == [i] * 4
        arrived += 1
    assert arrived == 40


@pytest.mark.parametrize("task", ["glue/sst2", "conll2003", "squad", "e2e[beams=2,max_target=16]"])
def test_a_task_gives_the_losses_and_answers_of_the_cpu(task: str, accelerator: torch.device) -> None:
    """In fp32 on both, so that greedy choices agree but for near ties."""
    training = Training(batch_size=6, train_examples=24, eval_examples=12, max_length=48)
    prepared = open_task(RunSpec(task=task, training=training), Options())
    host, away = prepared.build(0).eval(), prepared.build(0).eval().to(accelerator)
    with torch.no_grad():
        for batch in prepared.batches("train", 6, 0):
            (there,) = list(prefetched([batch], accelerator, prepared.pads))
            expected, found = prepared.forward(host, batch)[0], prepared.forward(away, there)[0]
            torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
    ours, theirs = prepared.evaluate(away, "reported"), prepared.evaluate(host, "reported")
    alike = sum(one == other for one, other in zip(ours.predictions, theirs.predictions, strict=True))
    assert alike >= 0.9 * len(theirs.predictions)


def test_a_text_is_the_likeliest_token_after_token(device: torch.device) -> None:
    """Prompts of several lengths in one batch against each alone, the whole text read again for every token."""
    prepared = open_task(RunSpec(task="e2e[beams=1]"), Options())
    model: Any = prepared.build(0).eval().to(device)
    drawn = np.random.default_rng(0)
    prompts = [drawn.integers(5, 60, size).astype(np.int32) for size in (3, 9, 5, 6)]
    plan = Plan(1, 12, 1.0, pad=0, end=model.config.eos_token_id, decoder_only=True)
    with torch.no_grad():
        found = generate(model, prompts, plan)
        for prompt, answer in zip(prompts, found, strict=True):
            text = prompt.tolist()
            for _ in range(plan.new_tokens):
                text.append(int(model(torch.tensor([text], device=device)).logits[0, -1].argmax()))
                if text[-1] == plan.end:
                    text.pop()
                    break
            assert answer == text[len(prompt) :]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="memory of a GPU")
def test_running_out_of_memory_is_known_for_what_it_is() -> None:
    with pytest.raises(RuntimeError) as found:
        torch.empty(1 << 42, device="cuda")
    assert environment.is_out_of_memory(found.value)
    assert not environment.is_device_lost()
