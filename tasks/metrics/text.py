"""BLEU, chrF, NIST and ROUGE-L of generated texts against any number of references, from per-example sums.

    BLEU = BP exp(1/4 sum_n log(matches_n / totals_n)), BP = min(1, exp(1 - ref_len / sys_len))       Papineni et al. 2002
    chrF2 = (1 + 4) P R / (4 P + R), P and R averaged over character 1..6-grams                        Popovic 2015
    NIST = LP sum_n info_n / count_n, info(w_1..w_n) = log2(#(w_1..w_n-1) / #(w_1..w_n)), n = 1..5     Doddington 2002
    ROUGE-L = F1 of the longest common subsequence, the best reference                                 Lin 2004

BLEU and chrF are sacrebleu's, ROUGE-L is rouge-score's (stemmer off): each corpus figure equals what the library gives for the
whole corpus, because matches and lengths are summed over examples before anything is divided. chrF is chrF2, without word
n-grams. NIST counts as the E2E challenge's script does: an n-gram matches up to the highest count that any one reference has, and
the reference length is the mean over an example's references (nltk takes the one reference that fits best, order by order, which
gives lower figures). One thing differs: an output of fewer than n words has no n-grams here, where the script subtracts them.
WebNLG's own script (multi-bleu on files of references) counts only the first references of an example, and an empty line where
it has fewer, whose length is the closest to that of a very short output. `bleu_script` is that count; `bleu` is not.
NIST's information weights come from all references given to `text_outcomes`; a resampled corpus keeps them. NIST is no percentage.
Texts are lower-cased for BLEU, chrF and NIST where a benchmark's own script does so.

METEOR is left out: nltk's needs WordNet, a download. CIDEr is left out: no maintained package computes it offline. Both
can be asked for from the `evaluate` hub (see tasks/metrics/hub.py).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base import Outcomes

BLEU_ORDERS = range(1, 5)
CHRF_ORDERS = range(1, 7)
NIST_ORDERS = range(1, 6)
SCRIPT = "script_"

Tokens = list[str]


def text_outcomes(
    predictions: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool, script: int = 0
) -> Outcomes:
    """Numbers [examples] whose sums give every metric: `bleu_match_n`, `bleu_total_n`, `sys_len`, `ref_len`,
    `chrf_hyp_n`, `chrf_ref_n`, `chrf_match_n`, `nist_info_n`, `nist_count_n`, `nist_sys_len`, `nist_ref_len`, and `rouge_l`
    in [0, 1]; with `script`, the number of references that a benchmark's own script reads, BLEU's also as `script_...`. Every
    example has at least one reference that is not empty."""
    texts = [[text for text in group if text] for group in references]
    assert all(texts), "an example without reference cannot be scored"
    return (
        _bleu_outcomes(predictions, texts, lowercase)
        | _chrf_outcomes(predictions, texts, lowercase)
        | _nist_outcomes(predictions, texts, lowercase)
        | _rouge_outcomes(predictions, texts)
        | (_script_outcomes(predictions, texts, lowercase, script) if script else {})
    )


def text_metrics(outcomes: Outcomes) -> dict[str, float]:
    """`bleu`, `chrf`, `rouge_l` in percent and `nist` of the corpus that `outcomes` sum up to; `bleu_script` where they have it."""
    found = {
        "bleu": _bleu(outcomes),
        "rouge_l": 100.0 * float(np.mean(outcomes["rouge_l"])),
        "chrf": _chrf(outcomes),
        "nist": _nist(outcomes),
    }
    script = {name.removeprefix(SCRIPT): sums for name, sums in outcomes.items() if name.startswith(SCRIPT)}
    return found | ({"bleu_script": _bleu(script)} if script else {})


def signatures(lowercase: bool, references: int | None, script: int = 0) -> dict[str, str]:
    """How each metric was computed, for the record; `references` per example, None where their number varies; `script` as in
    `text_outcomes`."""
    from importlib.metadata import version

    found = {}
    for name, metric in {"bleu": _sacrebleu(lowercase), "chrf": _sacrechrf(lowercase)}.items():
        metric.num_refs = references or -1
        found[name] = str(metric.get_signature())
    found["chrf"] = f"chrF2|{found['chrf']}"
    if script:
        found["bleu_script"] = f"{found['bleu']}|the first {script} references, empty ones for those that are missing"
    case = "lc" if lowercase else "mixed"
    return found | {
        "rouge_l": f"rouge-score|best reference|f-measure|stemmer:no|version:{version('rouge-score')}",
        "nist": f"refs:merged counts, mean length|n:5|case:{case}|tok:13a",
    }


def _sacrebleu(lowercase: bool) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    # `force`: texts that end in " ." are scored as they are; sacrebleu would only warn.
    return BLEU(lowercase=lowercase, force=True)


def _sacrechrf(lowercase: bool) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=lowercase)


def _segments(metric: Any, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[Any]:
    """sacrebleu's statistics [examples, columns] of each segment. Its public functions give only their corpus score; it sums
    these very rows to get there, which the tests hold it to."""
    streams = [
        [group[at] if at < len(group) else None for group in references]
        for at in range(max(len(group) for group in references))
    ]
    return np.array(metric._extract_corpus_statistics(predictions, streams), dtype=np.int64)


def _bleu_outcomes(predictions: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool) -> Outcomes:
    table = _segments(_sacrebleu(lowercase), predictions, references)
    names = ["sys_len", "ref_len", *(f"bleu_match_{n}" for n in BLEU_ORDERS), *(f"bleu_total_{n}" for n in BLEU_ORDERS)]
    return dict(zip(names, table.T, strict=True))


def _script_outcomes(
    predictions: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool, count: int
) -> Outcomes:
    read = [[*group[:count], *[""] * (count - len(group))] for group in references]
    return {f"{SCRIPT}{name}": column for name, column in _bleu_outcomes(predictions, read, lowercase).items()}


def _bleu(outcomes: Outcomes) -> float:
    from sacrebleu.metrics.bleu import BLEU

    score = BLEU.compute_bleu(
        correct=[_total(outcomes, f"bleu_match_{n}") for n in BLEU_ORDERS],
        total=[_total(outcomes, f"bleu_total_{n}") for n in BLEU_ORDERS],
        sys_len=_total(outcomes, "sys_len"),
        ref_len=_total(outcomes, "ref_len"),
        smooth_method="exp",
    )
    return float(score.score)


def _chrf_outcomes(predictions: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool) -> Outcomes:
    table = _segments(_sacrechrf(lowercase), predictions, references)
    names = [f"chrf_{part}_{n}" for n in CHRF_ORDERS for part in ("hyp", "ref", "match")]
    return dict(zip(names, table.T, strict=True))


def _chrf(outcomes: Outcomes) -> float:
    sums = [_total(outcomes, f"chrf_{part}_{n}") for n in CHRF_ORDERS for part in ("hyp", "ref", "match")]
    return float(_sacrechrf(False)._compute_f_score(sums))


def _rouge_outcomes(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Outcomes:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    best = [
        max(scorer.score(text, prediction)["rougeL"].fmeasure for text in group)
        for prediction, group in zip(predictions, references, strict=True)
    ]
    return {"rouge_l": np.array(best, dtype=np.float64)}


def _nist_outcomes(predictions: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool) -> Outcomes:
    """Per example and order, the information of matched n-grams, clipped at the highest count in any one reference."""
    split = _tokenizer(lowercase)
    counted = [[_ngram_counts(split(text)) for text in group] for group in references]
    info = _information(counted)
    names = [f"nist_{part}_{n}" for part in ("info", "count") for n in NIST_ORDERS]
    table = {name: np.zeros(len(predictions)) for name in [*names, "nist_sys_len", "nist_ref_len"]}
    for row, (prediction, group) in enumerate(zip(predictions, counted, strict=True)):
        found = _ngram_counts(split(prediction))
        for n in NIST_ORDERS:
            merged: Counter[tuple[str, ...]] = Counter()
            for reference in group:
                merged |= reference[n]
            table[f"nist_info_{n}"][row] = sum(info[ngram] * count for ngram, count in (found[n] & merged).items())
            table[f"nist_count_{n}"][row] = found[n].total()
        table["nist_sys_len"][row] = found[1].total()
        table["nist_ref_len"][row] = np.mean([reference[1].total() for reference in group])
    return table


def _nist(outcomes: Outcomes) -> float:
    from nltk.translate.nist_score import nist_length_penalty

    counts = [_total(outcomes, f"nist_count_{n}") for n in NIST_ORDERS]
    infos = [float(outcomes[f"nist_info_{n}"].sum()) for n in NIST_ORDERS]
    precision = sum(info / count for info, count in zip(infos, counts, strict=True) if count)
    penalty = nist_length_penalty(float(outcomes["nist_ref_len"].sum()), float(outcomes["nist_sys_len"].sum()))
    return float(precision * penalty)


def _tokenizer(lowercase: bool) -> Any:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    return lambda text: tokenize(text.lower() if lowercase else text).split()


def _ngram_counts(tokens: Tokens) -> dict[int, Counter[tuple[str, ...]]]:
    return {n: Counter(zip(*(tokens[at:] for at in range(n)), strict=False)) for n in NIST_ORDERS}


def _information(counted: Sequence[Sequence[dict[int, Counter[tuple[str, ...]]]]]) -> dict[tuple[str, ...], float]:
    """Information in bits of every n-gram of the references: how much its last word tells, given those before it."""
    totals: Counter[tuple[str, ...]] = Counter()
    for group in counted:
        for counts in group:
            for n in NIST_ORDERS:
                totals.update(counts[n])
    words = sum(count for ngram, count in totals.items() if len(ngram) == 1)
    return {
        ngram: float(np.log2((totals[ngram[:-1]] if len(ngram) > 1 else words) / count))
        for ngram, count in totals.items()
    }


def _total(outcomes: Outcomes, name: str) -> int:
    return int(outcomes[name].sum())
