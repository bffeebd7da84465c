"""Block-by-block calibration against the released loops of Wanda and SparseGPT, whose second block sees the pruned first one."""

import pytest
import torch
from torch import Tensor

from benchmark.plugins import registry
from benchmark.pruning.calibrate import calibrator
from benchmark.pruning.pruner import Pruner
from criteria import sparsegpt
from tests.benchmark.pruning.two_blocks import model_of, traces
from tests.benchmark.toys import Steps

RUNS = [
    ("wanda 0.5", "wanda", "row", 0.5),
    ("wanda 0.75", "wanda", "row", 0.75),
    ("wanda 2:4", "wanda", "2:4", 0.5),
    ("sparsegpt 0.5", "sparsegpt", "layer", 0.5),
    ("sparsegpt 0.75", "sparsegpt", "layer", 0.75),
    ("sparsegpt 2:4", "sparsegpt", "2:4", 0.5),
]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of columns, as in the traces."""
    monkeypatch.setattr(sparsegpt, "COLUMNS", 4)


def pruned(criterion: str, scope: str, sparsity: float, by_block: bool = True) -> dict[str, Tensor]:
    """The weights after one masking of the model of the traces on their inputs."""
    model = model_of(traces()["weights"])
    pruner = Pruner(model, registry.configure("criteria", criterion), Steps(), sparsity=sparsity, total=1, scope=scope)
    pruner.calibrate = calibrator(model, lambda m, b: m(b["x"]).mean(), samples, by_block=by_block)
    pruner.prune()
    pruner.finish()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def samples(count: int) -> list[dict[str, Tensor]]:
    return [{"x": x.unsqueeze(0)} for x in traces()["inputs"]]


@pytest.mark.parametrize(("run", "criterion", "scope", "sparsity"), RUNS)
def test_masks_and_weights_are_those_of_the_released_loop(
    run: str, criterion: str, scope: str, sparsity: float
) -> None:
    expected = traces()["runs"][run]
    found = pruned(criterion, scope, sparsity)
    for name, theirs in expected.items():
        assert torch.equal(found[name] != 0, theirs != 0), name
        torch.testing.assert_close(found[name], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("run", "criterion", "scope", "sparsity"), RUNS)
def test_dense_inputs_give_the_same_first_block_and_another_second_one(
    run: str, criterion: str, scope: str, sparsity: float
) -> None:
    """So that agreement above says something about the inputs."""
    expected = traces()["runs"][run]
    found = pruned(criterion, scope, sparsity, by_block=False)
    same = {name: torch.allclose(found[name], theirs, rtol=1e-4, atol=1e-4) for name, theirs in expected.items()}
    assert all(same[name] for name in same if name.startswith("layers.0."))
    assert not all(same[name] for name in same if name.startswith("layers.1."))
