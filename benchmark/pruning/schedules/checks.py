"""The contract every schedule must keep, for plugin authors: each assertion says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from benchmark.pruning.schedules.base import Schedule

Seen = tuple[str, str]
"""A check's name and what was seen, in words."""


def check_schedule(schedule: Schedule, total: int = 200, target: float = 0.8) -> list[Seen]:
    """Ask `schedule` about every step of a run; AssertionError, with advice, where it breaks the contract."""
    return [(name, check()) for name, check in checks_of(schedule, total, target).items()]


def checks_of(schedule: Schedule, total: int = 200, target: float = 0.8) -> dict[str, Callable[[], str]]:
    """Every check by name, each to be called alone, whichever fails."""
    run = Plan(schedule, total, target)
    return {
        "range": run.in_range,
        "monotone": run.monotone,
        "ends at target": run.ends_at_target,
        "due": run.masks,
        "dense": run.stays_dense,
        "deterministic": run.deterministic,
        "rewind": run.rewinds,
    }


@dataclass(frozen=True)
class Plan:
    """What a schedule answers in a run of `total` steps to `target` sparsity."""

    schedule: Schedule
    total: int
    target: float

    @property
    def name(self) -> str:
        """What the schedule is called in advice."""
        return type(self.schedule).__name__

    @cached_property
    def planned(self) -> list[float]:
        """Sparsity of each step."""
        return [self.schedule.sparsity(step, self.total, self.target) for step in range(self.total)]

    @cached_property
    def due(self) -> list[int]:
        """The steps at which masks are recomputed."""
        return [step for step in range(self.total) if self.answer("due", step)]

    def answer(self, method: str, step: int) -> bool:
        """What `due` or `holds` says of a step."""
        answer = getattr(self.schedule, method)(step, self.total)
        one = isinstance(answer, Tensor) and answer.dtype == torch.bool and not answer.shape
        assert one or isinstance(answer, bool | np.bool_), (
            f"{self.name}.{method} gives {answer!r} at step {step}: return True or False, bool(...) of it"
        )
        return bool(answer)

    def in_range(self) -> str:
        """A plain number between dense and the target."""
        for step, sparsity in enumerate(self.planned):
            assert isinstance(sparsity, int | float), (
                f"{self.name}.sparsity gives a {type(sparsity).__name__} at step {step}: return a plain number, float(...) of it"
            )
            assert 0 <= sparsity <= self.target, (
                f"{self.name}.sparsity is {sparsity!r} at step {step}: keep it in [0, target = {self.target}]; "
                "where rounding leaves the range, clamp"
            )
        return f"{min(self.planned):g} to {max(self.planned):g}"

    def monotone(self) -> str:
        """Pruned weights are gone."""
        for step, (before, after) in enumerate(pairwise(self.planned)):
            assert after >= before, (
                f"{self.name}.sparsity falls from {before!r} to {after!r} after step {step}: it must never fall, "
                "pruned weights are gone"
            )
        return f"{len(set(self.planned))} values"

    def ends_at_target(self) -> str:
        """The target itself, not a value near it."""
        assert self.planned[-1] == self.target, (
            f"{self.name}.sparsity is {self.planned[-1]!r} at the last step, total - 1: return the target {self.target} "
            "itself there, not a value near it"
        )
        return f"first reached at step {self.planned.index(self.target)}"

    def masks(self) -> str:
        """Answers are true or false, and the mask in force at the end is one at the target."""
        name, due, planned = self.name, self.due, self.planned
        assert due, f"{name}.due is never true in a run of {self.total} steps: masks must be recomputed at least once"
        held = [self.answer("holds", step) for step in range(self.total)][-1]
        if held:
            assert planned[due[-1]] == self.target, (
                f"{name} holds its mask from step {due[-1]} on at sparsity {planned[due[-1]]!r}: "
                f"let the last masking be at the target {self.target}, or do not hold it"
            )
        else:
            last = self.total - 1
            assert due[-1] == last, (
                f"{name}.due is last true at step {due[-1]}: return True at step total - 1 = {last}, so that the "
                "final mask is the schedule's own, or set hold = True to keep the mask"
            )
        return f"{len(due)} maskings, steps {due[0]} to {due[-1]}{', held to the end' if held else ''}"

    def stays_dense(self) -> str:
        """A dense run is not pruned on the way."""
        wrong = [step for step in range(self.total) if self.schedule.sparsity(step, self.total, 0.0) != 0]
        assert not wrong, (
            f"{self.name}.sparsity is not 0 at step {wrong[0]} though the target is 0: bound every value by the target"
        )
        return "target 0 prunes nothing"

    def deterministic(self) -> str:
        """Answers do not depend on what was asked before."""
        again = Plan(self.schedule, self.total, self.target)
        backwards = [self.schedule.sparsity(step, self.total, self.target) for step in reversed(range(self.total))]
        assert backwards[::-1] == self.planned, (
            f"{self.name}.sparsity depends on the order of the questions: compute it from step, total and target alone"
        )
        assert again.due == self.due, (
            f"{self.name}.due answers differently the second time: compute it from step and total alone"
        )
        return "the same answers in reverse order"

    def rewinds(self) -> str:
        """Back to an earlier step, only where masks change, and with the same answer when asked again.

        The pruner asks before the run which weights it will have to keep.
        """
        asked = {step: self.schedule.rewind(step, self.total) for step in range(self.total)}
        moves, due = {step: to for step, to in asked.items() if to is not None}, set(self.due)
        for step, to in moves.items():
            assert step in due, (
                f"{self.name}.rewind answers at step {step}, which is not due: rewind only where masks are recomputed"
            )
            assert type(to) is int and to in range(step + 1), (  # noqa: PT018 (one thing to do)
                f"{self.name}.rewind returns {to!r} at step {step}: "
                f"give the optimizer steps taken at an earlier moment, a whole number from 0 to {step}"
            )
        again = {step: self.schedule.rewind(step, self.total) for step in reversed(range(self.total))}
        assert again == asked, (
            f"{self.name}.rewind answers differently the second time: compute it from step and total alone, because "
            "the pruner asks before the first step which weights to keep"
        )
        return f"{len(moves)} times" if moves else "never"
