"""What a whole board says about its methods: ranks with intervals, aggregates over tasks, tests, and what stays open."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill

import numpy as np
from tabulate import tabulate

from benchmark.report.escape import clean
from benchmark.report.names import listed
from benchmark.report.numbers import count_of
from benchmark.report.scores import Scores, scores_of
from benchmark.report.statistics.aggregates import (
    RankIntervals,
    interquartile_mean,
    probability_of_improvement,
    rank_intervals,
    relative,
    stratified_interval,
)
from benchmark.report.statistics.intervals import Floats, Interval
from benchmark.report.statistics.multiple import (
    LEVEL,
    critical_difference,
    friedman,
    holm,
    inseparable,
    smallest_friedman_p,
    wilcoxon,
)
from benchmark.report.statistics.seeds import cautions, minimum_detectable_difference, paired_sd, smallest_p
from benchmark.report.table import Table


@dataclass(frozen=True)
class Pair:
    """Two methods over all cells.

    `median` is the median difference in points (in nats for perplexity; where cells have both, in percent of the way from the floor to
    dense). `p_adjusted` is Wilcoxon's p after Holm; `improvement` is how often a run of the first beats one of the second.
    """

    first: str
    second: str
    median: float
    p_adjusted: float
    improvement: float


@dataclass(frozen=True)
class Summary:
    """Statistics of a table's scores. Arrays are [methods] in their order; percentages are of the way from floor to dense model."""

    scores: Scores
    ranks: RankIntervals
    middle: tuple[float, ...]
    """Interquartile mean in percent of the way from the floor to dense (of the raw score where a dense score is missing)."""
    middle_interval: tuple[Interval, ...]
    is_relative: bool
    pairs: tuple[Pair, ...]
    friedman_p: float
    critical_difference: float
    groups: tuple[tuple[int, ...], ...]
    """Methods that Nemenyi's test does not separate."""
    detectable: tuple[float, ...]
    """Per cell: the smallest true difference of two rows that these paired seeds would find with power 0.8."""
    open_questions: tuple[str, ...]

    @property
    def ranks_can_tell(self) -> bool:
        """Whether so many cells can show, by Friedman's test and then Nemenyi's, that two methods differ in rank at all."""
        return self.friedman_can_tell and self.critical_difference < len(self.scores.methods) - 1

    @property
    def friedman_can_tell(self) -> bool:
        """Whether Friedman's test over so many cells can go below LEVEL at all."""
        return smallest_friedman_p(len(self.scores.methods), len(self.scores.cells)) < LEVEL

    @property
    def smallest_pair_p(self) -> float:
        """The smallest p that Wilcoxon's test over so many cells can give a pair, after Holm."""
        return min(1.0, smallest_p(len(self.scores.cells)) * len(self.pairs))

    @property
    def pairs_can_tell(self) -> bool:
        """Whether a pair can reach LEVEL by it; if not, no p of a pair is printed."""
        return self.smallest_pair_p < LEVEL


def summarize(table: Table, resamples: int = 2000) -> Summary | None:
    """The statistics of a table in the default layout, the same each time; None with fewer than two methods or no complete column."""
    scores = scores_of(table)
    methods, cells, seeds = scores.values.shape
    if methods < 2 or cells < 1:
        return None
    rng = np.random.default_rng(0)
    means = scores.values.mean(axis=2)
    is_relative = bool(np.all(scores.dense > scores.floor))
    runs = [relative(found.T, scores.dense, scores.floor) if is_relative else found.T for found in scores.values]
    tested = methods > 2 and cells > 1
    ranks = rank_intervals(scores.values, rng, resamples)
    gap = critical_difference(methods, cells) if tested else float("nan")
    return Summary(
        scores=scores,
        ranks=ranks,
        middle=tuple(interquartile_mean(found) for found in runs),
        middle_interval=tuple(
            stratified_interval(interquartile_mean, found, rng=rng, resamples=min(resamples, 500)) for found in runs
        ),
        is_relative=is_relative,
        pairs=_pairs(scores, runs),
        friedman_p=friedman(means) if tested else float("nan"),
        critical_difference=gap,
        groups=tuple(inseparable(ranks.mean_rank, gap)) if tested else (),
        detectable=tuple(minimum_detectable_difference(paired_sd(scores.values[:, c]), seeds) for c in range(cells)),
        open_questions=tuple(_open(scores, is_relative)),
    )


