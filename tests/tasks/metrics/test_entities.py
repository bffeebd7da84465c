"""Entity counts against seqeval, default and strict, on well-formed and malformed tag sequences."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from tasks.base import resample
from tasks.metrics.entities import entity_metrics, entity_outcomes

TYPES = ["LOC", "PER"]
TAGS = ["O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI")]


def by_seqeval(gold: list[list[str]], predicted: list[list[str]], strict: bool) -> tuple[float, float, float]:
    options = {"mode": "strict", "scheme": IOB2} if strict else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [score(gold, predicted, **options) for score in (precision_score, recall_score, f1_score)]
    return 100 * scores[0], 100 * scores[1], 100 * scores[2]


@pytest.mark.parametrize(
    ("gold", "predicted", "default", "strict"),
    [
        ("B-PER I-PER O", "B-PER I-PER O", (1, 1, 1), (1, 1, 1)),
        ("B-PER I-PER O", "I-PER I-PER O", (1, 1, 1), (0, 0, 1)),  # I-* after O begins an entity, but not strictly
        ("B-PER I-PER O", "B-PER I-LOC O", (0, 2, 1), (0, 1, 1)),  # the type changes inside
        ("O B-LOC O", "B-LOC I-LOC O", (0, 1, 1), (0, 1, 1)),
        ("B-LOC B-LOC O", "B-LOC I-LOC O", (0, 1, 2), (0, 1, 2)),
        ("O O O", "O I-PER O", (0, 1, 0), (0, 0, 0)),
    ],
)
def test_counts_by_hand(gold: str, predicted: str, default: tuple[int, ...], strict: tuple[int, ...]) -> None:
    for mode, expected in ((False, default), (True, strict)):
        outcomes = entity_outcomes([gold.split()], [predicted.split()], TYPES, strict=mode)
        assert tuple(int(outcomes[name][0]) for name in ("correct", "predicted", "gold")) == expected


@st.composite
def tagged(draw: st.DrawFn) -> tuple[list[list[str]], list[list[str]]]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    one, other = ([draw(st.lists(st.sampled_from(TAGS), min_size=n, max_size=n)) for n in lengths] for _ in range(2))
    return one, other


@settings(deadline=None)
@given(tagged(), st.booleans())
def test_aggregated_counts_are_seqevals_scores(pair: tuple[list[list[str]], list[list[str]]], strict: bool) -> None:
    gold, predicted = pair
    metrics = entity_metrics(entity_outcomes(gold, predicted, TYPES, strict))
    found = (metrics["precision"], metrics["recall"], metrics["f1"])
    assert found == pytest.approx(by_seqeval(gold, predicted, strict))


def test_scores_per_type_are_seqevals() -> None:
    rng = np.random.default_rng(0)
    gold, predicted = ([[TAGS[i] for i in rng.integers(0, 5, 6)] for _ in range(20)] for _ in range(2))
    metrics = entity_metrics(entity_outcomes(gold, predicted, TYPES))
    report = classification_report(gold, predicted, output_dict=True)
    for kind in TYPES:
        assert metrics[f"f1_{kind}"] == pytest.approx(100 * report[kind]["f1-score"])


def test_a_resampled_corpus_scores_as_the_repeated_sentences() -> None:
    gold, predicted = [["B-PER"], ["B-LOC"], ["O"]], [["B-PER"], ["O"], ["B-LOC"]]
    index = np.array([0, 0, 2])
    outcomes = resample(entity_outcomes(gold, predicted, TYPES), index)
    expected = by_seqeval([gold[i] for i in index], [predicted[i] for i in index], strict=False)
    assert entity_metrics(outcomes)["f1"] == pytest.approx(expected[2])
