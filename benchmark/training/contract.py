"""The cheap part of a plugin's contract, tried once in each process before the first cell of a third party's plugin.

A criterion that writes to the weights it scores trains another model than its row says. What breaks the contract gets no row.
"""

import warnings
from collections.abc import Callable
from functools import cache

from benchmark.plugins import registry
from benchmark.plugins.broken import BrokenPluginError
from benchmark.pruning.schedules import checks as schedules
from benchmark.suite.spec import RunSpec
from criteria.checks import criterion as criteria
from criteria.checks import regularizer as regularizers

LOSSES = ("first loss", "leaves alone")
"""The cheap checks of a regularizer: a finite loss, and nothing of the models changed by it."""
PLANS = ("range", "monotone", "ends at target", "due")
"""Those of a schedule."""


def require_contract(spec: RunSpec, total: int) -> None:
    """BrokenPluginError where a third party's plugin in `spec`, a run of `total` steps, breaks its contract."""
    asked = [("regularizers", spec.regularizer)]
    if not spec.is_dense:
        asked += [("criteria", spec.criterion), ("schedules", spec.schedule)]
    for kind, text in asked:
        if registry.is_builtin(kind, text):
            continue
        if breach := _breach(kind, text, total, spec.sparsity):
            raise BrokenPluginError(f"{registry.KINDS[kind].singular} '{text}' breaks its contract: {breach}")


@cache
def _breach(kind: str, text: str, total: int, sparsity: float) -> str:
    """What the first check that fails says; "" where all pass, or cannot be tried on tensors so small."""
    plugin = registry.configure(kind, text)
    if kind == "schedules":
        plan = schedules.checks_of(plugin, total, sparsity)
        checks = [plan[name] for name in PLANS]
    elif kind == "regularizers":
        trial = regularizers.checks_of(plugin)
        checks = [check for name, check in trial.items() if name.partition(": ")[2] in LOSSES]
    else:
        contract = criteria.checks_of(plugin)
        checks = [contract[name] for name in criteria.CHEAP]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about made-up numbers
        return next((words for check in checks if (words := _words(check))), "")


def _words(check: Callable[[], str]) -> str:
    """What the check says where it fails. Other errors are left to the cell, which meets them on its own weights or never."""
    try:
        check()
    except AssertionError as error:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ""
    return ""
