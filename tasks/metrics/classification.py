"""Metrics in percent as pure functions of predictions and labels: scikit-learn's, scipy's, and the SQuAD scripts' own.

A correlation with a constant is undefined; it counts as 0 here (no association shown), as Matthews does by definition. A
model whose answer no longer depends on its input still differs from example to example in the last bits of float32: what is
then left is rounding noise, so predictions that spread over less than ROUNDING of their size, or of a tenth of the labels' standard
deviation, count as constant.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

ROUNDING = 1e-5
"""Relative spread below which numbers count as one: some 80 times float32's resolution (1.2e-7). Models that give one answer
were seen to spread over 2e-7 to 2e-6 of it, every other model over more than 5e-2."""


def accuracy(prediction: Numbers, label: Numbers) -> float:
    """Share of equal entries; 0 where there are none."""
    return 100 * float(np.mean(prediction == label)) if len(label) else 0.0


def f1(prediction: Numbers, label: Numbers) -> float:
    """F1 of class 1 among 0 and 1, 2 TP / (predicted + there); 0 where class 1 is neither predicted nor there."""
    both = int(np.sum(prediction == 1)) + int(np.sum(label == 1))
    return 100 * (2 * int(np.sum((prediction == 1) & (label == 1))) / both) if both else 0.0


def matthews_correlation(prediction: Numbers, label: Numbers) -> float:
    """Matthews' correlation coefficient; 0 for a constant predictor (whichever class it names)."""
    if len(np.unique(prediction)) < 2:
        return 0.0
    from sklearn.metrics import matthews_corrcoef

    return 100 * float(matthews_corrcoef(label, prediction))


def pearson(prediction: Numbers, label: Numbers) -> float:
    """Pearson's linear correlation; 0 where either side is constant, but for rounding."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, prediction, label)


def spearman(prediction: Numbers, label: Numbers) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; 0 where either side is constant, but for rounding."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, prediction, label)


def is_constant(prediction: Numbers, label: Numbers) -> bool:
    """Whether all predictions [n] are one number: largest minus smallest at most ROUNDING of the largest absolute value, or of a
    tenth of the labels' standard deviation where that is larger, as it is of predictions around 0. False if one is not finite."""
    found = np.asarray(prediction, dtype=np.float64)
    if not found.size:
        return True
    size = max(float(np.abs(found).max()), 0.1 * float(np.std(label, dtype=np.float64)))
    return bool(np.isfinite(size)) and float(np.ptp(found)) <= ROUNDING * size


def mean(values: Numbers) -> float:
    """Mean of outcomes that are already fractions, such as EM and F1 per question; 0 where there are none."""
    return 100 * float(np.mean(values, dtype=np.float64)) if len(values) else 0.0


def normalize_answer(text: str) -> str:
    """The SQuAD scripts' normalisation, in their order: lower case, ASCII punctuation out, articles out, single spaces."""
    lowered = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


def answer_exact(prediction: str, golds: Sequence[str]) -> float:
    """1 where the normalised prediction equals a normalised gold answer, else 0."""
    return float(normalize_answer(prediction) in {normalize_answer(gold) for gold in golds})


def answer_f1(prediction: str, golds: Sequence[str], empty_counts: bool = False) -> float:
    """The best F1 of bags of normalised tokens over the gold answers, in [0, 1].

    Where either side is empty after normalisation, v1.1's script gives 0, and v2.0's (`empty_counts`) 1 if both are.
    """
    return max(_bag_f1(prediction, gold, empty_counts) for gold in golds)


_PUNCTUATION = frozenset(string.punctuation)


def _bag_f1(prediction: str, gold: str, empty_counts: bool) -> float:
    found, wanted = normalize_answer(prediction).split(), normalize_answer(gold).split()
    if empty_counts and not (found and wanted):
        return float(found == wanted)
    common = sum((Counter(found) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _correlation(correlate: Callable[[Numbers, Numbers], Any], x: Numbers, y: Numbers) -> float:
    """In percent what a function of scipy's gives for two sides of one length [n]."""
    if len(x) < 2 or is_constant(x, y) or is_constant(y, y):
        return 0.0
    if not np.isfinite(x).all():
        return float("nan")  # of a broken model, whose run is then refused
    return 100 * float(correlate(x.astype(np.float64), y.astype(np.float64)).statistic)