def summary_text(summary: Summary, width: int | None = None) -> str:
    """The summary as two tables and a list, whose lines are broken at `width` characters."""
    tables = [
        tabulate([[clean(word) for word in row] for row in rows], head, disable_numparse=True)
        for head, rows in (method_rows(summary), pair_rows(summary))
    ]
    remarks = [f"- {clean(line)}" for line in remarks_of(summary)]
    if width:
        remarks = [fill(line, max(20, width), subsequent_indent="  ") for line in remarks]
    return "\n\n".join([*tables, "\n".join(remarks)]) + "\n"


def method_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows, best mean rank first."""
    order = np.argsort(summary.ranks.mean_rank, kind="stable")
    rows = [[summary.scores.word(summary.scores.methods[m]), *_method(summary, int(m))] for m in order]
    return ["Method", "Mean rank [95 %]", "Place", "IQM [95 %]"], rows


def pair_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows of all pairs; without p where their family could not reach the level."""
    tested = summary.pairs_can_tell
    rows = [
        [
            *(summary.scores.word(pair.first), summary.scores.word(pair.second), f"{round(pair.median, 2) + 0.0:+.2f}"),
            *([f"{pair.p_adjusted:.3g}"] if tested else []),
            f"{pair.improvement:.2f}",
        ]
        for pair in summary.pairs
    ]
    p = [f"p (Wilcoxon, Holm over {len(rows)})"] if tested else []
    return ["First", "Second", "Median difference", *p, "P(first wins)"], rows


def _method(summary: Summary, m: int) -> list[str]:
    ranks = summary.ranks
    first, last = ranks.place_low[m], ranks.place_high[m]
    middle = summary.middle_interval[m]
    return [
        _with_bounds(ranks.mean_rank[m], ranks.low[m], ranks.high[m], 2),
        "-" if np.isnan(first) else f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}",
        _with_bounds(summary.middle[m], middle.low, middle.high, 1),
    ]


def _with_bounds(value: float, low: float, high: float, digits: int) -> str:
    """A number and its interval, if it has one; -0.0 is 0.0."""
    said = [f"{round(float(number), digits) + 0.0:.{digits}f}" for number in (value, low, high)]
    return said[0] if np.isnan(low) else f"{said[0]} [{said[1]}, {said[2]}]"


def remarks_of(summary: Summary) -> list[str]:
    """What the tests say and what stays open, a sentence each."""
    scores = summary.scores
    seeds = f"{count_of(scores.seeds, 'seed')} each" if scores.alike else "of unlike seeds"
    runs = "runs" if scores.alike else "cells' means over their seeds"
    cells = [_parts(scores.word(name)) for name in scores.cells]
    way = ", in percent of the way from the floor to the dense model" if summary.is_relative else ""
    way += ", and so are median differences, for cells have unlike units" if way and _is_mixed(scores) else ""
    lines = [
        f"{count_of(len(cells), 'cell')} (task x sparsity), {seeds}: {_columns(cells)}.",
        *["Place: where a method may stand by mean rank, 1 is best (95 %)."] * (len(cells) > 1),
        f"IQM: the mean of the middle half of all {runs}{way}.",
        f"Median difference: the first's scores minus the second's{_unit(scores)}, over the cells; positive where the first is better."
        " P(first wins): how often a run of the first beats one of the second.",
    ]
    lines += [*_ranks_say(summary), _pairs_say(summary)]
    if any(scores.nats):
        lines.append("Perplexity counts as its logarithm, the mean negative log-likelihood of a token in nats.")
    found: dict[str, list[str]] = {}
    for (task, sparsity), gap, nats in zip(cells, summary.detectable, scores.nats, strict=True):
        if np.isfinite(gap) and gap > 0:
            said = f"{gap:.2g} nats" if nats else f"{gap:.1f}"
            found.setdefault(task, []).append(f"{said} at {sparsity}" if sparsity else said)
    same = [cell for cell, gap in zip(cells, summary.detectable, strict=True) if gap == 0]
    points = "" if all(scores.nats) else ", in points"
    if found:
        lines.append(
            f"Smallest true difference of two rows{points}, that {scores.seeds} paired seeds would find with power 0.8 "
            f"(two-sided t at {LEVEL:g}, one comparison alone; the median over pairs of rows): "
            f"{'; '.join(f'{task} {listed(gaps)}' for task, gaps in found.items())}."
        )
    if same:
        lines.append(
            f"On {_columns(same)} every seed shows the same differences, so nothing can be said of what other seeds would find."
        )
    return [*lines, *summary.open_questions]


