"""The search space of one row: the learning rate, which all rows search, and what the criterion declares.

A point is a mapping of names to values, `lr` first. Options that the row itself sets (`movement[score_optimizer=adam]`) are not
searched.
"""

import hashlib
from collections.abc import Mapping

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.registry import spell
from benchmark.plugins.spelling import canonical
from benchmark.suite.spec import RunSpec, Training
from criteria.common.search import Choice, Linear, Log, Range

LR = "lr"
"""The learning rate's name in a point."""
FACTOR = 4.0
"""By default the learning rate is searched between the suite's divided by this and the suite's multiplied by this."""

Value = int | float | str | bool
Point = dict[str, Value]
Space = Mapping[str, Range]


def space_of(spec: RunSpec, rates: tuple[float, float] | None = None, fixed_rate: bool = False) -> Space:
    """The space of the spec's row, `lr` first; PrunebenchError if there is nothing to search."""
    low, high = rates or (spec.training.lr / FACTOR, spec.training.lr * FACTOR)
    shared: dict[str, Range] = {} if fixed_rate or not spec.is_trained else {LR: Log(low, high)}
    criterion = registry.configure("criteria", spec.criterion)
    said = registry.parse(spec.criterion)[1]
    found = shared | {name: space for name, space in criterion.searched().items() if name not in said}
    if not found:
        raise PrunebenchError(
            f"{spec.criterion} declares nothing to tune (`search`, criteria/common/search.py), and "
            + (
                "the learning rate is fixed: leave the rate free, or this row out by --only"
                if spec.is_trained
                else "nothing is trained, so there is no learning rate: leave this row out by --only"
            )
        )
    return found


def start(spec: RunSpec, space: Space) -> Point:
    """The suite's own values, which are every row's first trial; values outside their range are moved to its end."""
    criterion = registry.configure("criteria", spec.criterion)
    given = {name: spec.training.lr if name == LR else getattr(criterion, name) for name in space}
    return {name: _inside(space[name], value) for name, value in given.items()}


def applied(spec: RunSpec, point: Point) -> RunSpec:
    """`spec` with the options and the learning rate of a point."""
    name, said = registry.parse(spec.criterion)
    options = said | {key: spell(value) for key, value in point.items() if key != LR}
    text = f"{name}[{','.join(f'{key}={value}' for key, value in options.items())}]" if options else name
    training = spec.training.model_copy(update={"lr": float(point.get(LR, spec.training.lr))})
    return spec.model_copy(update={"criterion": canonical("criteria", text), "training": training})


def described(space: Space) -> dict[str, str]:
    """Each range in words: `0.7 to 0.95`, `1e-08 to 1e-05 (log)`, `4, 50 or 100`."""
    return {name: _words(found) for name, found in space.items()}


def digest(space: Space) -> str:
    """16 hex digits of names and ranges."""
    text = "\n".join(f"{name}: {words}" for name, words in sorted(described(space).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _inside(space: Range, value: Value) -> Value:
    if isinstance(space, Choice):
        return value if value in space.values else space.values[0]
    return min(max(value, space.low), space.high)


def _words(space: Range) -> str:
    if isinstance(space, Linear):
        return f"{spell(space.low)} to {spell(space.high)}" + " (log)" * isinstance(space, Log)
    return ", ".join(map(spell, space.values[:-1])) + f" or {spell(space.values[-1])}"


def parse_rates(text: str) -> tuple[float, float]:
    """`1e-5,1e-4` as a range of learning rates."""
    low, _, high = text.partition(",")
    try:
        rates = float(low), float(high)
        Log(*rates)
        for rate in rates:
            Training(lr=rate)
    except ValueError as error:
        raise PrunebenchError(
            f"--lr {text}: expected LOW,HIGH such as 1e-5,1e-4 (1e-9 <= LOW < HIGH <= 10), or fixed"
        ) from error
    return rates
