"""Every built-in regularizer keeps the contract; broken ones are caught with advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.plugins import registry
from criteria.checks.regularizer import check_regularizer, checks_of
from criteria.checks.toy_tasks import TOY_TASKS
from criteria.regularizers.base import Batch, Forward, Regularizer
from criteria.regularizers.distillation import Distillation
from criteria.regularizers.rdrop import Rdrop
from criteria.regularizers.self_regularization import SelfRegularization


@pytest.mark.parametrize("name", registry.builtin_names("regularizers"))
def test_contract_of_every_built_in(name: str) -> None:
    seen = check_regularizer(registry.configure("regularizers", name))
    assert len(seen) == 10 * len(TOY_TASKS)
    assert len({name for name, _ in seen}) == len(seen)


@pytest.mark.parametrize(
    "regularizer",
    [
        SelfRegularization(teacher="best"),
        SelfRegularization(temperature=0.5, regression_alpha=1.0),
        Distillation(alpha=1.0, temperature=0.5),
        Rdrop(alpha=0.0),
    ],
)
def test_contract_with_options(regularizer: Regularizer) -> None:
    check_regularizer(regularizer)


def test_checks_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    check_regularizer(Regularizer())
    inside = check_regularizer(Rdrop())
    assert inside
    after = torch.random.get_rng_state()
    assert torch.equal(before, after)


# Broken regularizers.


class Vector(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses


class Sum(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.sum()


class Detached(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.detach().mean()


class NaiveEntropy(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        p = F.softmax(logits, dim=-1)
        return losses.mean() - 0.1 * (p * p.log()).sum(-1).mean()


class SilentlySingular(Regularizer):
    """Finite value, gradient that is not: the root of a zero distance."""

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.mean() + (logits - logits).square().sum().sqrt()


class WritesIntoLosses(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.mul_(0.9).mean()


class Seeds(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        torch.manual_seed(0)
        return losses.mean()


class SetsDtype(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return losses.mean()


class Backward(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        losses.mean().backward(retain_graph=True)
        return losses.mean()


class LeavesEval(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        model.eval()
        return losses.mean()


class Restless(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        return losses.mean() * self.calls


@dataclass
class TeacherWithGradient(Regularizer):
    needs_teacher = True

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        assert teacher is not None
        self.run = partial(forward, teacher)

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        target = self.run(batch)[1].clamp(min=-100)
        return losses.mean() + (logits.clamp(min=-100) - target).square().mean()


@dataclass
class NoisyTeacher(SelfRegularization):
    """Its teacher drops out as the student does."""

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        if self._snapshot is None:
            return losses.mean()
        target = self._forward(self._snapshot.train(), batch)[1]
        return losses.mean() + (logits - target).square().mean()


class Forgetful(SelfRegularization):
    def state(self) -> dict[str, Tensor]:
        return {}


class ForgetsTheScore(SelfRegularization):
    def restore(self, state: Mapping[str, Tensor], model: nn.Module) -> None:
        super().restore({**state, "best": torch.tensor(0.0)} if state else {}, model)

    def state(self) -> dict[str, Tensor]:
        return {name: value for name, value in super().state().items() if name != "best"}


class Aliasing(SelfRegularization):
    def evaluated(self, model: nn.Module, score: float | None, sparsity: float) -> None:
        self._snapshot = model


class Zero(Regularizer):
    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.mean() * 0


class ZeroLater(Regularizer):
    """Trains nothing from the first evaluation on."""

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        self.factor = 1.0

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.mean() * self.factor

    def evaluated(self, model: nn.Module, score: float | None, sparsity: float) -> None:
        self.factor = 0.0

    def state(self) -> dict[str, Tensor]:
        return {"factor": torch.tensor(self.factor)}

    def restore(self, state: Mapping[str, Tensor], model: nn.Module) -> None:
        self.factor = float(state["factor"])


class Rounded(Regularizer):
    """A loss in steps, whose gradient is zero."""

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        return losses.round().mean()


class Rounds(Regularizer):
    def evaluated(self, model: nn.Module, score: float | None, sparsity: float) -> None:
        with torch.no_grad():
            for weight in model.parameters():
                weight.round_()


class NotTensors(Regularizer):
    def state(self) -> dict[str, Tensor]:
        return {"best": 0.5}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("broken", "advice"),
    [
        (Vector(), "return a tensor without dimensions"),
        (Sum(), "take the mean over decisions, not the sum"),
        (NoisyTeacher(), r"call \.eval\(\) on a teacher copied from the student"),
        (Detached(), "keep `losses` and `logits` in the graph"),
        (NaiveEntropy(), "keep it finite where a decision is certain"),
        (SilentlySingular(), "gradient that is not finite"),
        (WritesIntoLosses(), "changes losses: work on a copy"),
        (LeavesEval(), "back into training mode"),
        (Seeds(), "sets torch's random state for the whole process"),
        (Backward(), r"leaves gradients in the student.*call no backward\(\) in it"),
        (Restless(), "differs between two calls"),
        (TeacherWithGradient(), r"run it under torch.no_grad\(\)"),
        (Forgetful(), r"let state\(\) hold all that loss\(\) depends on"),
        (ForgetsTheScore(teacher="best"), "such as the best score"),
        (Aliasing(), "keep copies"),
        (Rounds(), "evaluated changes the student's"),
        (NotTensors(), "give tensors only"),
        (
            Zero(),
            "gradient of 0 for every weight on classification, before the first evaluation, so nothing is trained",
        ),
        (ZeroLater(), "gradient of 0 for every weight on classification, after two evaluations, so nothing is trained"),
        (Rounded(), "gradient of 0 for every weight"),
    ],
)
def test_broken_regularizers_are_caught(broken: Regularizer, advice: str) -> None:
    with pytest.raises(AssertionError, match=advice):
        check_regularizer(broken)


def failing(regularizer: Regularizer) -> set[str]:
    """The checks that fail on single classification, all tried."""
    failed = set()
    for name, check in checks_of(regularizer).items():
        task, _, plain = name.partition(": ")
        try:
            check()
        except AssertionError:
            failed |= {plain} if task == "classification" else set()
    return failed


def test_one_failure_is_not_another_ones() -> None:
    assert failing(Regularizer()) == set()
    assert {"leaves alone", "leaves alone later"} <= failing(LeavesEval())
    assert not {"evaluations", "later loss"} & failing(LeavesEval())
    assert failing(Sum()) == {"averages"}
    assert {"first loss", "later loss"} <= failing(TeacherWithGradient())
    assert failing(Zero()) == {"first loss", "later loss"}
    assert failing(ZeroLater()) == {"later loss"}
    assert failing(Rounds()) == {"evaluations"}
