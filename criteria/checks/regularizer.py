"""The contract every regularizer must keep, for plugin authors: each assertion says what to do."""

import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn

from criteria.checks.surroundings import put_back, random_states, settings
from criteria.checks.toy_tasks import TOY_TASKS, ToyTask
from criteria.regularizers.base import Regularizer

Seen = tuple[str, str]
"""A check's name and what was seen, in words."""


def check_regularizer(regularizer: Regularizer) -> list[Seen]:
    """Try the options of `regularizer` on every shape of decisions; AssertionError, with advice, where the contract breaks."""
    return [(name, check()) for name, check in checks_of(regularizer).items()]


def checks_of(regularizer: Regularizer) -> dict[str, Callable[[], str]]:
    """Every check by name, to be called in this order, each once, whichever fails: each goes on where the one before stopped."""
    return {
        f"{task.name}: {name}": check for task in TOY_TASKS for name, check in Trial(regularizer, task).checks().items()
    }


class Trial:
    """One regularizer on one toy task: the student, the dense teacher if asked for, a batch."""

    def __init__(self, regularizer: Regularizer, task: ToyTask) -> None:
        self.task, self.name = task, type(regularizer).__name__
        self.batch, self.student, self.teacher = task.batch(), task.model(seed=0), task.model(seed=1)
        self.configured = regularizer

    @cached_property
    def regularizer(self) -> Regularizer:
        """The regularizer on trial, after `begin`."""
        return self.start(self.configured)

    def checks(self) -> dict[str, Callable[[], str]]:
        """The checks in the order of a run; each begins afresh, whatever one that failed left behind."""
        in_order: dict[str, Callable[[], str]] = {
            "first loss": partial(self.differentiable, "before the first evaluation"),
            "leaves alone": self.leaves_alone,
            "resumes at the start": partial(self.resumes, "at the start"),
            "evaluations": self.evaluations,
            "owns its state": self.owns_its_state,
            "later loss": partial(self.differentiable, "after two evaluations"),
            "leaves alone later": self.leaves_alone,
            "resumes after evaluations": partial(self.resumes, "after evaluations"),
            "goes on": self.goes_on,
            "averages": self.averages,
        }
        return {name: partial(self.afresh, check) for name, check in in_order.items()}

    def afresh(self, check: Callable[[], str]) -> str:
        """One check with the student in training mode and no gradient in the teacher."""
        self.student.train()
        self.teacher.zero_grad()
        return check()

    def start(self, regularizer: Regularizer) -> Regularizer:
        """A new regularizer with the same options, after `begin`."""
        fresh = replace(regularizer)
        fresh.begin(self.task.forward, self.teacher if fresh.needs_teacher else None)
        return fresh

    def loss(self, regularizer: Regularizer, model: nn.Module, batch: Mapping[str, Tensor] | None = None) -> Tensor:
        """One loss with fixed dropout, whatever the global generator holds."""
        batch = self.batch if batch is None else batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            losses, logits = self.task.forward(model, batch)
            return regularizer.loss(losses, logits, model, batch)

    def evaluate(self, regularizer: Regularizer, model: nn.Module, score: float, sparsity: float) -> None:
        """Tell of an evaluation; the score only where it is asked for."""
        regularizer.evaluated(model, score if regularizer.needs_score else None, sparsity)

    def differentiable(self, when: str) -> str:
        """A finite scalar that trains the student alone, also while there is no teacher yet."""
        self.student.zero_grad()
        loss = self.loss(self.regularizer, self.student)
        assert isinstance(loss, Tensor) and loss.shape == (), (  # noqa: PT018 (one thing to do)
            f"{self.name}.loss gives {_describe(loss)} on {self.task.name}, {when}: return a tensor without dimensions, "
            "for instance a mean over decisions"
        )
        assert torch.isfinite(loss), (
            f"{self.name}.loss is {loss.item()} on {self.task.name}, {when}: keep it finite where a decision is certain "
            "(p log p with p = 0) and where span logits are masked (soft_targets.log_probabilities does)"
        )
        assert loss.requires_grad, (
            f"{self.name}.loss has no gradient on {self.task.name}, {when}: keep `losses` and `logits` in the graph, "
            "detach teachers only"
        )
        loss.backward()
        size = 0.0
        for name, weight in self.student.named_parameters():
            assert weight.grad is not None, f"{self.name}.loss gives {name} no gradient on {self.task.name}, {when}"
            assert torch.isfinite(weight.grad).all(), (
                f"{self.name}.loss has a gradient that is not finite on {self.task.name}, {when}: a masked or certain class "
                "goes through log or division; fill masked logits before, not after"
            )
            size += weight.grad.double().square().sum().item()
        assert size > 0, (
            f"{self.name}.loss has a gradient of 0 for every weight on {self.task.name}, {when}, so nothing is trained: let it depend "
            "on `losses` or `logits`, with a factor above 0"
        )
        assert all(weight.grad is None for weight in self.teacher.parameters()), (
            f"{self.name}.loss sends gradients into the teacher on {self.task.name}: run it under torch.no_grad()"
        )
        return f"{loss.item():.4g}, gradient norm {size**0.5:.4g}"

    def leaves_alone(self) -> str:
        """Neither the student, the teacher, the batch nor the inputs change."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            losses, logits = self.task.forward(self.student, self.batch)
        watched = {
            "losses": losses,
            "logits": logits,
            **{f"batch[{key!r}]": value for key, value in self.batch.items()},
        }
        watched |= {f"student.{name}": weight for name, weight in self.student.named_parameters()}
        watched |= {f"teacher.{name}": weight for name, weight in self.teacher.named_parameters()}
        before = {name: value.detach().clone() for name, value in watched.items()}
        self.student.zero_grad()
        moved = self._moved(partial(self.regularizer.loss, losses, logits, self.student, self.batch))
        assert not moved, (
            f"{self.name}.loss sets {' and '.join(moved)} for the whole process, and with it the run's dropout or arithmetic: set "
            "nothing global"
        )
        assert all(weight.grad is None for weight in self.student.parameters()), (
            f"{self.name}.loss leaves gradients in the student, which are added to those of the step: call no backward() in it"
        )
        for name, value in watched.items():
            assert torch.equal(value.detach(), before[name]), f"{self.name}.loss changes {name}: work on a copy"
        assert self.student.training, (
            f"{self.name}.loss leaves the student in eval mode: put it back into training mode"
        )
        again = [self.loss(self.regularizer, self.student) for _ in range(2)]
        assert torch.equal(*again), (
            f"{self.name}.loss differs between two calls with the same weights, batch and dropout ({again[0].item()!r}, "
            f"{again[1].item()!r}): change nothing but in begin and evaluated, draw nothing beyond the model's own dropout"
        )
        return f"{len(watched)} tensors unchanged, same loss twice"

    def _moved(self, call: Callable[[], object]) -> list[str]:
        """What `call` sets for the whole process: settings, and random states that are the same whatever they were before."""
        states: list[dict[str, object]] = []
        with put_back():
            known = settings()
            for seed in (0, 1):
                torch.manual_seed(seed)
                np.random.seed(seed)
                random.seed(seed)
                call()
                states.append(random_states())
            changed = [name for name, value in settings().items() if value != known[name]]
        return changed + [name for name, state in states[0].items() if state == states[1][name]]

    def evaluations(self) -> str:
        """Two evaluations of a student that moves on after each."""
        for score, sparsity in ((50.0, 0.0), (60.0, 0.5)):
            before = {name: value.clone() for name, value in self.student.state_dict().items()}
            self.evaluate(self.regularizer, self.student, score, sparsity)
            for name, value in self.student.state_dict().items():
                assert torch.equal(value, before[name]), (
                    f"{self.name}.evaluated changes the student's {name}: work on a copy"
                )
            assert self.student.training, (
                f"{self.name}.evaluated leaves the student in eval mode: set the copy's mode alone"
            )
            self.move_on()
        return f"2 adopted or passed over, {len(self.regularizer.state())} tensors of state"

    def move_on(self) -> None:
        """Training goes on: every weight of the student changes in place."""
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in self.student.parameters():
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))

    def owns_its_state(self) -> str:
        """State must not follow the student's weights."""
        before = {name: value.clone() for name, value in self.regularizer.state().items()}
        self.move_on()
        for name, value in self.regularizer.state().items():
            assert torch.equal(value, before[name]), (
                f"{self.name}'s state {name!r} changes as the student trains: keep copies (clone), not the student's tensors"
            )
        return f"{len(before)} tensors"

    def resumes(self, when: str) -> str:
        """A new process that restores the state has the same loss, bitwise."""
        state = self.regularizer.state()
        for name, value in state.items():
            assert isinstance(value, Tensor), f"{self.name}.state()[{name!r}] is {_describe(value)}: give tensors only"
            assert not value.requires_grad, f"{self.name}.state()[{name!r}] carries a graph: detach it"
        resumed, what = self.restored(), f"{self.name} restored {when}"
        again = resumed.state()
        assert again.keys() == state.keys(), (
            f"{what} holds {sorted(again)}, saved were {sorted(state)}: restore all of it"
        )
        for name, value in state.items():
            assert torch.equal(again[name], value), f"{what}: {name!r} is not what was saved"
        expected, got = self.loss(self.regularizer, self.student), self.loss(resumed, self.student)
        assert torch.equal(expected, got), (
            f"{what} gives the loss {got.item()!r}, expected {expected.item()!r}: let state() hold all that loss() depends on"
        )
        return f"{len(state)} tensors, loss bitwise equal"

    def goes_on(self) -> str:
        """An evaluation worse than the best is treated alike by the run that went on and by the resumed one."""
        resumed, student = self.restored(), deepcopy(self.student)
        for one in (self.regularizer, resumed):
            self.evaluate(one, student, 55.0, 0.7)
        expected, got = self.loss(self.regularizer, student), self.loss(resumed, student)
        assert torch.equal(expected, got), (
            f"{self.name} once restored treats the next evaluation otherwise (loss {got.item()!r}, expected "
            f"{expected.item()!r}): save all that `evaluated` compares with, such as the best score"
        )
        return "one more evaluation, loss bitwise equal"

    def restored(self) -> Regularizer:
        """What a new process has after it restored the state."""
        resumed = self.start(self.regularizer)
        resumed.restore(
            {name: value.clone() for name, value in self.regularizer.state().items()}, deepcopy(self.student)
        )
        return resumed

    def averages(self) -> str:
        """The same examples twice give the same loss (no dropout here)."""
        student = deepcopy(self.student).eval()
        twice = {name: torch.cat([value, value]) for name, value in self.batch.items()}
        once, both = self.loss(self.regularizer, student).item(), self.loss(self.regularizer, student, twice).item()
        assert abs(once - both) <= 1e-4 * max(1.0, abs(once)), (
            f"{self.name}.loss is {once:.6g} on a batch of {self.task.name} and {both:.6g} on the same examples twice: "
            "take the mean over decisions, not the sum, and call .eval() on a teacher copied from the student"
        )
        return f"{once:.4g} once, {both:.4g} twice"


def _describe(value: object) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
