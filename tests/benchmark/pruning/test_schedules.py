"""Schedules against hand-computed points, the published pruners' traces, and the contract."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.plugins.registry import builtin_names, configure, load
from benchmark.pruning.schedules.base import Ramp, Schedule, steps
from benchmark.pruning.schedules.checks import check_schedule
from benchmark.pruning.schedules.constant import Constant
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.pruning.schedules.exponential import Exponential
from benchmark.pruning.schedules.gradual import Gradual
from benchmark.pruning.schedules.iterative import Iterative
from benchmark.pruning.schedules.linear import Linear
from benchmark.pruning.schedules.one_shot import OneShot

BUILT_IN = builtin_names("schedules")


def due(schedule: Schedule, total: int) -> list[int]:
    return [step for step in range(total) if schedule.due(step, total)]


@pytest.mark.parametrize("name", BUILT_IN)
def test_contract_of_every_built_in(name: str) -> None:
    seen = dict(check_schedule(configure("schedules", name)))
    assert list(seen) == ["range", "monotone", "ends at target", "due", "dense", "deterministic", "rewind"]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("total", [10, 57, 1000])
@pytest.mark.parametrize("target", [0.1, 0.99])
def test_contract_at_other_lengths(name: str, total: int, target: float) -> None:
    check_schedule(configure("schedules", name), total=total, target=target)


# Ramps.


def test_cubic_by_hand() -> None:
    schedule = Cubic(initial=10, final=20, window=5)
    # T - t_i - t_f = 40: halfway, at step 30, (1/2)^3 of the way is left; at step 20, (3/4)^3.
    assert schedule.sparsity(10, 70, 0.8) == 0.0
    assert schedule.sparsity(20, 70, 0.8) == pytest.approx(0.8 * (1 - 27 / 64))
    assert schedule.sparsity(30, 70, 0.8) == pytest.approx(0.8 * 7 / 8)
    assert schedule.sparsity(50, 70, 0.8) == 0.8
    assert schedule.sparsity(69, 70, 0.8) == 0.8


def test_linear_and_exponential_by_hand() -> None:
    options = {"initial": 10, "final": 10}
    assert Linear(**options).sparsity(30, 60, 0.8) == pytest.approx(0.4)
    assert Exponential(**options).sparsity(30, 60, 0.75) == pytest.approx(0.5)
    assert Exponential(**options).sparsity(50, 60, 0.75) == 0.75


def test_ramp_from_a_start() -> None:
    assert Linear(initial=10, final=10, start=0.2).sparsity(30, 60, 0.8) == pytest.approx(0.5)
    assert Cubic(initial=10, final=10, start=0.2).sparsity(30, 60, 0.8) == pytest.approx(0.8 - 0.6 / 8)
    # r: 0.8 -> 0.2, halfway sqrt(0.16)
    assert Exponential(initial=10, final=10, start=0.2).sparsity(30, 60, 0.8) == pytest.approx(0.6)
    assert Linear(start=0.5).sparsity(100, 200, 0.3) == 0.3


def test_due_in_two_phases() -> None:
    schedule = Cubic(initial=6, final=12, window=5)
    assert due(schedule, 40) == [10, 15, 20, 25, *range(29, 40)]
    throughout = Cubic(initial=6, final=12, window=5, final_every=5)
    assert due(throughout, 40) == [10, 15, 20, 25, 30, 35, 39]


def test_shares_and_steps_say_the_same() -> None:
    for step in range(200):
        by_share, by_steps = Cubic(initial=0.1, final=0.3), Cubic(initial=20, final=60)
        assert by_share.sparsity(step, 200, 0.9) == by_steps.sparsity(step, 200, 0.9)
        assert by_share.due(step, 200) == by_steps.due(step, 200)
    assert steps(0.5, 7) == 4
    assert steps(3, 7) == 3
    assert steps(0, 7) == 0


def test_no_final_phase_still_ends_at_target() -> None:
    schedule = Cubic(initial=0, final=0, window=10)
    assert schedule.sparsity(99, 100, 0.8) == 0.8
    assert schedule.sparsity(98, 100, 0.8) < 0.8
    assert schedule.due(99, 100)


@settings(deadline=None)
@given(
    kind=st.sampled_from([Cubic, Linear, Exponential]),
    initial=st.floats(0, 0.49),
    final=st.floats(0, 0.49),
    start=st.floats(0, 0.99),
    window=st.integers(1, 30),
    final_every=st.integers(1, 30),
    total=st.integers(60, 400),
    target=st.floats(0, 0.999),
)
def test_ramps_keep_the_contract(
    kind: type[Ramp],
    initial: float,
    final: float,
    start: float,
    window: int,
    final_every: int,
    total: int,
    target: float,
) -> None:
    schedule = kind(initial=initial, final=final, window=window, final_every=final_every, start=start)
    check_schedule(schedule, total=total, target=target)


# The published pruners.


@pytest.mark.parametrize("name", ["pins", "platon"])
def test_published_ratio_and_masking_steps(name: str) -> None:
    trace = json.loads((Path(__file__).parents[2] / "criteria" / "golden" / f"{name}.json").read_text())
    config = trace["config"]
    schedule = Cubic(
        initial=config["warm"] * config["iw"], final=config["warm"] * config["fw"], window=config["window"]
    )
    for point in trace["steps"]:
        step, total = point["step"], config["steps"]
        density = 1 - schedule.sparsity(step, total, 1 - config["final"])
        assert density == pytest.approx(point["remaining_ratio"], abs=1e-12), f"step {step}"
        assert schedule.due(step, total) == (point["mask_threshold"] is not None), f"step {step}"


# Steps of one, and rounds.


def test_one_shot_prunes_after_so_many_steps() -> None:
    schedule = OneShot(at=0.1)
    assert due(schedule, 50) == [4]
    assert [schedule.sparsity(step, 50, 0.8) for step in (0, 3, 4, 49)] == [0.0, 0.0, 0.8, 0.8]
    assert due(OneShot(at=0), 50) == [0]
    assert due(OneShot(at=1), 50) == [0]
    assert due(OneShot(at=50), 50) == [49]
    with pytest.raises(ValueError, match="at = 51 steps is past the end of a run of 50 steps"):
        OneShot(at=51).due(0, 50)


def test_constant_is_at_the_target_from_the_start() -> None:
    assert Constant().sparsity(0, 50, 0.8) == 0.8
    assert due(Constant(window=20), 50) == [0, 20, 40]


def test_iterative_keeps_a_constant_share_each_round() -> None:
    schedule = Iterative(rounds=3, rewind_to=5)
    assert due(schedule, 80) == [19, 39, 59]
    values = [schedule.sparsity(step, 80, 0.875) for step in (0, 18, 19, 38, 39, 59, 79)]
    assert values == pytest.approx([0, 0, 0.5, 0.5, 0.75, 0.875, 0.875])
    assert schedule.sparsity(59, 80, 0.875) == 0.875
    assert [schedule.rewind(step, 80) for step in (18, 19, 39, 59, 60)] == [None, 5, 5, 5, None]
    assert Iterative(rounds=3, rewinds=False).rewind(19, 80) is None
    assert Iterative(rounds=3, rewind_to=0).rewind(19, 80) == 0


@settings(deadline=None)
@given(rounds=st.integers(1, 9), rewind_to=st.floats(0, 0.05), total=st.integers(40, 300), target=st.floats(0, 0.999))
def test_iterative_keeps_the_contract(rounds: int, rewind_to: float, total: int, target: float) -> None:
    check_schedule(Iterative(rounds=rounds, rewind_to=rewind_to), total=total, target=target)


def test_gradual_by_hand() -> None:
    """100 steps: warm-up to 10, ramp to 60, 4 maskings at least: every 10 steps, counted back from the end of the ramp."""
    schedule = Gradual(maskings=4)
    assert due(schedule, 100) == [20, 30, 40, 50, 60]
    assert [schedule.sparsity(step, 100, 0.8) for step in (10, 35, 60, 99)] == [0, 0.8 * 7 / 8, 0.8, 0.8]
    assert not schedule.holds(60, 100)
    assert schedule.holds(61, 100)


@pytest.mark.parametrize(
    ("total", "maskings"), [(10, 5), (57, 28), (120, 60), (240, 60), (600, 50), (1600, 80), (12630, 632)]
)
def test_gradual_masks_often_in_short_runs_too(total: int, maskings: int) -> None:
    """At least 50 times where the ramp (half of the run) has as many steps, and no less often than every 10 steps."""
    found = due(Gradual(), total)
    assert len(found) == maskings
    assert found[-1] == total - steps(0.4, total), "the end of the ramp"


@settings(deadline=None)
@given(
    initial=st.integers(0, 30), final=st.integers(0, 30), window=st.integers(1, 20), maskings=st.integers(1, 90),
    total=st.integers(61, 300), target=st.floats(0, 0.999),
)  # fmt: skip
def test_gradual_keeps_the_contract(
    initial: int, final: int, window: int, maskings: int, total: int, target: float
) -> None:
    check_schedule(Gradual(float(initial), float(final), window, maskings), total=total, target=target)


def test_which_schedules_hold_their_mask() -> None:
    assert {name for name in BUILT_IN if load("schedules", name).hold} == {"constant", "iterative", "one_shot"}


# Bad options.


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Cubic(initial=-0.1), r"initial = -0.1: expected a share of the run in \[0, 1\)"),
        (lambda: Linear(window=0), "window = 0: expected a whole number from 1 on"),
        (lambda: Exponential(start=1.0), r"start = 1.0: expected a sparsity in \[0, 1\)"),
        (lambda: Cubic(initial=0.5, final=0.5), "leave no ramp between them"),
        (lambda: Gradual(initial=0.6), "leave no ramp between them"),
        (lambda: Gradual(maskings=0), "maskings = 0: expected a whole number from 1 on"),
        (lambda: OneShot(at=-1), "at = -1"),
        (lambda: Iterative(rounds=0), "rounds = 0"),
        (lambda: Iterative(rounds=4, rewind_to=0.3), "past the first of 5 equal parts"),
    ],
)
def test_bad_options_are_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]


def test_a_run_too_short_is_refused_at_its_first_step() -> None:
    with pytest.raises(ValueError, match="a run of 30 steps leaves no ramp between initial = 20 and final = 12"):
        Cubic(initial=20, final=12).sparsity(0, 30, 0.8)
    with pytest.raises(ValueError, match="too short for 4 rounds: expected at least 5"):
        Iterative().sparsity(0, 4, 0.8)
    with pytest.raises(ValueError, match="rewind_to = 30 "):
        Iterative(rounds=4, rewind_to=30).sparsity(0, 100, 0.8)


# Broken schedules are caught, with advice.


@dataclass(frozen=True)
class Plain(Schedule):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return target

    def due(self, step: int, total: int) -> bool:
        return True


class Overshoots(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return target + 1e-9


class Falls(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return target if step % 2 or step == total - 1 else 0.0


class Misses(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return target * step / total


class NeverMasks(Plain):
    def due(self, step: int, total: int) -> bool:
        return False


class ForgetsTheLast(Plain):
    def due(self, step: int, total: int) -> bool:
        return step == 0


class HoldsTooEarly(Plain):
    hold = True

    def sparsity(self, step: int, total: int, target: float) -> float:
        return target if step == total - 1 else 0.0

    def due(self, step: int, total: int) -> bool:
        return step == 0


class Held(Plain):
    hold = True

    def due(self, step: int, total: int) -> bool:
        return step == 0


class NeverDense(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return target or 0.5


class RewindsAhead(Plain):
    def rewind(self, step: int, total: int) -> int | None:
        return step + 1


class RewindsWhereNothingIsDue(Held):
    def rewind(self, step: int, total: int) -> int | None:
        return 0 if step == 3 else None


class RewindsByTensor(Plain):
    def rewind(self, step: int, total: int) -> int | None:
        return torch.tensor(0)  # type: ignore[return-value]


class RewindsByFraction(Plain):
    def rewind(self, step: int, total: int) -> int | None:
        return step / 2  # type: ignore[return-value]


class RewindsBeforeTheStart(Plain):
    def rewind(self, step: int, total: int) -> int | None:
        return -1


class RewindsAsItLikes(Plain):
    """To a step of which nothing was kept: before the run it named others."""

    asked: ClassVar[list[int]] = []

    def rewind(self, step: int, total: int) -> int | None:
        self.asked.append(step)
        return 1 if step and len(self.asked) > total else 0


class PlansTensors(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return torch.tensor(target, dtype=torch.float64)  # type: ignore[return-value]


class PlansText(Plain):
    def sparsity(self, step: int, total: int, target: float) -> float:
        return str(target)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (Overshoots, "clamp"),
        (Falls, "must never fall"),
        (Misses, "return the target 0.8 itself"),
        (NeverMasks, "at least once"),
        (ForgetsTheLast, "return True at step total - 1 = 199"),
        (HoldsTooEarly, "let the last masking be at the target"),
        (NeverDense, "bound every value by the target"),
        (RewindsAhead, "an earlier moment"),
        (RewindsWhereNothingIsDue, "answers at step 3, which is not due"),
        (RewindsByTensor, r"rewind returns tensor\(0\) at step 0: give .* a whole number"),
        (RewindsByFraction, "rewind returns 0.0 at step 0: give .* a whole number"),
        (RewindsBeforeTheStart, "rewind returns -1 at step 0"),
        (RewindsAsItLikes, "rewind answers differently the second time"),
        (PlansTensors, "sparsity gives a Tensor at step 0: return a plain number"),
        (PlansText, "sparsity gives a str at step 0: return a plain number"),
    ],
)
def test_broken_schedules_are_caught(kind: type[Schedule], advice: str) -> None:
    with pytest.raises(AssertionError, match=advice):
        check_schedule(kind())
