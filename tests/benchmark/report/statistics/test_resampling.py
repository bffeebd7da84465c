"""Metrics on all bootstrap samples at once are what the tasks' own metrics give, sample by sample."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from benchmark.report.statistics.intervals import StatisticsError
from benchmark.report.statistics.resampling import Outcomes, bootstrap, by_sums, chunks, one_by_one, same_items
from tasks.conll2003 import Conll2003
from tasks.glue import Glue
from tasks.squad import Squad

RNG = np.random.default_rng(1)
ITEMS = 90
BITS = {"prediction": RNG.integers(0, 2, ITEMS), "label": RNG.integers(0, 2, ITEMS)}
SCORES = {"prediction": RNG.normal(size=ITEMS).astype(np.float32), "label": RNG.uniform(0, 5, ITEMS).astype(np.float32)}
ENTITIES = {
    f"{count}{kind}": RNG.integers(0, 3, ITEMS) for kind in ("", "_PER") for count in ("correct", "predicted", "gold")
}
WORDS = {
    **{f"bleu_match_{n}": RNG.integers(0, 12 - 2 * n, ITEMS) for n in (1, 2, 3, 4)},
    **{f"bleu_total_{n}": RNG.integers(12, 20, ITEMS) for n in (1, 2, 3, 4)},
    "sys_len": RNG.integers(12, 20, ITEMS),
    "ref_len": RNG.integers(12, 20, ITEMS),
}


def bleu(outcomes: Outcomes) -> Mapping[str, float]:
    from tasks.metrics.text import _bleu

    return {"bleu": _bleu(dict(outcomes))}


@pytest.mark.parametrize(
    ("aggregate", "outcomes", "metric"),
    [
        (Glue("sst2").aggregate, BITS, "accuracy"),
        (Glue("mrpc").aggregate, BITS, "f1"),
        (Glue("cola").aggregate, BITS, "matthews_correlation"),
        (Glue("cola").aggregate, BITS | {"prediction": np.ones(ITEMS, int)}, "matthews_correlation"),
        (Glue("mnli").aggregate, BITS | {"mismatched": np.arange(ITEMS) > 40}, "accuracy"),
        (Glue("mnli").aggregate, BITS | {"mismatched": np.arange(ITEMS) > 40}, "accuracy_mm"),
        (Glue("stsb").aggregate, SCORES, "pearson"),
        (Glue("stsb").aggregate, SCORES | {"prediction": np.full(ITEMS, 2.5, np.float32)}, "pearson"),
        (Squad().aggregate, {name: RNG.uniform(size=ITEMS) for name in ("f1", "exact_match")}, "f1"),
        (Glue("sst2").aggregate, BITS | {"extra_bertscore": RNG.uniform(size=ITEMS)}, "bertscore"),
        (Conll2003().aggregate, ENTITIES, "f1"),
        (Conll2003().aggregate, ENTITIES, "precision"),
        (Conll2003().aggregate, ENTITIES, "recall"),
        (Conll2003().aggregate, ENTITIES, "f1_PER"),
        (bleu, WORDS, "bleu"),
    ],
)
def test_sums_give_what_the_task_gives(
    aggregate: Callable[[Outcomes], Mapping[str, float]], outcomes: Outcomes, metric: str
) -> None:
    def score(found: Outcomes) -> float:
        return aggregate(found)[metric]

    assert by_sums(outcomes, score, metric) is not None
    made = bootstrap([outcomes], score, metric, ITEMS, 40, seed=3)[0]
    slow = one_by_one(outcomes, score, np.concatenate(list(chunks(ITEMS, 40, seed=3))))
    assert made == pytest.approx(slow, abs=1e-7)


@pytest.mark.parametrize(
    ("outcomes", "metric"),
    [(SCORES, "spearman"), (BITS, "accuracy"), ({"f1": np.ones(ITEMS)}, "f1"), (BITS, "f1")],
    ids=["ranks", "another accuracy", "another mean", "another f1"],
)
def test_a_metric_of_another_form_is_computed_sample_by_sample(outcomes: Outcomes, metric: str) -> None:
    """Under a known name, too: what a task computes is what counts."""

    def score(found: Outcomes) -> float:
        return float(sum(np.median(values) for values in found.values())) + float(next(iter(found.values()))[0])

    assert by_sums(outcomes, score, metric) is None
    index = np.concatenate(list(chunks(ITEMS, 10, seed=0)))
    assert bootstrap([outcomes], score, metric, ITEMS, 10, seed=0)[0] == pytest.approx(
        one_by_one(outcomes, score, index)
    )


def test_all_runs_of_a_task_see_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are scored at once, and whatever fits into memory."""
    score = lambda found: Glue("sst2").aggregate(found)["accuracy"]  # noqa: E731
    other = BITS | {"prediction": 1 - BITS["prediction"]}
    together = bootstrap([BITS, other], score, "accuracy", ITEMS, 50, seed=0)
    assert together.sum(axis=0) == pytest.approx(100)  # what one gets right the other gets wrong
    monkeypatch.setattr("benchmark.report.statistics.resampling.CELLS", 7 * ITEMS)
    assert bootstrap([BITS], score, "accuracy", ITEMS, 50, seed=0)[0] == pytest.approx(together[0])


def run(*correct: int) -> Outcomes:
    """Outcomes of one run."""
    return {"correct": np.array(correct, dtype=bool)}


@pytest.mark.parametrize(
    "other",
    [
        {"correct": np.zeros(3)},
        {"right": np.zeros(2)},
        {"correct": np.zeros(2), "label": np.zeros(2)},
    ],
)
def test_runs_on_other_items_are_refused(other: Outcomes) -> None:
    with pytest.raises(StatisticsError, match="do not pair"):
        same_items([run(1, 0), other])


def test_other_labels_are_other_items() -> None:
    first = {"prediction": np.array([1, 0]), "label": np.array([1, 0])}
    second = {"prediction": np.array([1, 0]), "label": np.array([0, 1])}
    with pytest.raises(StatisticsError, match="labels differ"):
        same_items([first, second])
