"""What a whole board says about its methods: ranks with intervals, aggregates over tasks, tests, and what stays open."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill

import numpy as np
from tabulate import tabulate

from benchmark.report.escape import clean, for_markdown
from benchmark.report.grid import Grid, grid_of
from benchmark.report.statistics.intervals import Interval
from benchmark.report.statistics.multiple import critical_difference, friedman, holm, inseparable, wilcoxon
from benchmark.report.statistics.profiles import (
    interquartile_mean,
    probability_of_improvement,
    relative,
    stratified_interval,
)
from benchmark.report.statistics.ranks import RankIntervals, rank_intervals
from benchmark.report.statistics.seeds import cautions, minimum_detectable_difference, paired_sd, smallest_p
from benchmark.report.table import Table

LEVEL = 0.05
FEW = 2
"""Methods below which nothing is compared."""


@dataclass(frozen=True)
class Pair:
    """Two methods over all cells: median difference, Wilcoxon's p after Holm (nan where the family cannot reach the level,
    whatever the scores), and how often a run of the first wins."""

    first: str
    second: str
    median: float
    p_adjusted: float
    improvement: float


@dataclass(frozen=True)
class Summary:
    """Statistics of one grid. Arrays are [methods] in the grid's order; percentages are of the way from floor to dense model."""

    grid: Grid
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
    """Per cell of the grid: the smallest true difference of two rows that these paired seeds would find with power 0.8."""
    open_questions: tuple[str, ...]


def summarize(table: Table, seed: int = 0, resamples: int = 2000) -> Summary | None:
    """The statistics of a table in the default layout; None with fewer than two methods or no complete column."""
    grid = grid_of(table)
    methods, cells, seeds = grid.scores.shape
    if methods < FEW or cells < 1:
        return None
    rng = np.random.default_rng(seed)
    means = grid.scores.mean(axis=2)
    is_relative = bool(np.all(grid.dense > grid.floor))
    runs = [_runs(grid, m, is_relative) for m in range(methods)]
    tested = methods > 2 and cells > 1
    ranks = rank_intervals(grid.scores, rng, resamples)
    gap = critical_difference(methods, cells) if tested else float("nan")
    return Summary(
        grid=grid,
        ranks=ranks,
        middle=tuple(interquartile_mean(found) for found in runs),
        middle_interval=tuple(
            stratified_interval(interquartile_mean, found, rng=rng, resamples=min(resamples, 500)) for found in runs
        ),
        is_relative=is_relative,
        pairs=_pairs(grid, runs),
        friedman_p=friedman(means).p if tested else float("nan"),
        critical_difference=gap,
        groups=tuple(inseparable(ranks.mean_rank, gap)) if tested else (),
        detectable=tuple(
            minimum_detectable_difference(paired_sd(grid.scores[:, c]), seeds, paired=True) for c in range(cells)
        ),
        open_questions=tuple(_open(grid, is_relative)),
    )


def summary_text(summary: Summary, markdown: bool = False, width: int | None = None) -> str:
    """The summary as two tables and a list, whose lines are broken at `width` characters; names cleaned or escaped."""
    safe = for_markdown if markdown else clean
    style = "pipe" if markdown else "simple"
    tables = [
        tabulate([[safe(word) for word in row] for row in rows], head, style, disable_numparse=True)
        for head, rows in (method_rows(summary), pair_rows(summary))
    ]
    remarks = [f"- {safe(line)}" for line in remarks_of(summary)]
    if width:
        remarks = [fill(line, max(20, width), subsequent_indent="  ") for line in remarks]
    return "\n\n".join([*tables, "\n".join(remarks)]) + "\n"


def method_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows, best mean rank first."""
    order = np.argsort(summary.ranks.mean_rank, kind="stable")
    rows = [[_word(summary, summary.grid.methods[m]), *_method(summary, int(m))] for m in order]
    return ["Method", "Mean rank [95 %]", "Place", "IQM [95 %]"], rows


def pair_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows of all pairs; without p where their family could not reach the level."""
    tested = reachable(summary)
    rows = [
        [
            *(_word(summary, pair.first), _word(summary, pair.second), f"{round(pair.median, 2) + 0.0:+.2f}"),
            *([f"{pair.p_adjusted:.3g}"] if tested else []),
            f"{pair.improvement:.2f}",
        ]
        for pair in summary.pairs
    ]
    p = [f"p (Wilcoxon, Holm over {len(rows)})"] if tested else []
    return ["First", "Second", "Median difference", *p, "P(first wins)"], rows


def _word(summary: Summary, name: str) -> str:
    """What a method or a cell is called in print."""
    return summary.grid.words.get(name, name)


def reachable(summary: Summary) -> bool:
    """Whether Wilcoxon's test over these cells, corrected over all pairs, can go below LEVEL at all."""
    return smallest_family_p(summary) < LEVEL


