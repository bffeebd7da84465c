"""A compiled run takes the steps of the plain one: traced whole by dynamo, and run by a backend that changes nothing."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.bench.stepper import TINY, Stepper, batch
from benchmark.pruning.calibrate import calibrator as calibrator_of
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.spec import RunSpec, Training
from benchmark.training import compiled
from benchmark.training import run as running
from benchmark.training.cpu import WAYS
from benchmark.training.run import Options, run
from benchmark.training.unread_masks import always_make_masks

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
    during: list[bool] = []
    calibrating = [False]

    def backend(graph: Any, _: Any, **__: Any) -> Any:
        def ran(*inputs: Any) -> Any:
            during.append(calibrating[0])
            return graph(*inputs)

        return ran

    def calibrator(*arguments: Any, **options: Any) -> Any:
        calibrate = calibrator_of(*arguments, **options)

        def watched(*given: Any) -> Any:
            calibrating[0] = True
            try:
                return calibrate(*given)
            finally:
                calibrating[0] = False
                calibrations.append(len(during))

        return watched

    calibrations: list[int] = []
    monkeypatch.setattr(compiled, "BACKEND", backend)
    monkeypatch.setattr(running, "calibrator", calibrator)
    spec = RunSpec(task="glue/sst2", criterion="grasp", sparsity=0.5, schedule="one_shot[at=1]", training=TRAINING)
    plain, fast = run(spec, Options(device="cpu")), run(spec, Options(device="cpu", compile=True))
    assert fast.record.sparsity == plain.record.sparsity
    assert calibrations == [0, 1]  # one of each run, after the first of the steps
    assert len(during) == TRAINING.steps
    assert not any(during)


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
    torch._dynamo.utils.counters.clear()
    plain, fast = run(spec, Options(device="cpu")), run(spec, Options(device="cpu", compile=True))
    assert fast.record.metrics == plain.record.metrics
    assert [point.loss for point in fast.record.curve] == [point.loss for point in plain.record.curve]
    kept = plain.model.state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in fast.model.state_dict().items())
    assert fast.record.sparsity == plain.record.sparsity
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert "compiled" in fast.record.environment
    assert "compiled" not in plain.record.environment


@pytest.mark.usefixtures("traced")
def test_nothing_compiled_outlives_its_run() -> None:
    torch._dynamo.utils.counters.clear()
    spec = RunSpec(task="glue/sst2", training=TRAINING)
    for count in (1, 2):
        run(spec, Options(device="cpu", compile=True))
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == count


CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("choice", "device", "total", "expected"),
    [
        *((choice, device, total, choice) for choice in (True, False) for device in (CPU, CUDA) for total in (1, 10**6)),
        *(("auto", CPU, total, False) for total in (1, 9_999, 10_000, 10**6)),
        *(("auto", CUDA, total, False) for total in (1, 9_999)),
        *(("auto", CUDA, total, True) for total in (10_000, 10**6)),
        ("auto", torch.device("cuda", 1), 10_000, True),
    ],
)  # fmt: skip
def test_compiling_is_chosen_where_it_repays(
    choice: compiled.Choice, device: torch.device, total: int, expected: bool
) -> None:
    assert compiled.repays(choice, device, total) is expected


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("long", [4, 5])
def test_auto_compiles_a_run_that_is_long_enough_and_the_record_says_so(
    long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule for CUDA, here for the CPU; of four steps."""
    monkeypatch.setattr(running, "repays", lambda choice, _, total: compiled.repays(choice, CUDA, total))
    monkeypatch.setattr(compiled, "LONG", long)
    torch._dynamo.utils.counters.clear()
    found = run(RunSpec(task="glue/sst2", training=TRAINING), Options(device="cpu", compile="auto"))
    assert ("compiled" in found.record.environment) == (long == 4)
    assert bool(torch._dynamo.utils.counters["stats"]["unique_graphs"]) == (long == 4)


ROWS: list[dict[str, Any]] = [
    {"criterion": "principled"},
    {"criterion": "principled", "schedule": "iterative"},
    {"criterion": "principled", "regularizer": "rdrop"},
    {"criterion": "movement"},
    {"criterion": "soft_movement"},
    {"criterion": "l0"},
]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row.values()))
def test_parameters_lie_where_they_lay_in_every_training_forward(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorded graph finds its parameters by address; masks, rewinds, latent weights and evaluations must not move them."""
    seen: list[tuple[int, ...]] = []
    build = running.make_pruner

    def watched(model: nn.Module, *rest: Any) -> Any:
        pruner = build(model, *rest)
        places = [p for p in model.parameters() if p.requires_grad]

        def note(module: nn.Module, _: Any) -> None:
            if module.training:
                seen.append(tuple(p.data_ptr() for p in places))

        model.register_forward_pre_hook(note)
        return pruner

    monkeypatch.setattr(running, "make_pruner", watched)
    spec = RunSpec.model_validate(
        {"task": "glue/sst2", "sparsity": 0.5, "training": TRAINING.model_copy(update={"steps": 8})} | row
    )
    run(spec, Options(device="cpu"))
    assert len(seen) >= 4
    assert len(set(seen)) == 1


def steps_of(is_compiled: bool) -> tuple[Tensor, int]:
    """The weights after eight steps, of three widths, of a model with dropout; and how many graphs were made of it."""
    shape = replace(TINY, layers=1)
    torch._dynamo.utils.counters.clear()
    stepper = Stepper(shape, torch.device("cpu"), "principled", Cubic(initial=1, final=2, window=2), 8)
    if is_compiled:
        compiled.compile_steps(stepper.model)
    torch.manual_seed(0)
    for index in range(8):
        stepper.batch = batch(replace(shape, length=8 * (1 + index % 3)), torch.device("cpu"), index)
        stepper()
    return stepper.weights.vector.detach().clone(), torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.fixture
def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model as it is prepared for a GPU: with masks that are not read, and none of what is for a CPU."""
    for name in list(WAYS):
        monkeypatch.delitem(WAYS, name)
    monkeypatch.setitem(WAYS, "masks", always_make_masks)


@pytest.mark.usefixtures("traced", "as_on_a_device")
def test_one_graph_for_all_widths() -> None:
    """Whole, with a device's attention masks and torch's dropout: where dynamo broke it off, kernels would be launched one by one."""
    (plain, _), (fast, graphs) = steps_of(is_compiled=False), steps_of(is_compiled=True)
    assert torch.equal(fast, plain)
    assert graphs == 1


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler, which torch.compile needs on a CPU")
@pytest.mark.usefixtures("as_on_a_device")
def test_compiled_kernels_take_the_same_steps() -> None:
    """Half a minute of compiling; dropout draws the same numbers."""
    torch.compiler.reset()
    (plain, _), (fast, graphs) = steps_of(is_compiled=False), steps_of(is_compiled=True)
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-6)
    assert graphs == 1
