"""`principled` and `sensitivity` compute what the published PINS and PLATON pruners computed, at every step."""

import pytest
import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.principled import Principled
from criteria.sensitivity import Sensitivity
from tests.criteria import golden_traces
from tests.criteria.golden_traces import Moment, Trace


def options(trace: Trace) -> dict[str, float]:
    return {name: trace.config[name] for name in ("beta1", "beta2")}


def build(name: str, trace: Trace) -> Criterion:
    window = int(trace.config["window"])
    return (Principled if name == "pins" else Sensitivity)(**options(trace), window=window)  # type: ignore[arg-type]


def scored_weight(name: str, theta: Tensor, grad: Tensor, lr: float) -> Tensor:
    """PLATON scores after the SGD step, PINS before it."""
    return theta - lr * grad if name == "platon" else theta


def replay(
    criterion: Criterion, name: str, state: State, theta: Tensor, grad: Tensor, moment: Moment, total: int
) -> Tensor:
    weight = scored_weight(name, theta, grad, moment.lr)
    criterion.observe(state, weight, grad, Step(moment.index, total, moment.lr))
    return criterion.score(state, weight)


def compare(actual: Tensor, golden: Tensor) -> None:
    """Equal to fp32 rounding: relative to each score, and absolutely to a millionth of the step's largest."""
    scale = float(golden.abs().max())
    torch.testing.assert_close(actual, golden, rtol=1e-5, atol=1e-6 * scale if scale else 1e-15)


@pytest.mark.parametrize("name", ["pins", "platon"])
def test_scores_match_the_published_pruner_as_one_vector(name: str) -> None:
    trace = golden_traces.load(name)
    criterion = build(name, trace)
    state = criterion.init(trace.moments[0].flat("theta_before"), torch.Generator())
    for moment in trace.moments:
        theta, grad = moment.flat("theta_before"), moment.flat("grad")
        compare(replay(criterion, name, state, theta, grad, moment, len(trace.moments)), moment.flat("score"))


@pytest.mark.parametrize("name", ["pins", "platon"])
def test_scores_match_the_published_pruner_per_matrix(name: str) -> None:
    trace = golden_traces.load(name)
    criterion = build(name, trace)
    first = trace.moments[0].ranked("theta_before")
    states = {parameter: criterion.init(weight, torch.Generator()) for parameter, weight in first.items()}
    for moment in trace.moments:
        for parameter, golden in moment.ranked("score").items():
            theta, grad = moment.ranked("theta_before")[parameter], moment.ranked("grad")[parameter]
            compare(replay(criterion, name, states[parameter], theta, grad, moment, len(trace.moments)), golden)


@pytest.mark.parametrize("name", ["pins", "platon"])
def test_exact_selection_removes_all_that_the_published_pruner_removed(name: str) -> None:
    """The published rule, k = int(n (1 - r)) and strictly below the k-th score, goes one weight less far at most."""
    trace = golden_traces.load(name)
    criterion = build(name, trace)
    state = criterion.init(trace.moments[0].flat("theta_before"), torch.Generator())
    maskings = 0
    for moment in trace.moments:
        theta, grad = moment.flat("theta_before"), moment.flat("grad")
        score = replay(criterion, name, state, theta, grad, moment, len(trace.moments))
        if moment.threshold is None:
            continue
        maskings += 1
        published = moment.flat("theta_after") == 0
        count = round((1 - moment.remaining) * score.numel())
        removed = torch.zeros_like(published).index_fill_(0, score.argsort(stable=True)[:count], True)
        assert not (published & ~removed).any()
        assert int(removed.sum()) - int(published.sum()) <= 2
    assert maskings > 10
