"""Suggests the next point to try: Optuna's tree-structured Parzen estimator, as a pure function of the trials so far.

Each trial uses a new sampler, seeded by seed and trial number, which is given all earlier trials. So an interrupted search goes on
as if it had not been interrupted, and the first n trials do not depend on how many follow.
Up to the tenth trial points are random; the learning rate is drawn first, so that all rows then try the same rates.

Reference: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011; Akiba et al., Optuna, KDD 2019
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.errors import PrunebenchError
from benchmark.tune.space import Point, Space, Value
from criteria.common.search import Choice, Linear, Log, Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

RANDOM = 10
"""Trials before the estimator takes over."""
DIGITS = 3
"""Significant digits of a value that is tried: names stay short, and nothing finer matters."""


def require_optuna() -> None:
    """PrunebenchError, with what to install, if Optuna is missing."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise PrunebenchError("tuning needs Optuna: pip install 'prunebench[tune]'") from error


def suggest(space: Space, tried: Sequence[tuple[Point, float | None]], seed: int) -> Point:
    """The next point, given (point, score in percent) of all earlier trials; None is a trial that failed or missed its sparsity."""
    require_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(found) for name, found in space.items()}
    sampler = optuna.samplers.TPESampler(seed=_seed(seed, len(tried)), n_startup_trials=RANDOM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for point, score in tried:
        # A failed point counts as pruned: the estimator then keeps away from its neighbourhood.
        state = optuna.trial.TrialState.PRUNED if score is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(optuna.create_trial(state=state, value=score, params=point, distributions=distributions))
    asked = study.ask(distributions)
    return {name: _rounded(found, asked.params[name]) for name, found in space.items()}


def _distribution(space: Range) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, Choice):
        return CategoricalDistribution(space.values)
    log = isinstance(space, Log)
    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=log)
    return FloatDistribution(space.low, space.high, log=log)


def _rounded(space: Range, value: Value) -> Value:
    if not isinstance(value, float) or not isinstance(space, Linear):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), space.low), space.high)


def _seed(seed: int, number: int) -> int:
    """The seed of one trial."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "big")
