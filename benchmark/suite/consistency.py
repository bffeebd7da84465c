"""Values that no cell can have, and choices that contradict each other, found before its data and model are opened."""

from pydantic import ValidationError

from benchmark.errors import PrunebenchError, choices, pydantic_reason
from benchmark.plugins import registry
from benchmark.pruning.arguments import require_schedule
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.once import require_trainless
from benchmark.suite.spec import RunSpec, Strict, Training


def validated(spec: RunSpec) -> RunSpec:
    """`spec` anew; PrunebenchError where `model_copy`, which checks nothing, has put in a value or a name that no spec can have."""
    fields = vars(spec.model_copy())  # without cached values
    try:
        return RunSpec.model_validate({k: vars(v) if isinstance(v, Strict) else v for k, v in fields.items()})
    except ValidationError as error:
        first = error.errors()[0]
        where, reason = ".".join(map(str, first["loc"])), pydantic_reason(first)
        if first["type"] == "extra_forbidden":
            known = Training.model_fields if where.startswith("training.") else RunSpec.model_fields
            reason = f"no such setting; {choices(str(first['loc'][-1]), known)}"
        raise PrunebenchError(f"run: {where}: {reason}" if where else f"{spec.task}: {reason}") from error


def check_spec(spec: RunSpec) -> None:
    """PrunebenchError where criterion, regularizer, schedule, scope, selection and budget do not go together."""
    regularizer = registry.configure("regularizers", spec.regularizer)
    if regularizer.needs_score and spec.selection == "best_dev":
        raise PrunebenchError(
            f"regularizer '{spec.regularizer}' needs held-out scores: choose selection last or heldout"
        )
    if regularizer.needs_score and spec.heldout == 0:
        raise PrunebenchError(f"regularizer '{spec.regularizer}' needs held-out scores: set heldout above 0")
    scope = parse_scope(spec.scope)
    if scope.biases and spec.training.weight_decay:
        raise PrunebenchError(
            f"scope '{scope}' ranks biases with the weights, in one vector that decays as a whole: set training.weight_decay to 0"
        )
    if not spec.is_trained:
        _check_untrained(spec)
    elif spec.precision != "fp32":
        raise PrunebenchError(
            f"precision {spec.precision}: weights that are trained are fp32 (a GPU computes in bf16 where it can); set "
            "training.steps to 0 to prune without training"
        )
    if spec.is_dense:
        return
    if registry.configure("criteria", spec.criterion).latent and spec.call_point == "after":
        raise PrunebenchError(f"criterion '{spec.criterion}' trains through its mask: it needs call_point 'before'")
    scope.check((), spec.sparsity)
    if scope.shares_by != "shapes" and spec.is_trained:
        raise scope.needs_dense()
    if spec.training.steps:
        require_schedule(registry.configure("schedules", spec.schedule), spec.sparsity, spec.training.steps)


def _check_untrained(spec: RunSpec) -> None:
    """PrunebenchError where a cell of 0 steps asks for what only training gives."""
    if spec.regularizer != "none":
        raise PrunebenchError(f"regularizer '{spec.regularizer}' adds to a training loss, and training.steps is 0")
    if spec.selection != "last":
        raise PrunebenchError(f"selection '{spec.selection}' chooses among training steps, and training.steps is 0")
    if spec.is_dense:
        return
    if spec.schedule.partition("[")[0] != "one_shot":
        raise PrunebenchError(f"training.steps 0 prunes once: schedule is '{spec.schedule}', expected one_shot")
    require_trainless(registry.configure("criteria", spec.criterion))
