"""Runs the cheap checks of a third party's plugin once in each process, before its first cell.

For instance, a criterion that writes to the weights it scores would train another model than its row says. A plugin that fails a
check is refused.
"""

import warnings
from collections.abc import Callable
from functools import cache

from benchmark.plugins import classes, registry
from benchmark.plugins.broken import BrokenPluginError
from benchmark.pruning.schedules import checks as schedules
from benchmark.suite.spec import RunSpec
from criteria.checks import criterion as criteria
from criteria.checks import regularizer as regularizers
from tasks.base import Evaluation, Prepared
from tasks.checks.scores import OF_A_RUN, Scored

LOSSES = ("first loss", "leaves alone", "evaluations", "later loss", "averages")
"""Cheap checks of a regularizer: its loss is finite, trains and is a mean, and neither it nor an evaluation changes the models."""
PLANS = ("range", "monotone", "ends at target", "due", "rewind")
"""Cheap checks of a schedule."""


def require_contract(spec: RunSpec, total: int) -> None:
    """BrokenPluginError where a third party's plugin in `spec`, a run of `total` steps, breaks its contract."""
    asked = [("regularizers", spec.regularizer)]
    if not spec.is_dense:
        asked += [("criteria", spec.criterion), ("schedules", spec.schedule)]
    for kind, text in asked:
        if registry.is_builtin(kind, text):
            continue
        plan = (total, spec.sparsity) if kind == "schedules" else (0, 0.0)
        if breach := _breach(kind, text, *plan):
            raise BrokenPluginError(f"{classes.KINDS[kind].singular} '{text}' breaks its contract: {breach}")


@cache
def _breach(kind: str, text: str, total: int, sparsity: float) -> str:
    """The message of the first check that fails; "" if all pass, or cannot be tried on such small tensors.

    `total` and `sparsity` are those of a schedule's run.
    """
    plugin = registry.configure(kind, text)
    if kind == "schedules":
        plan = schedules.checks_of(plugin, total, sparsity)
        checks = [plan[name] for name in PLANS]
    elif kind == "regularizers":
        trial = regularizers.checks_of(plugin)
        checks = [check for name, check in trial.items() if name.partition(": ")[2] in LOSSES]
    else:
        checks = [check for name, check in criteria.checks_of(plugin).items() if name in criteria.CHEAP]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they concern made-up numbers
        return next((words for check in checks if (words := _words(check))), "")


def require_scores(spec: RunSpec, prepared: Prepared, evaluation: Evaluation) -> None:
    """BrokenPluginError where a third party's task gives scores or outcomes that no record should hold."""
    if registry.is_builtin("tasks", spec.task):
        return
    scored = Scored(registry.configure("tasks", spec.task), prepared, evaluation)
    for check in OF_A_RUN:
        try:
            check(scored)
        except AssertionError as error:
            raise BrokenPluginError(f"task '{spec.task}' breaks its contract: {error}") from error


def _words(check: Callable[[], str]) -> str:
    """The message of a check that fails. Other errors are ignored: the cell itself will raise them if they matter there."""
    try:
        check()
    except AssertionError as error:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ""
    return ""
