"""One trial: trains the row on part of the training data and scores it on the rest. The reported split is never used."""

import time

from benchmark.errors import message_of
from benchmark.machine.atomic import disk_trouble
from benchmark.machine.environment import is_device_lost, is_out_of_memory
from benchmark.suite.spec import RunSpec, Tuned
from benchmark.suite.suite import HELDOUT
from benchmark.training.run import Options, run
from benchmark.tune.space import Point, applied
from benchmark.tune.study import State, Trial

SHORT = 0.005
"""How far below the requested sparsity a criterion without exact sparsity may end; else the best trial would prune nothing."""


def trial_spec(spec: RunSpec, seed: int) -> RunSpec:
    """The cell `spec` as it is trained in trials: `seed`, and training data held out if the board holds none out.

    A board that selects its weights on the reported split selects them on held-out data here.
    """
    changes: dict[str, object] = {"seed": seed, "heldout": spec.heldout or HELDOUT}
    if spec.selection == "best_dev":
        changes["selection"] = "heldout"
    return spec.model_copy(update=changes)


def attempt(spec: RunSpec, point: Point, options: Options) -> Trial:
    """Train the row `spec` at `point`. An error of the point gives a failed trial; an error of the machine is raised."""
    # Marked as tuned, so that a teacher is the dense run at the shared learning rate, the same for all trials.
    tuned = Tuned(row=spec.row, trials=1, lr=spec.training.lr, heldout=spec.heldout, seed=spec.seed)
    began = time.perf_counter()
    try:
        record = run(applied(spec, point).model_copy(update={"tuned": tuned}), options).record
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, OSError) or disk_trouble(error) or is_out_of_memory(error) or is_device_lost():
            raise
        seconds = time.perf_counter() - began
        return Trial(point=point, state="failed", seconds=seconds, reason=message_of(error))
    sparsity, reason = record.sparsity, ""
    state: State = "done"
    if not sparsity.exact and sparsity.measured < spec.sparsity - SHORT:
        state, reason = "missed", f"reached sparsity {sparsity.measured:.3f}, asked for {spec.sparsity:g}"
    return Trial(
        point=point,
        state=state,
        score=record.score,
        sparsity=sparsity.measured,
        seconds=time.perf_counter() - began,
        reason=reason,
    )