def smallest_family_p(summary: Summary) -> float:
    """The smallest p that one of all pairs can have after Holm."""
    return min(1.0, smallest_p(len(summary.grid.cells)) * len(summary.pairs))


def _method(summary: Summary, m: int) -> list[str]:
    ranks = summary.ranks
    first, last = int(ranks.place_low[m]), int(ranks.place_high[m])
    middle = summary.middle_interval[m]
    return [
        f"{ranks.mean_rank[m]:.2f} [{ranks.low[m]:.2f}, {ranks.high[m]:.2f}]",
        f"{first}" if first == last else f"{first} to {last}",
        f"{summary.middle[m]:.1f} [{middle.low:.1f}, {middle.high:.1f}]",
    ]


def remarks_of(summary: Summary) -> list[str]:
    """What the tests say and what stays open, a sentence each."""
    grid = summary.grid
    seeds = "1 seed" if grid.seeds == 1 else f"{grid.seeds} seeds"
    cells = [_word(summary, name) for name in grid.cells]
    way = ", in percent of the way from the floor to the dense model" if summary.is_relative else ""
    lines = [
        f"{len(cells)} {'cells' if len(cells) > 1 else 'cell'} (task x sparsity), {seeds} each: {', '.join(cells)}.",
        f"IQM: the mean of the middle half of all runs{way}.",
    ]
    if np.isfinite(summary.friedman_p):
        lines.append(
            f"Friedman p = {summary.friedman_p:.3g}; mean ranks closer than {summary.critical_difference:.2f} "
            f"are not separable (Nemenyi, {LEVEL:g}, all {len(summary.pairs)} pairs of {len(grid.methods)} methods)."
        )
        groups = ["{" + ", ".join(_word(summary, grid.methods[m]) for m in group) + "}" for group in summary.groups]
        lines.append(f"Not separable by rank: {'; '.join(groups) or 'none'}.")
    lines.append(_pairs_say(summary))
    if any(grid.nats):
        lines.append("Perplexity counts as its logarithm, the mean negative log-likelihood of a token in nats.")
    found = [
        f"{gap:.2g} nats on {name}" if nats else f"{gap:.1f} on {name}"
        for name, gap, nats in zip(cells, summary.detectable, grid.nats, strict=True)
        if np.isfinite(gap)
    ]
    points = "" if all(grid.nats) else ", in points"
    if found:
        lines.append(
            f"Smallest true difference of two rows{points}, that {grid.seeds} paired seeds would find with power 0.8 "
            f"(two-sided t at {LEVEL:g}, one comparison alone): {', '.join(found)}."
        )
    return [*lines, *summary.open_questions]


def _pairs_say(summary: Summary) -> str:
    family = f"Wilcoxon over {len(summary.grid.cells)} cells, Holm over a family of {len(summary.pairs)} pairs"
    if not reachable(summary):
        return f"{family}: p cannot go below {smallest_family_p(summary):.3g}, so none is printed and no pair is separable by it."
    found = [
        f"{_word(summary, pair.first)} and {_word(summary, pair.second)}"
        for pair in summary.pairs
        if pair.p_adjusted < LEVEL
    ]
    return f"{family}: separable at {LEVEL:g}: {'; '.join(found) or 'no pair'}."


def _open(grid: Grid, is_relative: bool) -> list[str]:
    lines = cautions(grid.seeds, len(grid.cells))

    def said(name: str) -> str:
        return grid.words.get(name, name)

    if not is_relative:
        lines.append(
            "A dense score is missing or not above its floor: scores are pooled as they are, over unlike metrics."
        )
    if grid.left_out:
        lines.append(f"Left out for being incomplete or not ranked: {', '.join(map(said, grid.left_out))}.")
    if len(set(grid.tasks)) < len(grid.cells):
        lines.append("Sparsities of one task are not independent cells: p values over cells are somewhat too small.")
    return lines


def _runs(grid: Grid, m: int, is_relative: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    scores = grid.scores[m].T
    return relative(scores, grid.dense, grid.floor) if is_relative else scores


def _pairs(grid: Grid, runs: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> tuple[Pair, ...]:
    means = grid.scores.mean(axis=2)
    both = list(combinations(range(len(grid.methods)), 2))
    tests = [wilcoxon(means[a], means[b]) for a, b in both]
    few = smallest_p(means.shape[1]) * len(both) >= LEVEL
    adjusted = np.full(len(both), np.nan) if few else holm([test.p for test in tests])
    return tuple(
        Pair(grid.methods[a], grid.methods[b], test.median, float(p), probability_of_improvement(runs[a], runs[b]))
        for (a, b), test, p in zip(both, tests, adjusted, strict=True)
    )
