"""Corpus figures from per-example sums against sacrebleu, nltk and rouge-score, with a varying number of references."""

import math
from typing import Any

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.nist_score import corpus_nist
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tasks.base import resample
from tasks.metrics.text import signatures, text_metrics, text_outcomes
from tasks.webnlg import Webnlg

PREDICTIONS = ["The mill serves cheap pasta.", "Zizzi is a pub near the river", "Cotto, a coffee shop ."]
REFERENCES = [
    ["The Mill serves cheap pasta.", "Cheap pasta is served at The Mill.", "The Mill has pasta"],
    ["Zizzi is a pub by the river."],
    ["Cotto is a coffee shop.", "There is a coffee shop called Cotto."],
]

words = st.sampled_from(
    ["the", "The", "mill", "is", "a", "pub", "near", "river", "cheap", "not", "family-friendly", "£20", "."]
)
texts = st.lists(words, max_size=9).map(" ".join)
corpora = st.lists(st.tuples(texts, st.lists(texts.filter(bool), min_size=1, max_size=4)), min_size=1, max_size=6)


def streams(references: list[list[str]]) -> Any:
    """References as sacrebleu wants them: one list per reference number, None where an example has fewer."""
    most = max(map(len, references))
    return [[group[at] if at < len(group) else None for group in references] for at in range(most)]


@settings(max_examples=60, deadline=None)
@given(corpora, st.booleans())
def test_bleu_and_chrf_of_summed_outcomes_are_sacrebleus(corpus: list[tuple[str, list[str]]], lowercase: bool) -> None:
    predictions, references = [one for one, _ in corpus], [group for _, group in corpus]
    metrics = text_metrics(text_outcomes(predictions, references, lowercase))
    bleu = BLEU(lowercase=lowercase).corpus_score(predictions, streams(references))
    chrf = CHRF(lowercase=lowercase).corpus_score(predictions, streams(references))
    assert metrics["bleu"] == bleu.score
    assert metrics["chrf"] == chrf.score


@settings(max_examples=30, deadline=None)
@given(corpora)
def test_nist_with_one_reference_is_nltks(corpus: list[tuple[str, list[str]]]) -> None:
    # nltk divides by zero where no prediction has five words
    predictions = [f"{one} the mill is a pub near the river" for one, _ in corpus]
    references = [group[:1] for _, group in corpus]
    tokens = [[text.split() for text in group] for group in references]
    expected = corpus_nist(tokens, [one.split() for one in predictions], n=5)
    found = text_metrics(text_outcomes(predictions, references, lowercase=False))["nist"]
    assert found == pytest.approx(expected)


def test_nist_by_hand() -> None:
    """One reference of two words: each unigram tells log2(2 / 1) = 1 bit, the bigram log2(1 / 1) = 0."""
    metrics = text_metrics(text_outcomes(["mill pub"], [["mill pub"]], lowercase=True))
    assert metrics["nist"] == pytest.approx(1.0)
    half = text_metrics(text_outcomes(["mill"], [["mill pub"]], lowercase=True))
    penalty = math.exp(math.log(0.5) / math.log(1.5) ** 2 * math.log(0.5) ** 2)
    assert half["nist"] == pytest.approx(1.0 * penalty)


def test_nist_of_several_references_by_hand() -> None:
    """References "a a", "b a c d": of 6 words a is 3, b, c, d 1 each, so a tells 1 bit and b log2 6.

    "a a b" matches a twice (the first has two) and b once (the second has one): (2 + log2 6) / 3. Of its bigrams
    "a a" is in the first and tells log2(3 / 1); "a b" is in none: log2(3) / 2. Three words against 3 on average: no penalty.
    """
    metrics = text_metrics(text_outcomes(["a a b"], [["a a", "b a c d"]], lowercase=True))
    assert metrics["nist"] == pytest.approx((2 + math.log2(6)) / 3 + math.log2(3) / 2)
    short = text_metrics(text_outcomes(["a a"], [["a a", "b a c d"]], lowercase=True))
    penalty = math.exp(math.log(0.5) / math.log(1.5) ** 2 * math.log(2 / 3) ** 2)
    assert short["nist"] == pytest.approx((1 + math.log2(3)) * penalty)


