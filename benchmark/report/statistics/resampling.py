"""A metric of several models on many bootstrap samples of the same test items at once.

A sample is a row of counts, how often each item was drawn. Metrics that depend on sums over items (accuracy, F1, Matthews,
Pearson, entity F1, BLEU, any mean) are then one product of counts and columns; the rest is computed sample by sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.report.statistics.intervals import Floats, StatisticsError

Outcomes = Mapping[str, NDArray[Any]]
"""Per-example numbers, arrays of one first dimension [items, ...]."""
Score = Callable[[Outcomes], float]
"""A metric in percent from per-example outcomes: `lambda outcomes: task.aggregate(outcomes)[metric]`."""
CELLS = 4_000_000
"""Counts held in memory at once."""
MOST_NATS = 100.0
"""Mean negative log-likelihood at which perplexity is cut, as in tasks/lm.py; `by_sums` compares with the task's own metric."""
CHECKED = 3
"""Samples on which a product has to give what the task's own metric gives, before it is used."""


class Sums(NamedTuple):
    """Columns [items, k] and the metric in percent from their sums [samples, k]: [samples]."""

    columns: Floats
    finish: Callable[[Floats], Floats]


def same_items(runs: Sequence[Outcomes]) -> int:
    """How many items all runs share. StatisticsError: other names, other lengths, or other labels."""
    names = set(runs[0])
    sizes = {len(values) for run in runs for values in run.values()}
    if any(set(run) != names for run in runs) or len(sizes) != 1:
        raise StatisticsError(f"outcomes do not pair: fields {[sorted(run) for run in runs]}, items {sorted(sizes)}")
    if "label" in names and any(not np.array_equal(run["label"], runs[0]["label"]) for run in runs):
        raise StatisticsError("outcomes do not pair: their labels differ, so these are not the same items in order")
    return sizes.pop()


def counted(index: NDArray[np.intp], items: int) -> Floats:
    """How often each item is in each sample: [samples, draws] -> [samples, items]."""
    samples = len(index)
    flat = index + np.arange(samples)[:, None] * items
    return np.bincount(flat.ravel(), minlength=samples * items).reshape(samples, items).astype(np.float64)


def chunks(items: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Bootstrap samples [some, items], `resamples` in all; the same for the same seed, however many models are scored."""
    rng = np.random.default_rng(seed)
    size = max(1, CELLS // items)
    for start in range(0, resamples, size):
        yield rng.integers(0, items, size=(min(size, resamples - start), items))


def bootstrap(runs: list[Outcomes], score: Score, metric: str, items: int, resamples: int, seed: int) -> Floats:
    """`score`, which is the metric called `metric`, of every run on the same bootstrap samples: [runs, resamples]."""
    sums = [by_sums(outcomes, score, metric) for outcomes in runs]
    drawn: list[list[Floats]] = [[] for _ in runs]
    for index in chunks(items, resamples, seed):
        counts = counted(index, items)
        for k, (outcomes, found) in enumerate(zip(runs, sums, strict=True)):
            drawn[k].append(found.finish(counts @ found.columns) if found else one_by_one(outcomes, score, index))
    return np.array([np.concatenate(parts) for parts in drawn])


def one_by_one(outcomes: Outcomes, score: Score, index: NDArray[np.intp]) -> Floats:
    """The metric of every sample of `index` [samples, items], whatever it is: [samples]."""
    return np.array([score({name: values[chosen] for name, values in outcomes.items()}) for chosen in index])


def by_sums(outcomes: Outcomes, score: Score, metric: str) -> Sums | None:
    """The columns whose sums give the metric, if a known form of it gives what `score` gives; else None."""
    items = len(next(iter(outcomes.values())))
    index = np.random.default_rng(0).integers(0, items, size=(CHECKED, items))
    for form in (_classes, _moments, _entities, _bleu, _perplexity, _mean):
        found = form(outcomes, metric)
        if found is not None:
            made = found.finish(counted(index, items) @ found.columns)
            if np.allclose(made, one_by_one(outcomes, score, index), rtol=1e-9, atol=1e-7):
                return found
    return None


def _share(part: Floats, whole: Floats) -> Floats:
    return 100 * np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _classes(outcomes: Outcomes, metric: str) -> Sums | None:
    """Accuracy, F1 of class 1, Matthews of two classes."""
    if not {"prediction", "label"} <= outcomes.keys():
        return None
    prediction, label = outcomes["prediction"], outcomes["label"]
    if metric.startswith("accuracy"):
        part = outcomes.get("mismatched", np.zeros(len(label), bool)) == (metric == "accuracy_mm")
        columns = np.stack([(prediction == label) & part, part], axis=1).astype(np.float64)
        return Sums(columns, lambda sums: _share(sums[:, 0], sums[:, 1]))
    cells = [(prediction == p) & (label == t) for p, t in ((1, 1), (1, 0), (0, 1), (0, 0))]
    columns = np.stack(cells, axis=1).astype(np.float64)
    if metric == "f1":
        return Sums(columns, lambda s: _share(2 * s[:, 0], 2 * s[:, 0] + s[:, 1] + s[:, 2]))
    return Sums(columns, _matthews) if metric == "matthews_correlation" else None


def _matthews(sums: Floats) -> Floats:
    both, only_predicted, only_true, neither = sums.T
    product = (both + only_predicted) * (both + only_true) * (neither + only_predicted) * (neither + only_true)
    return _share(both * neither - only_predicted * only_true, np.sqrt(product))


def _moments(outcomes: Outcomes, metric: str) -> Sums | None:
    """Pearson's correlation."""
    if metric != "pearson" or not {"prediction", "label"} <= outcomes.keys():
        return None
    from tasks.metrics.classification import is_constant

    if is_constant(outcomes["prediction"], outcomes["label"]):
        return Sums(np.zeros((len(outcomes["label"]), 1)), lambda sums: sums[:, 0])
    x, y = (outcomes[name].astype(np.float64) - outcomes[name].mean() for name in ("prediction", "label"))
    return Sums(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1), _correlation)


