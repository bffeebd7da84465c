"""The contract every schedule must keep, for plugin authors: each assertion says what to do."""

from itertools import pairwise

from benchmark.schedules.base import Schedule

Seen = tuple[str, str]
"""A check's name and what was seen, in words."""


def check_schedule(schedule: Schedule, total: int = 200, target: float = 0.8) -> list[Seen]:
    """Ask `schedule` about every step of a run; AssertionError, with advice, where it breaks the contract."""
    name = type(schedule).__name__
    planned = [schedule.sparsity(step, total, target) for step in range(total)]
    due = [step for step in range(total) if schedule.due(step, total)]
    return [
        _in_range(name, planned, target),
        _monotone(name, planned),
        _ends_at_target(name, planned, target),
        _masks(name, schedule, planned, due, total, target),
        _stays_dense(name, schedule, total),
        _deterministic(name, schedule, planned, due, total, target),
        _rewinds(name, schedule, due, total),
    ]


def _in_range(name: str, planned: list[float], target: float) -> Seen:
    for step, sparsity in enumerate(planned):
        assert 0 <= sparsity <= target, (
            f"{name}.sparsity is {sparsity!r} at step {step}: keep it in [0, target = {target}]; "
            "where rounding leaves the range, clamp"
        )
    return "range", f"{min(planned):g} to {max(planned):g}"


def _monotone(name: str, planned: list[float]) -> Seen:
    for step, (before, after) in enumerate(pairwise(planned)):
        assert after >= before, (
            f"{name}.sparsity falls from {before!r} to {after!r} after step {step}: it must never fall, "
            "pruned weights are gone"
        )
    return "monotone", f"{len(set(planned))} values"


def _ends_at_target(name: str, planned: list[float], target: float) -> Seen:
    assert planned[-1] == target, (
        f"{name}.sparsity is {planned[-1]!r} at the last step, total - 1: return the target {target} itself there, "
        "not a value near it"
    )
    return "ends at target", f"first reached at step {planned.index(target)}"


def _masks(name: str, schedule: Schedule, planned: list[float], due: list[int], total: int, target: float) -> Seen:
    assert due, f"{name}.due is never true in a run of {total} steps: masks must be recomputed at least once"
    if schedule.hold:
        assert planned[due[-1]] == target, (
            f"{name} holds its mask from step {due[-1]} on at sparsity {planned[due[-1]]!r}: "
            f"let the last masking be at the target {target}, or set hold = False"
        )
    else:
        assert due[-1] == total - 1, (
            f"{name}.due is last true at step {due[-1]}: return True at step total - 1 = {total - 1}, so that the "
            "final mask is the schedule's own, or set hold = True to keep the mask"
        )
    return "due", f"{len(due)} maskings, steps {due[0]} to {due[-1]}{', held between' if schedule.hold else ''}"


def _stays_dense(name: str, schedule: Schedule, total: int) -> Seen:
    wrong = [step for step in range(total) if schedule.sparsity(step, total, 0.0) != 0]
    assert not wrong, (
        f"{name}.sparsity is not 0 at step {wrong[0]} though the target is 0: bound every value by the target"
    )
    return "dense", "target 0 prunes nothing"


def _deterministic(
    name: str, schedule: Schedule, planned: list[float], due: list[int], total: int, target: float
) -> Seen:
    again = [schedule.sparsity(step, total, target) for step in reversed(range(total))][::-1]
    assert again == planned, (
        f"{name}.sparsity depends on the order of the questions: compute it from step, total and target alone"
    )
    assert [step for step in range(total) if schedule.due(step, total)] == due, (
        f"{name}.due answers differently the second time: compute it from step and total alone"
    )
    return "deterministic", "the same answers in reverse order"


def _rewinds(name: str, schedule: Schedule, due: list[int], total: int) -> Seen:
    moves = {step: to for step in range(total) if (to := schedule.rewind(step, total)) is not None}
    for step, to in moves.items():
        assert step in due, (
            f"{name}.rewind answers at step {step}, which is not due: rewind only where masks are recomputed"
        )
        assert to in range(step + 1), (
            f"{name}.rewind returns {to!r} at step {step}: "
            f"give the optimizer steps taken at an earlier moment, a whole number from 0 to {step}"
        )
    return "rewind", f"{len(moves)} times" if moves else "never"