def _parts(cell: str) -> tuple[str, str]:
    """Task and sparsity of a cell that is called `SST-2 (Acc.) at 80 %`; its name alone where two would be called alike."""
    task, at, sparsity = cell.rpartition(" at ")
    return (task, sparsity) if at else (cell, "")


def _columns(cells: Sequence[tuple[str, str]]) -> str:
    """`SST-2 (Acc.) and SQuAD (F1) at 80 % and 90 %; RTE (Acc.) at 50 %`."""
    sparsities: dict[str, list[str]] = {}
    for task, sparsity in cells:
        sparsities.setdefault(task, []).append(sparsity)
    tasks: dict[str, list[str]] = {}
    for task, found in sparsities.items():
        tasks.setdefault(listed(found), []).append(task)
    return "; ".join(f"{listed(names)} at {at}" if at else listed(names) for at, names in tasks.items())


def _unit(scores: Scores) -> str:
    """The unit of a median difference, where all cells have one."""
    return "" if _is_mixed(scores) else ", in nats" if all(scores.nats) else ", in points"


def _ranks_say(summary: Summary) -> list[str]:
    """Friedman's and Nemenyi's tests, or what keeps them from telling anything apart."""
    if not np.isfinite(summary.friedman_p):
        return []
    methods, cells, gap = summary.scores.methods, len(summary.scores.cells), summary.critical_difference
    if not summary.friedman_can_tell:
        least = smallest_friedman_p(len(methods), cells)
        return [
            f"Friedman's test of {len(methods)} methods over {count_of(cells, 'cell')} cannot go below p = {least:.3g}, so none is "
            "printed and no method is separable by rank."
        ]
    friedman_says = f"Friedman p = {summary.friedman_p:.3g}; "
    family = f"Nemenyi, {LEVEL:g}, all {count_of(len(summary.pairs), 'pair')} of {len(methods)} methods"
    if not summary.ranks_can_tell:
        return [
            f"{friedman_says}two mean ranks would have to differ by {gap:.2f} ({family}) and cannot by more than "
            f"{len(methods) - 1}: no two methods are separable by rank."
        ]
    groups = ["{" + ", ".join(summary.scores.word(methods[m]) for m in group) + "}" for group in summary.groups]
    return [
        f"{friedman_says}mean ranks closer than {gap:.2f} are not separable ({family}).",
        f"Not separable by rank: {'; '.join(groups) or 'none'}.",
    ]


def _pairs_say(summary: Summary) -> str:
    cells, pairs = count_of(len(summary.scores.cells), "cell"), count_of(len(summary.pairs), "pair")
    family = f"Wilcoxon over {cells}, Holm over a family of {pairs}"
    if not summary.pairs_can_tell:
        return f"{family}: p cannot go below {summary.smallest_pair_p:.3g}, so none is printed and no pair is separable by it."
    found = [
        f"{summary.scores.word(pair.first)} and {summary.scores.word(pair.second)}"
        for pair in summary.pairs
        if pair.p_adjusted < LEVEL
    ]
    return f"{family}: separable at {LEVEL:g}: {'; '.join(found) or 'no pair'}."


def _open(scores: Scores, is_relative: bool) -> list[str]:
    lines = cautions(scores.seeds if scores.alike else None)
    if not is_relative:
        lines.append(
            "A dense score is missing or not above its floor: scores are pooled as they are, over unlike metrics."
        )
    if scores.left_out:
        lines.append(
            "Left out for being incomplete, not ranked, or without a dense score above the floor: "
            f"{', '.join(map(scores.word, scores.left_out))}."
        )
    if len(set(scores.tasks)) < len(scores.cells):
        lines.append("Sparsities of one task are not independent cells: p values over cells are somewhat too small.")
    return lines


def _is_mixed(scores: Scores) -> bool:
    """Whether some cells have scores in nats and others in points."""
    return any(scores.nats) and not all(scores.nats)


def _pairs(scores: Scores, runs: Sequence[Floats]) -> tuple[Pair, ...]:
    both = list(combinations(range(len(scores.methods)), 2))
    means = np.stack([run.mean(axis=0) for run in runs]) if _is_mixed(scores) else scores.values.mean(axis=2)
    tests = [wilcoxon(means[a], means[b]) for a, b in both]
    adjusted = holm([test.p for test in tests])
    return tuple(
        Pair(scores.methods[a], scores.methods[b], test.median, float(p), probability_of_improvement(runs[a], runs[b]))
        for (a, b), test, p in zip(both, tests, adjusted, strict=True)
    )
