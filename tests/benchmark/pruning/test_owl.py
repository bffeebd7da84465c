"""Outlier-weighed sparsities: by hand, as the released code computes them, and on a model whose inputs plain hooks look at."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.once import Once
from benchmark.pruning.owl import LAMBDA, M, allocate, outlier_share
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.suite.consistency import check_spec
from benchmark.suite.spec import RunSpec, Training
from tests.benchmark.toys import Blocks, Steps, data, loss_of

WIDTH = 32


def released(outliers: Sequence[float], sparsity: float) -> list[float]:
    """The sparsities of blocks as the released code finds them, from the shares of outliers (in percent there)."""
    ratio = np.array(outliers) * 100
    ratio = (ratio - ratio.min()) * (1 / (ratio.max() - ratio.min()) * LAMBDA * 2)
    ratio = ratio - np.mean(ratio) + (1 - sparsity)
    return [float(1 - one) for one in ratio]


def batches(count: int) -> list[dict[str, Tensor]]:
    """Inputs of which two are far larger than the others."""
    found = [data(WIDTH, count=12, seed=seed) for seed in range(count)]
    for batch in found:
        batch["x"][:, :2] *= 40
    return found


def plain_outliers(model: Blocks, conv: bool) -> list[float]:
    """D of both blocks of the dense model, by hooks."""
    found = []
    for layer in model.blocks:
        seen: list[Tensor] = []
        hook = layer.register_forward_pre_hook(lambda _, arguments, seen=seen: seen.append(arguments[0]))
        with torch.no_grad():
            for batch in batches(8):
                model(batch["x"])
        hook.remove()
        stored = layer.get_parameter("weight").detach()
        weight = stored.T if conv else stored
        metric = weight.abs() * torch.cat(seen).norm(dim=0)
        found.append(float((metric > M * metric.mean()).double().mean()))
    return found


def test_shares_by_hand() -> None:
    # z = 0, 1/3, 1 with mean 4/9; 2 lambda = 0.16
    assert allocate([0.0, 0.01, 0.03], [6, 6, 6], 0.5) == pytest.approx([0.5 + 0.64 / 9, 0.5 + 0.16 / 9, 0.5 - 0.8 / 9])
    assert allocate([0.0, 0.04], [1, 3], 0.5) == pytest.approx([0.62, 0.46])  # 0.62 + 3 x 0.46 = 4 x 0.5
    assert allocate([0.02, 0.02], [1, 3], 0.3) == [0.3, 0.3]
    assert allocate([0.02], [5], 0.3) == [0.3]


def test_an_outlier_is_above_five_times_the_mean() -> None:
    assert outlier_share(torch.tensor([1.0] * 98 + [1000.0, 2000.0])) == pytest.approx(0.02)
    assert outlier_share(torch.tensor([1.0, 1.0, 1.0, 1.0, 16.0])) == 0  # the mean is 4
    assert outlier_share(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 16.0])) == pytest.approx(1 / 6)
    assert outlier_share(torch.zeros(4)) == 0


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_equal_blocks_have_what_the_released_code_gives_them(seed: int, sparsity: float) -> None:
    outliers = np.random.default_rng(seed).random(7).tolist()
    found = allocate(outliers, [11] * 7, sparsity)
    assert found == pytest.approx(released(outliers, sparsity))
    assert np.mean(found) == pytest.approx(sparsity)


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("scope", ["owl", "owl[row]"])
@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "sparsegpt"])
def test_each_block_of_a_model_is_pruned_to_its_share(criterion: str, scope: str, conv: bool) -> None:
    model = Blocks(WIDTH, conv=conv)
    outliers = plain_outliers(model, conv)
    assert outliers[0] > outliers[1]
    once = Once(model, registry.configure("criteria", criterion), sparsity=0.5, scope=scope)
    once.prune(loss_of, batches)
    zeros = [int((matrix.parameter == 0).sum()) for matrix in find_prunable(model)]
    size = 2 * WIDTH * WIDTH
    assert zeros == pytest.approx([share * size for share in released(outliers, 0.5)], abs=1)
    assert sum(zeros) == size  # half of two
    assert once.measure() == 0.5
    if scope == "owl[row]":
        for matrix in find_prunable(model):
            rows = (matrix.view(matrix.parameter.detach().reshape(-1)) == 0).sum(1)
            assert rows.max() - rows.min() <= 1


def test_what_owl_cannot_do_is_said() -> None:
    magnitude = registry.configure("criteria", "magnitude")
    once = Once(Blocks(WIDTH), magnitude, sparsity=0.05, scope="owl")
    with pytest.raises(
        PrunebenchError, match=r"would prune -0.03. of blocks.0 at sparsity 0.05: expected a share in \[0, 1\)"
    ):
        once.prune(loss_of, batches)
    with pytest.raises(PrunebenchError, match="Magnitude asked for 8 calibration batches and was given none"):
        Once(Blocks(WIDTH), magnitude, sparsity=0.5, scope="owl").prune(loss_of, lambda _: [])
    with pytest.raises(PrunebenchError, match=r"scope 'owl\[row\]' .* prunes once, without training"):
        Pruner(Blocks(WIDTH), magnitude, Steps(), sparsity=0.5, total=1, scope="owl[row]")


@pytest.mark.parametrize("scope", ["owl", "owl[row]", "alphapruning", "alphapruning[row,tau=0.2]"])
@pytest.mark.parametrize("steps", [0, 5])
def test_a_suite_that_trains_cannot_have_it(steps: int, scope: str) -> None:
    spec = RunSpec(
        task="lm/wikitext2",
        criterion="wanda",
        sparsity=0.5,
        scope=scope,
        schedule="one_shot",
        training=Training(steps=steps),
    )
    if steps:
        with pytest.raises(PrunebenchError, match="without training"):
            check_spec(spec)
    else:
        check_spec(spec)
