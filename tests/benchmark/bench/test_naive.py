"""The naive loops compute what the harness computes: same batches, same masks, up to the published off-by-one and rounding."""

import torch
from torch import Tensor

from benchmark.bench.cell import Cell, Place, opened
from benchmark.bench.naive import NaivePruner, NaiveStepper, lengthened, padded, shuffled
from benchmark.bench.stepper import SPARSITY, TINY, Stepper, build
from benchmark.plugins import registry
from benchmark.pruning.schedules.cubic import Cubic
from criteria.base import Step
from tests.benchmark.toys import Blocks, Steps

CPU = torch.device("cpu")


def flat(model: torch.nn.Module, names: set[str]) -> Tensor:
    return torch.cat([p.detach().flatten() for name, p in model.named_parameters() if name in names])


def test_scores_are_those_of_the_criterion() -> None:
    model, generator = Blocks(), torch.Generator().manual_seed(0)
    names = {"blocks.0.weight", "blocks.1.weight"}
    pruner = NaivePruner(names, Steps(), 0.5, 30, window=4)
    criterion = registry.configure("criteria", "principled[window=4]")
    state = criterion.init(flat(model, names), generator)
    for index in range(13):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        grad = torch.cat([p.grad.flatten() for n, p in model.named_parameters() if n in names and p.grad is not None])
        criterion.observe(state, flat(model, names), grad, Step(index, 30, 0.1))
        pruner.before_step(model, index, 0.1)
    ours = criterion.score(state, flat(model, names))
    assert torch.allclose(
        torch.cat([s.detach().flatten() for s in pruner.scores().values()]), ours, rtol=1e-5, atol=1e-12
    )


def test_a_padded_naive_run_prunes_the_same_weights() -> None:
    total = 26
    schedule = Cubic(initial=5, final=6, window=5)
    ours = Stepper(TINY, CPU, "principled[window=5]", schedule, total)
    naive = NaiveStepper(TINY, CPU, schedule, total)
    assert naive.pruner is not None
    naive.pruner.window = 5
    naive.batch = lengthened(naive.batch, 2 * TINY.length, {"input_ids": 0})
    assert naive.batch["attention_mask"].sum() == ours.batch["attention_mask"].sum()
    for stepper in (ours, naive):
        stepper.model.eval()  # dropout would draw by shape
        for _ in range(total):
            stepper()
    left, right = flat(ours.model, naive.pruner.names), flat(naive.model, naive.pruner.names)
    n = left.numel()
    assert int((left == 0).sum()) == round(SPARSITY * n)
    assert round(SPARSITY * n) - 2 <= int((right == 0).sum()) <= round(SPARSITY * n)
    assert int(((left == 0) != (right == 0)).sum()) <= 0.005 * n
    kept = (left != 0) & (right != 0)
    moved = (left - flat(build(TINY, CPU), naive.pruner.names))[kept].abs().mean()
    assert (
        float((left - right)[kept].abs().mean()) < 0.02 * moved
    )  # Adam lets rounding through where a gradient is all but zero


def test_padded_batches_hold_the_same_tokens_at_full_length() -> None:
    spec = Place(steps=4, eval_examples=6).spec(Cell("glue/sst2", "none", 4, 1))
    task = opened(spec)
    long = padded(task, 4)
    for short, batch in zip(task.batches("reported", 4, None), long.evaluation_batches("reported"), strict=True):
        width = short["input_ids"].shape[1]
        assert batch["input_ids"].shape == (len(short["index"]), 128)
        assert torch.equal(batch["input_ids"][:, :width], short["input_ids"])
        assert not batch["attention_mask"][:, width:].any()
    assert next(shuffled(long, 4, 0))["input_ids"].shape == (4, 128)
    model = task.build(0)
    assert long.evaluate(model, "reported").metrics == task.evaluate(model, "reported").metrics
