"""A compiled run takes the steps of the plain one: traced whole by dynamo, and run by a backend that changes nothing."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from benchmark.suite.spec import RunSpec, Training
from benchmark.training import compiled
from benchmark.training.run import Options, run

TRAINING = Training(steps=4, batch_size=8, lr=1e-3, train_examples=32, eval_examples=16, max_length=32, checkpoints=2)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """dynamo's own backend: graphs are taken and guarded as always, their kernels are torch's."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("traced")
def test_calibration_is_never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled backward cannot be differentiated once more, as grasp asks."""
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    spec = RunSpec(task="glue/sst2", criterion="grasp", sparsity=0.5, schedule="one_shot[at=1]", training=TRAINING)
    plain, fast = run(spec, Options(device="cpu")), run(spec, Options(device="cpu", compile=True))
    assert fast.record.sparsity == plain.record.sparsity


@pytest.mark.usefixtures("traced")
def test_many_heads_share_a_class_and_all_are_compiled() -> None:
    """dynamo gives up on a function after eight compilations, for good and with a warning at most."""

    class Head(nn.Module):
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * len(self.kind)

    torch._dynamo.utils.counters.clear()
    for count in range(1, 13):
        head = Head("x" * count)
        compiled.compile_steps(head)
        assert head(torch.ones(2)).tolist() == [count, count]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 12


@pytest.mark.usefixtures("traced")
def test_a_compiled_run_is_the_plain_run() -> None:
    """With a copy of the model that teaches, masks, and evaluations in between."""
    row = {"criterion": "principled", "regularizer": "self_regularization", "sparsity": 0.5}
    spec = RunSpec.model_validate({"task": "glue/sst2", "training": TRAINING, **row})
    plain, fast = run(spec, Options(device="cpu")), run(spec, Options(device="cpu", compile=True))
    assert fast.record.metrics == plain.record.metrics
    assert [point.loss for point in fast.record.curve] == [point.loss for point in plain.record.curve]
    kept = plain.model.state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in fast.model.state_dict().items())
    assert fast.record.sparsity == plain.record.sparsity
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert "compiled" in fast.record.environment
    assert "compiled" not in plain.record.environment
