"""The contract's part about scores: what evaluation gives, leaves behind, and what paired tests do with its outcomes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tasks.base import Evaluation, Outcomes, Prepared, Task, resample
from tasks.checks.trials import Trial


@dataclass(frozen=True)
class Scored:
    """A task, opened, and one evaluation on its reported examples: what a run has of a trial."""

    task: Task
    prepared: Prepared
    evaluation: Evaluation

    @property
    def name(self) -> str:
        """What the task is called in advice."""
        return type(self.task).__name__


def evaluation(trial: Trial) -> str:
    """Metrics are those of the outcomes; the model comes back in its mode with its weights; asked again, nothing changes."""
    name, model, state = trial.name, trial.build(), torch.get_rng_state()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    found = trial.evaluation
    for training in (True, False):
        again = trial.prepared.evaluate(model.train(training), "reported")
        assert all(module.training == training for module in model.modules()), (
            f"{name}.evaluate leaves the model in another mode: put it in eval mode, and back into the mode it came in"
        )
        assert (again.metrics, again.predictions) == (found.metrics, found.predictions), (
            f"{name}.evaluate gives {again.metrics} the second time, {found.metrics} the first: no dropout, nothing random"
        )
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items()), (
        f"{name}.evaluate changes the model's weights: it may only read them"
    )
    assert all(parameter.grad is None for parameter in model.parameters()), (
        f"{name}.evaluate leaves gradients behind: wrap it in torch.no_grad()"
    )
    assert torch.equal(torch.get_rng_state(), state), (
        f"{name}.evaluate draws from the global generator, so that training goes on differently after it"
    )
    from_outcomes(trial)
    count = trial.prepared.counts["reported"]
    texts = [text for text in found.predictions if isinstance(text, str)]
    assert len(found.predictions) == len(texts) in (0, count), (
        f"{name}.evaluate gives {len(found.predictions)} predictions of {count} examples: one text each, or none at all"
    )
    return "the same three times"


def from_outcomes(scored: Scored | Trial) -> str:
    """Metrics are numbers, those that `aggregate` makes of the outcomes."""
    name, found = scored.name, scored.evaluation
    for key, value in found.metrics.items():
        assert isinstance(value, (int, float, np.number)) and not isinstance(value, bool), (  # noqa: PT018 (one thing)
            f"{name}.evaluate gives {key} = {value!r}: expected a plain number"
        )
    for key, value in scored.task.aggregate(found.outcomes).items():
        given = found.metrics.get(key)
        assert given == value, (
            f"{name}.evaluate gives {key} = {given}, aggregate of its outcomes {value}: take the metrics from there"
        )
    return ", ".join(found.metrics)


def one_each(scored: Scored | Trial) -> str:
    """Outcomes are finite numbers, one for each reported example in each array."""
    _fit(scored.name, scored.evaluation.outcomes, scored.prepared.counts["reported"], "reported")
    return ", ".join(scored.evaluation.outcomes)


def outcomes(trial: Trial) -> str:
    """Outcomes are finite numbers, one for each example in each array, of the reported and of the held-out examples."""
    for split in ("reported", "heldout"):
        found = trial.evaluation if split == "reported" else trial.prepared.evaluate(trial.build(), split)
        _fit(trial.name, found.outcomes, trial.prepared.counts[split], split)
    return f"{len(trial.evaluation.outcomes)} numbers an example"


def _fit(name: str, found: Outcomes, count: int, split: str) -> None:
    assert found, f"{name}.evaluate gives no outcomes: arrays whose sums or means make the metrics"
    for key, values in found.items():
        kind, what = getattr(values, "dtype", np.dtype(object)), f"outcome {key!r} of {name}"
        assert kind.kind in "biuf", f"{what} is of type {kind}: give numpy arrays of numbers, no text"
        assert values.shape[:1] == (count,), (
            f"{what} has shape {values.shape} for {count} {split} examples: one entry each, in their order"
        )
        assert np.isfinite(values).all(), f"{what} is not finite: keep what is counted, and divide in aggregate"


def metrics(trial: Scored | Trial) -> str:
    """The headline is among the metrics, which are finite; it is a percentage, and so is its floor, unless less of it is better."""
    found, headline, floor = trial.evaluation.metrics, trial.prepared.metric, trial.prepared.floor
    assert headline in trial.task.aggregate(trial.evaluation.outcomes), (
        f"the headline {headline!r} of {trial.name} is not among what aggregate gives ({', '.join(found)})"
    )
    assert set(floor) <= set(found), (
        f"floor of {trial.name} has {', '.join(sorted(set(floor) - set(found)))}, which is no metric: it has their names"
    )
    for name, value in [*found.items(), *floor.items()]:
        assert math.isfinite(value), (
            f"metric {name!r} of {trial.name} is {value!r}: a finite number, 0 where it is undefined"
        )
    errors = trial.task.lower_is_better
    assert errors <= set(found), (
        f"lower_is_better of {trial.name} has {', '.join(sorted(errors - set(found)))}, which is no metric: it has their names"
    )
    assert trial.prepared.lower_is_better == errors, (
        f"{trial.name} says that less is better of {sorted(errors)}, opened of {sorted(trial.prepared.lower_is_better)}: take the "
        "prepared task's lower_is_better from the task"
    )
    for value in (found[headline], floor.get(headline, 0.0)):
        if headline in errors:
            assert value >= 0, (
                f"{headline} of {trial.name} is {value:g}, and less of it is better: an error, 0 at the least"
            )
        else:
            assert -100 <= value <= 100, f"{headline} of {trial.name} is {value:g}: percent, higher is better"
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())


def resampling(trial: Scored | Trial) -> str:
    """Examples drawn with repeats aggregate as any others, and their order does not matter."""
    drawn, count = trial.evaluation.outcomes, trial.prepared.counts["reported"]
    generator = np.random.default_rng(0)
    _headline(trial, resample(drawn, generator.integers(0, count, count)), "examples drawn with repeats")
    _headline(trial, resample(drawn, np.zeros(count, np.intp)), "one example many times")
    turned = _headline(trial, resample(drawn, np.arange(count)[::-1]), "the examples in reverse")
    score = trial.evaluation.metrics[trial.prepared.metric]
    assert math.isclose(turned, score, rel_tol=1e-6, abs_tol=1e-6), (
        f"{trial.name}.aggregate gives {turned:g} for the outcomes in reverse order, {score:g} before: let it depend on the "
        "outcomes alone, each array's entry belonging to one example"
    )
    return "with repeats, one example, in reverse"


def _headline(trial: Scored | Trial, drawn: Outcomes, what: str) -> float:
    value = trial.task.aggregate(drawn).get(trial.prepared.metric, math.nan)
    assert math.isfinite(value), (
        f"{trial.name}.aggregate gives {trial.prepared.metric} = {value} for {what}: paired tests resample the outcomes, so it must "
        "be defined for any of them (0 where it is not)"
    )
    return float(value)


OF_A_RUN: tuple[Callable[[Scored], str], ...] = (from_outcomes, one_each, metrics, resampling)
"""The checks that need nothing but an evaluation."""