def test_bleu_by_hand() -> None:
    """Matches 4/5, 2/4, 1/3 and none of 2, smoothed to 1/2 of 1/2; the reference of five words is the closest in length."""
    metrics = text_metrics(text_outcomes(["a b c d e"], [["a b c x e", "a b c x e f g"]], lowercase=False))
    assert metrics["bleu"] == pytest.approx(100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25)


def test_case_counts_only_where_it_is_asked_to() -> None:
    lower, mixed = (text_metrics(text_outcomes(PREDICTIONS, REFERENCES, lowercase)) for lowercase in (True, False))
    assert lower["bleu"] > mixed["bleu"]
    assert lower["rouge_l"] == mixed["rouge_l"]  # rouge-score always ignores case
    assert lower["bleu"] == sacrebleu.corpus_bleu(PREDICTIONS, streams(REFERENCES), lowercase=True).score


def test_rouge_l_is_the_best_references() -> None:
    scorer = RougeScorer(["rougeL"])
    expected = [
        max(scorer.score(text, prediction)["rougeL"].fmeasure for text in group)
        for prediction, group in zip(PREDICTIONS, REFERENCES, strict=True)
    ]
    metrics = text_metrics(text_outcomes(PREDICTIONS, REFERENCES, lowercase=True))
    assert metrics["rouge_l"] == pytest.approx(100 * np.mean(expected))


def test_perfect_and_empty_predictions() -> None:
    perfect = text_metrics(text_outcomes([group[0] for group in REFERENCES], REFERENCES, lowercase=False))
    assert perfect["bleu"] == pytest.approx(100.0)
    assert perfect["rouge_l"] == pytest.approx(100.0)
    empty = text_metrics(text_outcomes(["", "", ""], REFERENCES, lowercase=False))
    assert set(empty.values()) == {0.0}


@pytest.mark.parametrize(
    ("references", "brevity"),
    [
        (["a b c d e f g h"], 1.0),  # two lines are missing: their length, 0, is nearer to 4 than 8 is, or as near
        (["a b c d e f"], math.exp(1 - 6 / 4)),
        (["a b c d e f g h", "a b c d e f g h"], 1.0),
        (["a b c d e f g h"] * 3, math.exp(1 - 8 / 4)),
        (["a b c d e f g h"] * 3 + ["a b c d"], math.exp(1 - 8 / 4)),  # the fourth is not read
    ],
)
def test_the_scripts_bleu_reads_some_references_and_an_empty_one_for_each_missing(
    references: list[str], brevity: float
) -> None:
    metrics = text_metrics(text_outcomes(["a b c d"], [references], lowercase=True, script=3))
    assert metrics["bleu_script"] == pytest.approx(100 * brevity)
    nearest = min((len(text.split()) for text in references), key=lambda length: abs(length - 4))
    assert metrics["bleu"] == pytest.approx(100 * min(1, math.exp(1 - nearest / 4)))


def test_only_benchmarks_with_such_a_script_have_its_number() -> None:
    outcomes = text_outcomes(PREDICTIONS, REFERENCES, lowercase=True)
    assert "bleu_script" not in text_metrics(outcomes) | signatures(lowercase=True, references=None)
    assert [Webnlg(variant).script for variant in ("2017", "2020")] == [3, 4]
    assert "first 3 references" in signatures(lowercase=True, references=None, script=3)["bleu_script"]


def test_a_resampled_corpus_scores_as_the_repeated_texts() -> None:
    index = np.array([2, 0, 0])
    metrics = text_metrics(resample(text_outcomes(PREDICTIONS, REFERENCES, lowercase=True), index))
    predictions, references = [PREDICTIONS[i] for i in index], [REFERENCES[i] for i in index]
    assert metrics["bleu"] == sacrebleu.corpus_bleu(predictions, streams(references), lowercase=True).score


def test_signatures_say_how_it_was_computed() -> None:
    lower = signatures(lowercase=True, references=None)
    assert lower["bleu"] == f"nrefs:var|case:lc|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert "case:mixed" in signatures(lowercase=False, references=3)["bleu"]
    assert "nrefs:3" in signatures(lowercase=False, references=3)["bleu"]
    assert lower["chrf"].startswith("chrF2|nrefs:var|case:lc|")
    assert "nw:0" in lower["chrf"], "no word n-grams: chrF2, not chrF2++"
    assert lower["nist"] == "refs:merged counts, mean length|n:5|case:lc|tok:13a"
    assert set(lower) == {"bleu", "chrf", "rouge_l", "nist"}
