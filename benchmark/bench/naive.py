"""The baseline's pruner: the shape of the published loops, kept naive on purpose.

One pass of Python over `named_parameters` a step, statistics in dictionaries, every update a new tensor; to mask, all scores
are concatenated, `kthvalue` finds the cut-off, `.item()` waits for it, and each parameter is compared and filled on its own, with
its score computed a second time. The arithmetic is that of `principled` (or `magnitude`), so that masks can be compared: the
published rule k = int(n sparsity) and a strict `<` spare the k-th weight and its ties.

References: the released code of Ren & Zhu (PINS, https://arxiv.org/abs/2305.12394), whose loop is that of Zhang et al. (PLATON,
            https://arxiv.org/abs/2206.12562).
"""

import torch
from torch import Tensor, nn

from benchmark.pruning.schedules.base import Schedule


class NaivePruner:
    """Scores the parameters called `names` and zeroes the lowest on `schedule`, a parameter at a time."""

    def __init__(
        self,
        names: set[str],
        schedule: Schedule,
        sparsity: float,
        total: int,
        *,
        beta1: float = 0.85,
        beta2: float = 0.99,
        window: int = 10,
    ) -> None:
        self.names, self.schedule, self.target, self.total = names, schedule, sparsity, total
        self.beta1, self.beta2, self.window = beta1, beta2, window
        self.importance: dict[str, Tensor] = {}
        self.average: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}

    def before_step(self, model: nn.Module, step: int, lr: float) -> float | None:
        """Update the statistics; the score cut-off where masks are due after this step."""
        self._update(model, step, lr)
        if self.schedule.due(step, self.total):
            return self._cutoff(self.schedule.sparsity(step, self.total, self.target))
        return None

    def after_step(self, model: nn.Module, cutoff: float | None) -> None:
        """Zero what scores below the cut-off."""
        if cutoff is None:
            return
        scores = self.scores()
        for name, parameter in model.named_parameters():
            if name in self.names:
                parameter.data.masked_fill_(scores[name] < cutoff, 0.0)

    def scores(self) -> dict[str, Tensor]:
        """A U of every parameter."""
        return {name: self.average[name] * self.uncertainty[name] for name in self.average}

    @torch.no_grad()
    def _update(self, model: nn.Module, step: int, lr: float) -> None:
        k = step % self.window
        for name, p in model.named_parameters():
            if name not in self.names:
                continue
            assert p.grad is not None
            if name not in self.average:
                self.importance[name] = torch.zeros_like(p)
                self.average[name] = torch.zeros_like(p)
                self.uncertainty[name] = torch.zeros_like(p)
            if k == 0:
                self.average[name] = self.beta1 * self.average[name] + (1 - self.beta1) * self.importance[name]
                spread = (self.importance[name] - self.average[name]).abs()
                self.uncertainty[name] = self.beta2 * self.uncertainty[name] + (1 - self.beta2) * spread
            importance = (-p * p.grad + lr * p.grad * p.grad).abs()
            self.importance[name] = importance if k == 0 else (self.importance[name] * k + importance) / (k + 1)

    def _cutoff(self, sparsity: float) -> float:
        scores = torch.cat([score.view(-1) for score in self.scores().values()])
        return torch.kthvalue(scores, max(1, int(len(scores) * sparsity))).values.item()
