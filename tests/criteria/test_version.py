"""Where a criterion says that its scores have not changed, they have not; so masks need no new ranking."""

import pytest
import torch

from benchmark.plugins.registry import builtin_names, configure
from benchmark.pruning.pruner import Pruner
from criteria.base import Criterion, Step
from tests.benchmark.toys import Blocks, Steps, data, step

SMOOTHED = ("principled", "sensitivity", "principled[uncertainty=false]", "principled[smooth=false]")


@pytest.mark.parametrize("name", [*builtin_names("criteria"), *SMOOTHED])
def test_scores_stand_still_while_the_version_does(name: str) -> None:
    criterion: Criterion = configure("criteria", name)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 50, generator=generator)
    state = criterion.init(weight, generator)
    seen: dict[int, torch.Tensor] = {}
    for index in range(25):
        grad = torch.randn(4, 50, generator=generator)
        criterion.observe(state, weight, grad, Step(index, 25, 1e-2))
        weight = weight - 1e-2 * grad
        if (version := criterion.version(state)) is not None:
            assert torch.equal(seen.setdefault(version, criterion.score(state, weight)), criterion.score(state, weight))
    assert len(seen) == (2 if name in ("principled", "sensitivity", "principled[uncertainty=false]") else 0)


def test_the_pruner_ranks_once_a_window_and_masks_as_if_it_ranked_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    models, rankings = (Blocks(seed=1), Blocks(seed=1)), []
    pruners = [
        Pruner(model, configure("criteria", "principled[window=3]"), Steps(), sparsity=0.5, total=12)
        for model in models
    ]
    optimizers = [torch.optim.SGD(pruner.weights.parameters, lr=0.1) for pruner in pruners]
    scores = pruners[0].scores

    def ranking() -> torch.Tensor:
        rankings.append(pruners[0].steps_taken)
        return scores()

    monkeypatch.setattr(pruners[0], "scores", ranking)
    for index in range(12):
        pruners[1].ranked_by = None
        for model, pruner, optimizer in zip(models, pruners, optimizers, strict=True):
            step(model, pruner, optimizer, data(seed=index))
        assert torch.equal(pruners[0].mask, pruners[1].mask)
    assert rankings == [1, 2, 3, 4, 7, 10]  # every step until a window closes, then once a window
