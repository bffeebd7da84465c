"""Metrics of which less is better: best and second, floor, gate, tests, averages, statistics and words turn round."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from benchmark.board.record import Record
from benchmark.report.cells import Cell, Run
from benchmark.report.figures.score import score_figure
from benchmark.report.figures.series import board_of
from benchmark.report.floors import UNKNOWN, _may_be_constant
from benchmark.report.marks import bimodal, passes
from benchmark.report.numbers import number, rounded
from benchmark.report.page.board import PageBoard
from benchmark.report.page.write import page
from benchmark.report.render import render
from benchmark.report.scores import scores_of
from benchmark.report.show import unit
from benchmark.report.significance import compare, with_significance
from benchmark.report.statistics.resampling import by_sums, counted
from benchmark.report.summary import remarks_of, summarize
from benchmark.report.table import PAPER, Table, build_table
from benchmark.training.train import _is_best
from tasks.lm import Lm
from tests.benchmark.report.factory import make_record, make_spec

TASK = "lm/wikitext2"


def record(
    criterion: str, score: float, seed: int = 0, sparsity: float = 0.5, task: str = TASK, **changes: Any
) -> Record:
    """A record of perplexity; its floor is 500."""
    fields: dict[str, Any] = {
        "metric": "perplexity",
        "metrics": {},
        "lower_is_better": ["perplexity"],
        "floor": {"perplexity": 500.0},
    }
    made = make_record(make_spec(criterion, sparsity, task=task, seed=seed), score)
    values = {name: getattr(made, name) for name in made.__struct_fields__} | fields
    return Record(**(values | {"metrics": {"perplexity": score}} | changes))


def scored(scores: Mapping[str, float], dense: float = 20.0, floor: float = 500.0, **options: Any) -> Table:
    floors = {"perplexity": floor}
    records = [record("dense", dense, sparsity=0.0, floor=floors)]
    records += [record(name, score, floor=floors) for name, score in scores.items()]
    return build_table(records, [made.spec for made in records], **options)


def ranks(table: Table) -> dict[str, int]:
    return {str(line.key[0]): row[0].rank for line, row in zip(table.rows, table.cells, strict=True)}


def test_the_smallest_is_best_and_the_next_second() -> None:
    assert ranks(scored({"magnitude": 40.0, "wanda": 25.0, "random": 90.0})) == {
        "dense": 0, "magnitude": 2, "wanda": 1, "random": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"magnitude": 25.04, "wanda": 25.0, "random": 90.0}, [1, 1, 0]),  # equal as printed
        ({"magnitude": 123456.0, "wanda": 123499.0, "random": 9e9}, [1, 1, 0]),  # 1.2e5 both
        ({"magnitude": 123456.0, "wanda": 133499.0, "random": 9e9}, [1, 2, 0]),
    ],
)
def test_numbers_that_print_alike_tie(scores: dict[str, float], expected: list[int]) -> None:
    found = ranks(scored(scores, floor=1e10))
    assert [found[name] for name in scores] == expected


def test_what_is_at_the_floor_is_neither_best_nor_second() -> None:
    assert set(ranks(scored({"magnitude": 600.0, "wanda": 700.0, "random": 800.0})).values()) == {0}
    assert ranks(scored({"magnitude": 40.0, "wanda": 700.0, "random": 800.0})) == {
        "dense": 0, "magnitude": 1, "wanda": 0, "random": 0
    }  # fmt: skip


@pytest.mark.parametrize("less_is_better", [True, False])
def test_an_average_over_a_cell_that_was_never_planned_is_not_ranked(less_is_better: bool) -> None:
    """The dash of a row that one of the tasks does not have was the best of an average perplexity."""
    make = (
        record
        if less_is_better
        else lambda name, score, **options: make_record(
            make_spec(name, 0.5, task=options["task"].replace("lm/", "glue/")), 100 - score
        )
    )
    tasks = {"a": ("lm/rte", "lm/qnli"), "b": ("lm/rte", "lm/qnli"), "c": ("lm/rte",)}
    scores = {"a": 20.0, "b": 30.0, "c": 25.0}
    found = [make(name, scores[name], task=task) for name, has in tasks.items() for task in has]
    table = build_table(found, [one.spec for one in found], average=True)
    assert [row[-1].rank for row in table.cells] == [1, 0, 0]
    assert table.cells[2][-1].text == "incomplete"


def test_the_dagger_says_what_is_trivial() -> None:
    def said(*records: Record) -> list[str]:
        return [note.text for note in build_table(records).notes if note.kind == "floor"]

    at_floor, accuracy = record("wanda", 700.0), make_record(make_spec("magnitude"), 10.0)
    assert said(at_floor) == ["no better than the trivial predictor, the frequencies of the reported tokens"]
    for records in ([accuracy], [accuracy, at_floor]):
        assert said(*records) == [
            "no better than the trivial predictor, the best constant answer on the evaluated split"
        ]


def test_worse_than_the_floor_is_marked_and_better_is_not() -> None:
    table = scored({"magnitude": 499.0, "wanda": 501.0, "random": 1e12})
    marks = {str(line.key[0]): "floor" in row[0].marks for line, row in zip(table.rows, table.cells, strict=True)}
    assert marks == {"dense": False, "magnitude": False, "wanda": True, "random": True}


@pytest.mark.parametrize(("score", "gate", "counts"), [(20, 5, True), (475, 5, True), (476, 5, False), (900, 5, False)])
def test_a_task_counts_where_the_dense_model_is_far_enough_below_the_floor(
    score: float, gate: float, counts: bool
) -> None:
    """Five points of a perplexity are five hundredths of a nat."""
    assert passes(record("dense", score, sparsity=0.0), gate) == counts


def test_without_a_floor_no_bound_is_known() -> None:
    assert passes(record("dense", 900, sparsity=0.0, floor={}), 5)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((20, 498), True),  # one at the floor, one far better
        ((20, 9e6), True),  # one far worse than it
        ((600, 9e6), False),  # all worse than it: errors have no end
        ((498, 501), False),
        ((480, 520, 490), False),  # all within four hundredths of a nat
        ((470, 498), True),
        ((20, 30), False),
    ],
)
def test_runs_apart_are_told_by_the_side_of_the_floor_alone(values: tuple[float, ...], found: bool) -> None:
    runs = tuple(Run(value, (str(value),), seed) for seed, value in enumerate(values))
    assert bimodal(Cell("perplexity", runs, len(runs), floor=500.0, less_is_better=True), 5.0) == found


def mixed() -> Table:
    """Two texts and two tasks of accuracy."""
    records = []
    for name, accuracy, text in (("dense", 90.0, 20.0), ("magnitude", 80.0, 40.0), ("wanda", 84.0, 30.0)):
        sparsity = 0.0 if name == "dense" else 0.5
        records += [make_record(make_spec(name, sparsity, task=f"glue/{task}"), accuracy) for task in ("rte", "qnli")]
        records += [
            record(name, text + extra, sparsity=sparsity, task=f"lm/{task}") for extra, task in ((0, "ptb"), (8, "c4"))
        ]
    return build_table(records, [made.spec for made in records], average=True)


def test_errors_and_percentages_are_averaged_apart() -> None:
    table = mixed()
    averages = [(str(line.key[0]), j) for j, line in enumerate(table.columns) if line.average]
    assert sorted(name for name, _ in averages) == [
        "GLUE-style average of 2 tasks",
        "average perplexity of 2 tasks",
    ]
    found = {(name, row[j].mean, row[j].rank) for name, j in averages for row in table.cells if row[j].runs}
    assert {("average perplexity of 2 tasks", 34.0, 1), ("average perplexity of 2 tasks", 44.0, 0)} <= found
    assert {("GLUE-style average of 2 tasks", 84.0, 1), ("GLUE-style average of 2 tasks", 80.0, 0)} <= found
    over = {str(line.key[0]).partition(" ")[0]: line.over for line in table.columns if line.average}
    assert over == {"GLUE-style": ("glue/rte", "glue/qnli"), "average": ("lm/ptb", "lm/c4")}


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html"])
def test_a_caption_says_what_the_numbers_are(format: str) -> None:
    text = render(
        scored({"magnitude": 40.0, "wanda": 25.0}, rows=PAPER["rows"], columns=PAPER["columns"], blocks=1), format
    )
    assert "perplexity (lower is better)" in text
    assert "in percent" not in text


def test_the_unit_of_a_table() -> None:
    assert unit(scored({"magnitude": 40.0})) == "perplexity (lower is better)"
    assert unit(mixed()) == "perplexity (lower is better), all else in percent"
    accuracies = [make_record(make_spec("magnitude"), 80.0)]
    assert unit(build_table(accuracies)) == "in percent"


BLEU: dict[str, Any] = {"metric": "bleu", "metrics": {"bleu": 30.0, "ter": 60.0}, "lower_is_better": []}


@pytest.mark.parametrize(
    ("records", "metric", "words"),
    [
        ([record("magnitude", 40.0)], "headline", "each task's headline metric (perplexity, lower is better)"),
        ([record("magnitude", 0.0, task="e2e", **BLEU)], "headline", "each task's headline metric in percent"),
        ([record("magnitude", 0.0, task="e2e", **BLEU)], "bleu", "bleu in percent"),
        ([record("magnitude", 0.0, task="e2e", **BLEU)], "ter", "ter (lower is better)"),
        (
            [record("magnitude", 0.0, task="e2e", **BLEU)],
            "all",
            "all metrics in percent, but for ter (lower is better)",
        ),
        (
            [record("magnitude", 40.0), record("magnitude", 0.0, task="e2e", **BLEU)],
            "headline",
            "each task's headline metric in percent, but for perplexity (lower is better)",
        ),
        (
            [record("magnitude", 40.0, metrics={"perplexity": 40.0, "accuracy": 30.0})],
            "headline",
            "each task's headline metric (perplexity, lower is better)",
        ),
    ],
)
def test_the_facts_name_the_unit_of_what_is_shown(records: list[Record], metric: str, words: str) -> None:
    assert f"over the seeds (n - 1), {words}; missing" in build_table(records, metric=metric).facts["Cells"]


@pytest.mark.parametrize(
    ("value", "words"),
    [(7.13, "7.1"), (99999.0, "99999.0"), (123456.0, "1.2e5"), (2.7e43, "2.7e43"), (-1.5e5, "\N{MINUS SIGN}1.5e5")],
)
def test_large_numbers_are_printed_by_their_power_of_ten(value: float, words: str) -> None:
    assert number(value, 1) == words
    assert rounded(value, 1) == pytest.approx(float(words.replace("\N{MINUS SIGN}", "-")))


def test_statistics_rank_the_smallest_first() -> None:
    records = [
        record(name, score * factor, seed=seed, sparsity=0.0 if name == "dense" else 0.5, task=f"lm/{task}")
        for name, score in (("dense", 20.0), ("magnitude", 40.0), ("wanda", 25.0), ("random", 700.0))
        for task, factor in (("ptb", 1.0), ("c4", 1.1), ("wikitext2", 0.9))
        for seed in (0, 1)
    ]
    table = build_table(records, [made.spec for made in records])
    assert np.all(scores_of(table).values < 0)
    summary = summarize(table)
    assert summary is not None
    by_name = dict(zip(summary.scores.methods, summary.ranks.mean_rank, strict=True))
    assert by_name == {"magnitude": 2.0, "wanda": 1.0, "random": 3.0}
    assert summary.is_relative
    middle = dict(zip(summary.scores.methods, summary.middle, strict=True))
    # Of the way from log 500 to log 20; a factor moves floor, dense and pruned alike, but the floor is 500 in all.
    assert 77 < middle["magnitude"] < 80 < 92 < middle["wanda"] < 95
    assert middle["random"] < 0


def test_statistics_take_the_logarithm() -> None:
    seeds = {"dense": (20.0, 20.0), "magnitude": (100.0, 100.0), "wanda": (40.0, 62.5)}
    records = [
        record(name, score, seed=seed, sparsity=0.0 if name == "dense" else 0.5)
        for name, scores in seeds.items()
        for seed, score in enumerate(scores)
    ]
    table = build_table(records, [made.spec for made in records])
    scores = scores_of(table)
    assert scores.nats == (True,)
    assert scores.methods == ("magnitude", "wanda")
    assert scores.values[:, 0] == pytest.approx(-np.log(np.array([seeds["magnitude"], seeds["wanda"]])))
    assert (*scores.dense, *scores.floor) == pytest.approx((-np.log(20), -np.log(500)))
    summary = summarize(table)
    assert summary is not None
    assert summary.middle == pytest.approx(
        (50.0, 100 * np.log(10) / np.log(25))
    )  # 100 is the geometric middle of 20 and 500
    assert summary.pairs[0].median == pytest.approx(-np.log(2))  # 50 is that of 40 and 62.5
    said = remarks_of(summary)
    assert any("logarithm" in line for line in said)
    assert not any("in points" in line for line in said)
    assert any(" nats at 50 %" in line for line in said)


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("perplexity", (np.e, np.e**2, np.e**3), (np.exp(2 - 4.302653 / 3**0.5), np.exp(2 + 4.302653 / 3**0.5))),
        ("ter", (1.0, 2.0, 3.0), (2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)),
        ("accuracy", (1.0, 2.0, 3.0), (2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)),
        ("perplexity", (7.0,), (np.nan, np.nan)),
    ],
)
def test_the_interval_over_seeds_is_that_of_the_logarithm(
    metric: str, values: tuple[float, ...], ends: tuple[float, float]
) -> None:
    runs = tuple(Run(value, (str(value),), seed) for seed, value in enumerate(values))
    assert tuple(Cell(metric, runs, 3, less_is_better=True).interval) == pytest.approx(ends, rel=1e-5, nan_ok=True)


def test_a_table_prints_the_interval_around_its_mean() -> None:
    records = [record("magnitude", score, seed=seed) for seed, score in enumerate((20.0, 25.0, 31.25))]
    text = render(build_table(records, [made.spec for made in records], spread="interval"), "text")
    low, high = np.exp(np.log(25) + np.array([-1, 1]) * 4.302653 * np.log(1.25) / 3**0.5)
    assert f"25.4 [{low:.1f}, {high:.1f}]" in text


def outcomes(mean: float, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    noise = np.random.default_rng(seed).normal(0, 0.05, 60) + np.random.default_rng(9).normal(0, 1, 60)
    tokens = np.full(60, 127)
    return {"nll": (np.log(mean) + 0.1 * noise) * tokens, "tokens": tokens}


def _aggregate(_: str) -> Any:
    return Lm().aggregate


@pytest.mark.parametrize(("against", "expected"), [("best", "tied"), ("magnitude", "above")])
def test_paired_tests_take_the_smallest_for_the_best(against: str, expected: str) -> None:
    kept = {"magnitude": outcomes(40.0, 1), "wanda": outcomes(25.0, 2), "random": outcomes(25.01, 3)}
    scores = {name: Lm().aggregate(found)["perplexity"] for name, found in kept.items()}
    records = [record(name, score) for name, score in scores.items()]
    table = build_table(records, [made.spec for made in records])
    found = compare(table, records, lambda made: kept[made.spec.criterion], _aggregate, against=against, resamples=500)
    marked = with_significance(table, found, against)
    marks = {str(line.key[0]): row[0].marks for line, row in zip(marked.rows, marked.cells, strict=True)}
    if against == "best":
        assert {one.reference for one in found} == {min(scores, key=lambda name: scores[name])}
        assert "tied" not in marks["magnitude"]
        assert expected in {*marks["wanda"], *marks["random"]}
    else:
        assert (expected,) == marks["wanda"] == marks["random"]


def test_paired_differences_are_of_the_mean_loss_of_a_token() -> None:
    kept = {
        ("magnitude", 0): outcomes(40.0, 1),
        ("magnitude", 1): outcomes(4000.0, 2),
        ("wanda", 0): outcomes(500.0, 3),
    }
    kept["wanda", 1] = outcomes(500.0, 4)
    losses = {key: found["nll"].sum() / found["tokens"].sum() for key, found in kept.items()}
    records = [record(name, float(np.exp(loss)), seed=seed) for (name, seed), loss in losses.items()]
    table = build_table(records, [made.spec for made in records])
    found = compare(
        table,
        records,
        lambda made: kept[made.spec.criterion, made.spec.seed],
        _aggregate,
        against="wanda",
        resamples=500,
    )
    ours, theirs = (np.mean([losses[name, seed] for seed in (0, 1)]) for name in ("magnitude", "wanda"))
    assert found[0].difference == pytest.approx(ours - theirs)
    best = compare(table, records, lambda made: kept[made.spec.criterion, made.spec.seed], _aggregate, resamples=500)
    # The mean of 40 and 4000 is above 500, that of their logarithms below log 500.
    assert {one.reference for one in best} == {"magnitude"}
    marked = {line.key[0]: row[0] for line, row in zip(table.rows, with_significance(table, best).cells, strict=True)}
    assert "tied" in marked["magnitude"].marks


def test_perplexity_of_many_samples_at_once_is_that_of_each() -> None:
    found = outcomes(30.0, 0)
    sums = by_sums(found, lambda kept: Lm().aggregate(dict(kept))["perplexity"], "perplexity")
    assert sums is not None
    index = np.random.default_rng(1).integers(0, 60, (5, 60))
    each = [Lm().aggregate({name: values[row] for name, values in found.items()})["perplexity"] for row in index]
    assert np.allclose(sums.finish(counted(index, 60) @ sums.columns), each)


@pytest.mark.parametrize(("score", "near"), [(20.0, False), (474.0, False), (476.0, True), (1e9, True)])
def test_outcomes_are_looked_at_near_the_floor_and_beyond(score: float, near: bool) -> None:
    assert _may_be_constant(record("magnitude", score), UNKNOWN) == near
    assert not _may_be_constant(record("magnitude", score, floor={}), UNKNOWN)


@pytest.mark.parametrize("scores", [(40.0, 25.0), (400000.0, 25.0), (3e10, 25.0)])
def test_a_figure_of_wide_errors_is_logarithmic_and_its_axis_points_down(scores: tuple[float, ...]) -> None:
    records = [
        record("dense", 20.0, sparsity=0.0),
        *(record(n, s) for n, s in zip(("magnitude", "wanda"), scores, strict=True)),
    ]
    axis = score_figure(board_of(records, [made.spec for made in records])).axes[0]
    assert axis.get_yscale() == "log"  # the floor, 500, is shown in all
    assert axis.get_ylabel() == "Ppl. \N{DOWNWARDS ARROW}"
    low, high = axis.get_ylim()
    assert low < 20.0 < max(*scores, 500.0) < high
    axis.figure.canvas.draw()
    said = {text.get_text() for text in axis.get_yticklabels() if low < text.get_position()[1] < high}
    assert 3 <= len(said) <= 15, said
    assert any("e" in word for word in said) == (high > 1e9)


def test_the_page_sorts_errors_from_the_smallest() -> None:
    records = [record("dense", 20.0, sparsity=0.0), record("magnitude", 40.0), record("wanda", 25.0)]
    text = page([PageBoard(title="t", records=records, specs=[made.spec for made in records])])
    assert "Score: perplexity (lower is better), mean" in text
    assert text.count(" data-less ") == 1
    other = [make_record(make_spec("magnitude"), 80.0)]
    assert " data-less " not in page([PageBoard(title="t", records=other, specs=[made.spec for made in other])])


class _Reached:
    reached = True


class _Scored:
    """As much of a run as selection looks at."""

    def __init__(self, less: bool, best: float | None) -> None:
        self.spec = make_spec(selection="heldout", heldout=0.1)
        self.pruner = _Reached()
        self.prepared = type("P", (), {"metric": "m", "lower_is_better": frozenset({"m"} if less else ())})()
        self.best: tuple[float, int, dict[str, Any]] | None = None if best is None else (best, 1, {})


@pytest.mark.parametrize(
    ("less", "best", "score", "taken"),
    [
        (True, 20.0, 19.0, True), (True, 20.0, 20.0, True), (True, 20.0, 21.0, False), (True, None, 99.0, True),
        (False, 20.0, 19.0, False), (False, 20.0, 20.0, True), (False, 20.0, 21.0, True), (False, None, 1.0, True),
    ],
)  # fmt: skip
def test_selection_keeps_the_better_weights(less: bool, best: float | None, score: float, taken: bool) -> None:
    run: Any = _Scored(less, best)
    assert _is_best(run, score) == taken
