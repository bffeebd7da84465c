"""What tests of criteria share: a seeded generator, one matrix's life with a criterion, a small network to differentiate."""

import torch
from torch import Tensor, nn

from criteria.base import Criterion, State, Step


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


def start(criterion: Criterion, weight: Tensor, seed: int = 0) -> State:
    return criterion.init(weight, generator(seed))


def step(index: int = 0, lr: float = 0.1, sparsity: float = 0.0, target: float = 0.8) -> Step:
    return Step(index, 100, lr, sparsity, target)


def observed(criterion: Criterion, weight: Tensor, *grads: Tensor, lr: float = 0.1) -> Tensor:
    """The score of one weight after these gradients."""
    state = start(criterion, weight)
    for index, grad in enumerate(grads):
        criterion.observe(state, weight, grad, step(index, lr))
    return criterion.score(state, weight)


class Network(nn.Module):
    """tanh(x W1') W2' with a squared loss; W1 is what gets pruned."""

    def __init__(self, inputs: int = 4, hidden: int = 3, seed: int = 0) -> None:
        super().__init__()
        g = generator(seed)
        self.w1 = torch.randn(hidden, inputs, generator=g)
        self.w2 = torch.randn(1, hidden, generator=g)
        self.x = torch.randn(16, inputs, generator=g)
        self.y = torch.randn(16, 1, generator=g)

    def loss(self, w1: Tensor) -> Tensor:
        return self.example_losses(w1).mean()

    def example_losses(self, w1: Tensor) -> Tensor:
        return (torch.tanh(self.x @ w1.T) @ self.w2.T - self.y).square().squeeze(1)

    def grad(self, w1: Tensor) -> Tensor:
        leaf = w1.detach().clone().requires_grad_()
        return torch.autograd.grad(self.loss(leaf), leaf)[0]