def _correlation(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = sums.T
    spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return _share(n * xy - x * y, spread)


def _entities(outcomes: Outcomes, metric: str) -> Sums | None:
    """Entity F1, precision and recall, and F1 of a type."""
    base, _, kind = metric.partition("_")
    names = [f"{count}_{kind}" if kind else count for count in ("correct", "predicted", "gold")]
    if base not in ("f1", "precision", "recall") or not set(names) <= outcomes.keys():
        return None
    weights = {"f1": (2.0, (1.0, 1.0)), "precision": (1.0, (1.0, 0.0)), "recall": (1.0, (0.0, 1.0))}[base]
    columns = np.stack([outcomes[name] for name in names], axis=1).astype(np.float64)
    return Sums(columns, lambda sums: _share(weights[0] * sums[:, 0], sums[:, 1:] @ np.array(weights[1])))


def _bleu(outcomes: Outcomes, metric: str) -> Sums | None:
    """BLEU of the corpus, where every order has a match in every sample (others are smoothed, which the task does itself)."""
    names = [f"bleu_{part}_{n}" for part in ("match", "total") for n in (1, 2, 3, 4)] + ["sys_len", "ref_len"]
    if metric != "bleu" or not set(names) <= outcomes.keys():
        return None
    columns = np.stack([outcomes[name] for name in names], axis=1).astype(np.float64)
    return Sums(columns, _corpus_bleu) if (columns[:, 3] > 0).sum() > 30 else None


def _corpus_bleu(sums: Floats) -> Floats:
    match, total, made, wanted = sums[:, :4], sums[:, 4:8], sums[:, 8], sums[:, 9]
    brevity = np.where(made < wanted, np.exp(1 - wanted / made), 1.0)
    return np.asarray(100 * brevity * np.exp(np.log(match / total).mean(axis=1)))


def _perplexity(outcomes: Outcomes, metric: str) -> Sums | None:
    """exp of the mean negative log-likelihood of a token, below the size at which the task cuts it."""
    if metric != "perplexity" or not {"nll", "tokens"} <= outcomes.keys():
        return None
    columns = np.stack([outcomes["nll"], outcomes["tokens"]], axis=1).astype(np.float64)
    return Sums(columns, lambda sums: np.asarray(np.exp(np.minimum(sums[:, 0] / sums[:, 1], MOST_NATS))))


def _mean(outcomes: Outcomes, metric: str) -> Sums | None:
    """The mean of the column that the metric is called after, in percent or in its own unit."""
    for name, scale in ((metric, 100.0), (f"extra_{metric}", 1.0)):
        if name in outcomes:
            column = outcomes[name].astype(np.float64) * scale
            return Sums(np.stack([column, np.ones_like(column)], axis=1), lambda sums: sums[:, 0] / sums[:, 1])
    return None
