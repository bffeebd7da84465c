"""What is searched, and what the sampler makes of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec, Training
from benchmark.tune.space import Point, Space, applied, described, digest, space_of, start
from criteria.common.search import Choice, Linear, Log


def row(criterion: str, lr: float = 1e-4) -> RunSpec:
    return RunSpec(task="glue/rte", criterion=criterion, sparsity=0.5, training=Training(lr=lr))


@pytest.mark.parametrize(
    ("criterion", "searched"),
    [
        ("magnitude", ""),
        ("movement", ""),  # under sgd the rate of S changes no ranking
        ("movement[score_optimizer=adam]", "score_lr"),
        ("l0", "final_lambda score_lr"),
        ("principled", "beta1 beta2 window"),
        ("principled[window=7]", "beta1 beta2"),
        ("principled[beta2=1]", "beta1 window"),
        ("principled[uncertainty=false]", "beta1 window"),
        ("principled[smooth=false]", ""),
        ("sensitivity[smooth=false,uncertainty=false]", ""),
        ("soft_movement", "final_threshold final_lambda score_lr"),
        ("soft_movement[rule=matched]", "final_lambda score_lr"),
    ],
)
def test_what_the_row_sets_and_what_has_no_effect_is_not_searched(criterion: str, searched: str) -> None:
    assert list(space_of(row(criterion))) == ["lr", *searched.split()]
    if searched:
        assert list(space_of(row(criterion), fixed_rate=True)) == searched.split()


def test_without_training_no_rate_is_searched() -> None:
    def once(criterion: str) -> RunSpec:
        return row(criterion).model_copy(update={"training": Training(steps=0), "schedule": "one_shot"})

    assert list(space_of(once("obert"))) == ["block", "damp"]
    with pytest.raises(PrunebenchError, match=r"wanda declares nothing to tune .* nothing is trained"):
        space_of(once("wanda"))


def test_a_point_becomes_a_row() -> None:
    spec = row("principled[signed=true]")
    found = applied(spec, {"lr": 3e-4, "beta1": 0.9, "beta2": 0.99, "window": 7})
    assert found.criterion == "principled[beta1=0.9,window=7,signed=true]"
    assert found.training.lr == 3e-4
    assert applied(spec, start(spec, space_of(spec))) == spec


def test_the_start_lies_inside_what_is_searched() -> None:
    spec = row("obert", lr=1e-3)
    assert start(spec, space_of(spec, rates=(1e-5, 1e-4))) == {"lr": 1e-4, "block": 50, "damp": 1e-7}


def test_ranges_are_described_in_words_and_told_apart_by_a_digest() -> None:
    assert described({"a": Linear(0.5, 2.0), "b": Log(1e-8, 1e-5), "c": Choice((4, 50, 100)), "d": Choice(("x", "y"))}) == {
        "a": "0.5 to 2", "b": "1e-08 to 1e-05 (log)", "c": "4, 50 or 100", "d": "x or y",
    }  # fmt: skip
    assert digest({"a": Linear(0, 1)}) != digest({"a": Linear(0, 2)})


SPACE: Space = {
    "lr": Log(1e-5, 1e-3),
    "beta": Linear(0.5, 0.95),
    "window": Log(5, 50),
    "kind": Choice(("a", "b")),
    "on": Choice((True, False)),
}


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), scores=st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=14))
def test_suggestions_lie_inside_and_depend_on_nothing_but_what_was_tried(seed: int, scores: list[float | None]) -> None:
    suggest = pytest.importorskip("benchmark.tune.sampler").suggest
    pytest.importorskip("optuna")
    tried: list[tuple[Point, float | None]] = [
        ({"lr": 1e-4 * (1 + i), "beta": 0.6, "window": 5 + i, "kind": "a", "on": True}, score)
        for i, score in enumerate(scores[:9])
    ]
    point = suggest(SPACE, tried, seed)
    assert list(point) == list(SPACE)
    assert 1e-5 <= point["lr"] <= 1e-3
    assert 0.5 <= point["beta"] <= 0.95
    assert isinstance(point["window"], int)
    assert 5 <= point["window"] <= 50
    assert point["kind"] in ("a", "b")
    assert isinstance(point["on"], bool)
    assert suggest(SPACE, tried, seed) == point


def test_the_estimator_comes_nearer_to_the_best() -> None:
    pytest.importorskip("optuna")
    from benchmark.tune.sampler import suggest

    space, tried = {"x": Linear(0.0, 1.0)}, list[tuple[Point, float | None]]()
    for _ in range(30):
        point = suggest(space, tried, 0)
        tried.append((point, -((float(point["x"]) - 0.7) ** 2)))
    late = [abs(float(point["x"]) - 0.7) for point, _ in tried[20:]]
    early = [abs(float(point["x"]) - 0.7) for point, _ in tried[:10]]
    assert sum(late) / 10 < 0.5 * sum(early) / 10
