"""What tests of the harness share: a tiny model with blocks, and criteria and schedules whose every answer is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from criteria.base import Criterion, State, Step


class Blocks(nn.Module):
    """Two linear layers in a block list, tanh between them, and a head outside; optionally GPT-2's transposed layers."""

    def __init__(self, width: int = 4, seed: int = 0, conv: bool = False, bias: bool = True) -> None:
        super().__init__()
        from transformers.pytorch_utils import Conv1D

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            make = (lambda n_in, n_out: Conv1D(n_out, n_in)) if conv else (lambda i, o: nn.Linear(i, o, bias=bias))
            self.blocks = nn.ModuleList([make(width, 2 * width), make(2 * width, width)])
            self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, width] -> [batch, 1]."""
        first, second = self.blocks
        y: Tensor = self.head(second(torch.tanh(first(x))))
        return y


def one_matrix(rows: list[list[float]]) -> nn.Module:
    """A model whose one prunable matrix is `rows`."""
    model = nn.Module()
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    model.blocks = nn.ModuleList([layer])
    return model


def weight_of(model: nn.Module, block: int = 0) -> nn.Parameter:
    """The weight of a block, as it is stored."""
    found: nn.Parameter = model.get_parameter(f"blocks.{block}.weight")
    return found


def data(width: int = 4, count: int = 6, seed: int = 1) -> dict[str, Tensor]:
    """A batch of a regression problem."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, width, generator=generator)
    return {"x": x, "y": x.sin().sum(dim=1, keepdim=True), "index": torch.arange(count)}


def loss_of(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Mean squared error, where the model lies."""
    x, y = (batch[name].to(next(model.parameters()).device) for name in ("x", "y"))
    loss: Tensor = (model(x) - y).square().mean()
    return loss


def step(model: nn.Module, pruner: Pruner, optimizer: torch.optim.Optimizer, batch: Mapping[str, Tensor]) -> float:
    """One training step of a plain loop."""
    optimizer.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    pruner.observe(0.1)
    optimizer.step()
    pruner.prune()
    return loss.item()


@dataclass(frozen=True)
class Steps(Schedule):
    """The target from the first step on, masks after every step; weights may regrow between."""

    def sparsity(self, step: int, total: int, target: float) -> float:
        """The target."""
        return target

    def due(self, step: int, total: int) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Seldom(Steps):
    """Masks after every `every` steps, and after the last."""

    every: int = 2

    def due(self, step: int, total: int) -> bool:
        """Every so often."""
        return (step + 1) % self.every == 0 or step == total - 1


@dataclass(frozen=True)
class Held(Seldom):
    """As `Seldom`, but the mask is applied again after every step."""

    hold: ClassVar[bool] = True


@dataclass(frozen=True)
class Given(Criterion):
    """Scores as they are told, row by row, whatever the weights."""

    elementwise: ClassVar[bool] = False

    scores: tuple[float, ...] = ()

    def score(self, state: State, weight: Tensor) -> Tensor:
        """The given scores."""
        return torch.tensor(self.scores, device=weight.device).view(weight.shape)


@dataclass(frozen=True)
class LastGradient(Criterion):
    """Ranks by |g| of the last step; its statistics appear with the first gradient."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Keep g."""
        state["last.grad"] = grad.clone()

    def score(self, state: State, weight: Tensor) -> Tensor:
        """|g|."""
        return state["last.grad"].abs()


@dataclass(frozen=True)
class Recorded(Criterion):
    """Ranks by magnitude and remembers what it was shown."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Nothing yet."""
        return {"weight": torch.zeros(0), "grad": torch.zeros(0), "step": torch.zeros(0)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Keep copies."""
        state["weight"], state["grad"] = weight.clone(), grad.clone()
        state["step"] = torch.tensor([step.index, step.total, step.lr, step.sparsity, step.target])

    def score(self, state: State, weight: Tensor) -> Tensor:
        """|theta|."""
        return weight.abs()


def zeros(model: nn.Module) -> int:
    """Zeros among the prunable weights, as a bystander counts them."""
    return sum(int((matrix.parameter == 0).sum()) for matrix in find_prunable(model))


def snapshot(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.state_dict().values()])


def pushed(model: nn.Module, pruner: Pruner, grad: list[list[float]], lr: float = 0.1) -> list[list[float]]:
    """The matrix of `one_matrix` after one SGD step with this gradient and the pruner's part in it."""
    weight = weight_of(model)
    weight.grad = torch.tensor(grad, dtype=torch.float32, device=weight.device)
    pruner.observe(lr)
    with torch.no_grad():
        pruner.weights.vector.sub_(pruner.weights.grad, alpha=lr)
    pruner.prune()
    return [[round(value, 5) for value in row] for row in weight.tolist()]
