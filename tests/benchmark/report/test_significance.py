"""Marks of significance and the summary of a board, on scores whose answer is known."""

from typing import Any

import numpy as np
import pytest

from benchmark.board.record import Record
from benchmark.report.layout import TableError
from benchmark.report.names import Names
from benchmark.report.scores import scores_of
from benchmark.report.significance import compare, reference_row, with_significance
from benchmark.report.statistics.resampling import Outcomes
from benchmark.report.summary import summarize, summary_text
from benchmark.report.table import build_table
from tests.benchmark.report.factory import make_board, make_record, make_sparsity, make_spec

ITEMS = 200


def outcomes(record: Record) -> Outcomes:
    """As many right answers as the score says, the first ones."""
    right = np.arange(ITEMS) < round(ITEMS * record.score / 100)
    return {"correct": right}


def aggregate(task: str) -> object:
    """Accuracy under every name."""
    return lambda found: dict.fromkeys(("accuracy", "f1"), 100 * float(found["correct"].mean()))


def three(scores: dict[str, float]) -> list[Record]:
    """One record per criterion."""
    return [make_record(make_spec(name), score) for name, score in scores.items()]


def test_what_is_close_to_the_best_is_marked_and_what_is_far_is_not() -> None:
    records = three({"a": 80.0, "b": 79.5, "c": 50.0})
    table = build_table(records)
    found = compare(table, records, outcomes, aggregate, resamples=400)  # type: ignore[arg-type]
    assert [(c.method, c.reference) for c in found] == [("b", "a"), ("c", "a")]
    assert found[0].difference == pytest.approx(-0.5)
    assert found[1].p_adjusted < 0.05 < found[0].p_adjusted
    assert [c.family for c in found] == [3, 3]
    marked = with_significance(table, found)
    assert [row[0].marks for row in marked.cells] == [(), ("tied",), ("floor",)]
    assert [note.symbol for note in marked.notes] == ["†", "a"]
    assert "3 cells were tested together, whether each is worse than any other row" in marked.facts["Significance"]
    assert "400 draws, step-down max-T): 1 are, at level 0.05" in marked.facts["Significance"]


@pytest.mark.parametrize(
    ("scores", "marks"),
    [
        ({"a": (80.0, 80.0), "b": (60.0, 60.0)}, [(), ()]),  # printed as best: no mark says so again
        ({"a": (50.5, 98.0), "b": (60.0, 60.0)}, [("bimodal", "tied"), ()]),  # no mean of it is given
        ({"a": (50.0, 50.0), "b": (50.0, 50.0)}, [("floor", "tied"), ("floor", "tied")]),  # none is ranked
    ],
    ids=["best", "no mean", "floor"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_best_that_is_not_printed_as_best_is_marked(
    scores: dict[str, tuple[float, ...]], marks: list[tuple[str, ...]], turned: bool
) -> None:
    """Else it would read as one that is worse."""
    records = [
        make_record(make_spec(name, seed=seed), score, floor={"accuracy": 50.0})
        for name, found in scores.items()
        for seed, score in enumerate(found)
    ]
    sides = {"rows": ("task", "sparsity"), "columns": ("criterion", "regularizer")} if turned else {}
    table = build_table(records, **sides)  # type: ignore[arg-type]
    found = compare(table, records, outcomes, aggregate, resamples=400)  # type: ignore[arg-type]
    marked = with_significance(table, found).cells
    cells = marked[0] if turned else [row[0] for row in marked]
    kinds = ("floor", "bimodal", "tied")
    assert [tuple(kind for kind in cell.marks if kind in kinds) for cell in cells] == marks


@pytest.mark.parametrize("rows", [5, 40])
def test_a_family_of_any_size_tells_a_row_at_the_floor_from_the_best(rows: int) -> None:
    """26 rows were enough for nothing to be separable, when p was corrected by a factor."""
    records = three({f"m{i}": 77.0 for i in range(rows)} | {"random": 50.9})
    table = build_table(records)
    found = compare(table, records, outcomes, aggregate, resamples=300)  # type: ignore[arg-type]
    assert [c.method for c in found if c.p_adjusted < 0.05] == ["random"]
    assert found[-1].family == rows + 1


def test_a_family_that_cannot_reach_the_level_says_so_and_marks_nothing() -> None:
    records = three({"a": 80.0, "b": 79.5, "c": 20.0})
    table = build_table(records)
    marked = with_significance(table, compare(table, records, outcomes, aggregate, resamples=15))  # type: ignore[arg-type]
    assert not {"tied", "above", "below"} & {mark for row in marked.cells for mark in row[0].marks}
    assert "15 draws cannot go below p = 0.0625, so nothing is marked" in marked.facts["Significance"]


def test_against_a_named_row() -> None:
    records = three({"a": 80.0, "b": 65.0, "c": 50.0})
    table = build_table(records)
    found = compare(table, records, outcomes, aggregate, against="b", resamples=400)  # type: ignore[arg-type]
    marked = with_significance(table, found, against="b")
    assert [row[0].marks[-1:] for row in marked.cells] == [("above",), (), ("below",)]
    with pytest.raises(TableError, match="did you mean 'b'"):
        compare(table, records, outcomes, aggregate, against="bb")  # type: ignore[arg-type]


def test_a_number_for_the_whole_corpus_is_not_compared_over_items() -> None:
    records = three({"a": 80.0, "b": 65.0})
    with pytest.raises(TableError, match="accuracy is one number for a whole corpus"):
        compare(build_table(records), records, outcomes, lambda _: lambda _: {}, resamples=10)


def test_transposed_tables_are_compared_alike() -> None:
    specs, records = make_board()
    one = compare(build_table(records, specs), records, outcomes, aggregate, resamples=100)  # type: ignore[arg-type]
    turned = build_table(records, specs, rows=("task", "sparsity"), columns=("criterion", "regularizer"))
    other = compare(turned, records, outcomes, aggregate, resamples=100)  # type: ignore[arg-type]
    assert {(c.method, c.column, c.difference, c.p_adjusted) for c in one} == {
        (c.method, c.column, c.difference, c.p_adjusted) for c in other
    }
    assert {c.place for c in one} == {(j, i) for c in other for i, j in [c.place]}


def test_the_scores_are_of_complete_cells_only_and_names_the_rest() -> None:
    specs, records = make_board()
    gone = make_spec("random", 0.5, task="squad").id
    scores = scores_of(build_table([record for record in records if record.id != gone], specs, average=True))
    assert scores.values.shape == (4, 3, 2)
    assert scores.methods == ("random", "magnitude", "movement", "principled")
    assert scores.left_out == ("squad (f1) 0.5",)
    assert scores.dense.tolist() == [90.0, 90.0, 89.0]


def test_summary_of_a_board_with_a_clear_order() -> None:
    specs, records = make_board()
    found = summarize(build_table(records, specs), resamples=200)
    assert found is not None
    assert found.ranks.mean_rank.tolist() == [4, 3, 2, 1]
    assert found.ranks.place_low.tolist() == [4, 3, 2, 1]
    assert found.is_relative
    assert found.friedman_p < 0.01
    assert found.pairs[0].median == pytest.approx(-15.0)
    assert found.pairs[0].improvement == 0.0
    assert found.smallest_pair_p == 0.75  # 2^-3 x 6 pairs
    assert "p (" not in summary_text(found)
    assert "Holm over a family of 6 pairs: p cannot go below 0.75, so none is printed" in summary_text(found)
    assert any("2 paired seeds" in line for line in found.open_questions)
    assert summary_text(found).count("Wilcoxon") == 1


def test_summary_text_names_every_method_and_what_stays_open() -> None:
    specs, records = make_board()
    found = summarize(build_table(records, specs), resamples=50)
    assert found is not None
    text = summary_text(found)
    for part in (
        "PINS",
        "1.00 [1.00, 1.00]",
        "Friedman p",
        "not independent",
        "every seed shows the same differences",
    ):
        assert part in text


def test_the_summary_has_the_names_of_papers_and_lines_of_the_width() -> None:
    """Methods in all tables and sentences, columns as `RTE (Acc.) at 50 %`; two that would read alike keep their spelling."""
    specs, records = make_board(criteria={"principled[signed=true]": 60.0, "sensitivity": 70.0, "magnitude": 65.0})
    gone = make_spec("magnitude", 0.8, task="squad").id
    names = Names({"magnitude": "Size", "sensitivity": "Size"})
    table = build_table([record for record in records if record.id != gone], specs, names=names)
    found = summarize(table, resamples=50)
    assert found is not None
    text = summary_text(found, width=60)
    assert max(map(len, text.split("\n- ", 1)[1].splitlines())) <= 60
    flat = " ".join(text.split())
    for part in (
        "PINS (signed)",
        "2 seeds each: RTE (Acc.) at 50 % and 80 %; SQuAD (F1) at 50 %.",
        "minus the second's, in points, over the cells; positive where the first is better",
        "without a dense score above the floor: SQuAD (F1) at 80 %.",
    ):
        assert part in flat
    assert "Size" not in flat
    for spelled in ("principled", "glue/rte", "accuracy", "squad"):
        assert spelled not in flat


def test_one_method_is_not_compared() -> None:
    assert summarize(build_table(three({"a": 80.0}))) is None


def test_pairs_have_their_p_where_cells_suffice_for_it() -> None:
    specs, records = make_board(criteria={"a": 60.0, "b": 70.0}, sparsities=(0.3, 0.4, 0.5, 0.6, 0.7))
    found = summarize(build_table(records, specs), resamples=50)
    assert found is not None
    assert found.pairs[0].p_adjusted == pytest.approx(2**-9)  # ten cells, one pair
    assert "separable at 0.05: a and b." in summary_text(found)


@pytest.mark.parametrize(
    ("methods", "sparsities", "said", "can_tell"),
    [
        (3, 1, "Friedman's test of 3 methods over 2 cells cannot go below p = 0.135, so none is printed", False),
        (7, 1, "Friedman's test of 7 methods over 2 cells cannot go below p = 0.062, so none", False),
        (8, 1, "p = 0.0512, so none is printed and no method is separable by rank.", False),
        (3, 2, "mean ranks closer than 1.66 are not separable (Nemenyi, 0.05, all 3 pairs of 3 methods).", True),
        (
            9,
            1,
            "two mean ranks would have to differ by 8.49 (Nemenyi, 0.05, all 36 pairs of 9 methods) and cannot by more than 8:",
            False,
        ),
    ],
)
def test_rank_tests_say_what_they_could_reach(methods: int, sparsities: int, said: str, can_tell: bool) -> None:
    criteria = {f"m{i}": 50.0 + 3 * i for i in range(methods)}
    specs, records = make_board(criteria=criteria, sparsities=(0.5, 0.8)[:sparsities])
    found = summarize(build_table(records, specs), resamples=20)
    assert found is not None
    assert len(found.scores.cells) == 2 * sparsities
    assert found.ranks_can_tell == can_tell
    text = summary_text(found)
    assert said in text
    assert ("Not separable by rank: " in text) == can_tell
    assert ("Friedman p = " in text) == found.friedman_can_tell


def test_nothing_that_was_drawn_once_has_an_interval() -> None:
    """One cell has no places to redraw, one seed no runs; -0.0 is printed as 0.0."""
    records = [make_record(make_spec(name, 0.8), score) for name, score in {"a": 80.0, "b": 79.9, "c": 52.7}.items()]
    found = summarize(build_table([make_record(make_spec("dense", 0.0), 90.0), *records]))
    assert found is not None
    assert [line.split() for line in summary_text(found).splitlines()[2:5]] == [
        ["a", "1.00", "-", "73.2"],
        ["b", "2.00", "-", "72.9"],
        ["c", "3.00", "-", "0.0"],
    ]


def test_the_interquartile_mean_counts_from_the_floor() -> None:
    """A constant answer (52.7) is 0 percent of the way to the dense model, and not 59 percent of it."""
    specs, records = make_board(criteria={"stuck": 52.7, "half": 71.1}, sparsities=(0.5,), tasks=("glue/rte",))
    found = summarize(build_table(records, specs), resamples=50)
    assert found is not None
    assert found.scores.floor.tolist() == [52.7]
    stuck, half = found.middle
    assert stuck == pytest.approx(0, abs=1e-6)
    assert half == pytest.approx(100 * 18.4 / 37.3)


def test_differences_of_unlike_metrics_are_compared_on_one_scale() -> None:
    """Points of accuracy and nats of perplexity: each in percent of the way from its floor to its dense model."""
    perplexity: dict[str, Any] = {
        "metric": "perplexity", "metrics": {}, "lower_is_better": ["perplexity"], "floor": {"perplexity": 100.0}
    }  # fmt: skip
    records = []
    for name, sparsity, accuracy, ppl in (("dense", 0.0, 92.7, 10.0), ("a", 0.5, 82.7, 20.0), ("b", 0.5, 72.7, 40.0)):
        records.append(make_record(make_spec(name, sparsity), accuracy))
        made = make_spec(name, sparsity, task="lm/wikitext2")
        records.append(make_record(made, **perplexity | {"metrics": {"perplexity": ppl}}))
    found = summarize(build_table(records), resamples=20)
    assert found is not None
    by_accuracy, by_perplexity = 100 * 10 / 40, 100 * np.log(2) / np.log(10)
    assert found.pairs[0].median == pytest.approx((by_accuracy + by_perplexity) / 2)
    assert "and so are median differences" in summary_text(found)


def test_what_two_paired_seeds_can_detect_is_by_column() -> None:
    """Two rows that move together over the seeds differ by little noise, however far the seeds lie apart."""
    records = []
    for sparsity, other in ((0.5, (60.0, 80.0)), (0.8, (80.0, 60.0))):
        for seed in (0, 1):
            records.append(make_record(make_spec("a", sparsity, seed=seed), (62.0, 82.0)[seed]))
            records.append(make_record(make_spec("b", sparsity, seed=seed), other[seed]))
    found = summarize(build_table(records), resamples=50)
    assert found is not None
    assert found.detectable[0] == 0
    assert found.detectable[1] > 100


@pytest.mark.parametrize(
    "change",
    [
        {"sparsity": make_sparsity(0.8, off_by=-3)},
        {"sparsity": make_sparsity(0.8, exact=False, off_by=100)},
        {"data_fingerprint": "0ther" * 4},
        {"model_fingerprint": "0ther" * 4},
    ],
    ids=["missed", "outcome", "data", "model"],
)
def test_statistics_leave_out_what_the_table_does_not_rank(change: dict[str, Any]) -> None:
    """A row that is never ranked goes; a column in which one row is not ranked goes for all."""
    records = [make_record(make_spec(name, 0.8), score) for name, score in {"a": 60.0, "b": 70.0, "c": 75.0}.items()]
    records.append(make_record(make_spec("odd", 0.8), 99.0, **change))
    scores = scores_of(build_table(records))
    assert scores.methods == ("a", "b", "c")
    assert scores.left_out == ("odd",)
    assert "above the floor: odd." in summary_text(summarize(build_table(records), resamples=20))  # type: ignore[arg-type]
    records.append(make_record(make_spec("odd", 0.5), 99.0))
    records += [make_record(make_spec(name, 0.5), 80.0) for name in ("a", "b", "c")]
    scores = scores_of(build_table(records))
    assert scores.methods == ("a", "b", "c", "odd")
    assert scores.left_out == ("glue/rte (accuracy) 0.8",)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ({"a": (0, 1), "b": (0, 1)}, ["2 seeds each", "half of all runs,", "2 paired seeds: no exact"]),
        ({"a": (0,), "b": (0,)}, ["1 seed each", "half of all runs,", "One seed: no spread"]),
        ({"a": (0, 1), "b": (0,)}, ["of unlike seeds", "all cells' means over their seeds,", "Not all cells have the same"]),
        ({"a": (0, 1), "b": (2, 3)}, ["of unlike seeds", "all cells' means over their seeds,", "Not all cells have the same"]),
    ],
)  # fmt: skip
def test_a_summary_says_whether_all_rows_have_the_same_seeds(
    seeds: dict[str, tuple[int, ...]], said: list[str]
) -> None:
    """Rows of two and of four seeds were said to have one."""
    made = {"dense": (0,), **seeds}
    records = [
        make_record(make_spec(name, 0.0 if name == "dense" else 0.8, seed=seed), 70.0 + seed + 10 * (name == "dense"))
        for name, found in made.items()
        for seed in found
    ]
    text = summary_text(summarize(build_table(records), resamples=20))  # type: ignore[arg-type]
    assert [words for words in said if words not in text] == []
    assert ("1 seed" in text or "One seed" in text) == (said[0] == "1 seed each")


def untested(records: list[Record], against: str) -> str:
    """What is said of significance."""
    table = build_table(records)
    found = compare(table, records, outcomes, aggregate, against=against, resamples=50)  # type: ignore[arg-type]
    return with_significance(table, found, against).facts["Significance"]


def test_where_nothing_is_tested_it_is_said() -> None:
    rte = three({"a": 80.0, "b": 65.0})
    squad = [make_record(make_spec(name, task="squad"), 70.0) for name in ("a", "c")]
    said = untested(rte + squad, "b")
    assert said.startswith("1 cell was tested, whether it differs from b")
    assert "; nothing was tested on squad (f1) 0.8: a test takes two complete, comparable rows, b among them," in said
    assert "nothing was tested" not in untested(rte + squad, "a")
    assert untested(rte[:1], "best").startswith("nothing was tested on glue/rte (accuracy) 0.8: a test takes two")


@pytest.mark.parametrize(("items", "tested"), [(4, False), (19, False), (20, True)])
def test_few_items_are_not_tested(items: int, tested: bool) -> None:
    records = three({"a": 100.0, "b": 0.0})
    table = build_table(records)

    def few(record: Record) -> Outcomes:
        return {"correct": np.arange(items) < round(items * record.score / 100)}

    found = compare(table, records, few, aggregate, against="a", resamples=50)  # type: ignore[arg-type]
    assert bool(found) is tested
    assert ("20 test items" in with_significance(table, found, "a").facts["Significance"]) is not tested


def test_a_task_without_a_dense_score_is_left_out_and_the_others_keep_their_unit() -> None:
    specs, records = make_board()
    whole = summarize(build_table(records, specs), resamples=20)
    rest = [record for record in records if not (record.spec.is_dense and record.spec.task == "squad")]
    found = summarize(build_table(rest, specs), resamples=20)
    assert whole is not None
    assert found is not None
    assert whole.is_relative
    assert found.is_relative
    assert set(found.scores.tasks) == {"glue/rte"}
    assert found.scores.left_out == ("squad (f1) 0.5", "squad (f1) 0.8")


@pytest.mark.parametrize("order", [("self_regularization", "none"), ("none", "self_regularization")])
def test_a_row_is_compared_with_the_one_of_that_very_name(order: tuple[str, str]) -> None:
    """Not with another whose name only begins so, whichever stands first."""
    scores = {"self_regularization": 80.0, "none": 60.0}
    records = [make_record(make_spec("principled", regularizer=name), scores[name]) for name in order]
    records.append(make_record(make_spec("magnitude"), 70.0))
    for against in ("principled", "PINS"):
        found = compare(build_table(records), records, outcomes, aggregate, against=against, resamples=50)  # type: ignore[arg-type]
        assert {(c.reference, round(c.difference)) for c in found} == {("principled", 20), ("principled", 10)}


def test_the_beginning_of_a_name_names_a_row_where_no_other_begins_so() -> None:
    regularizers = ("self_regularization", "distillation")
    records = [make_record(make_spec("principled", regularizer=name), 80.0) for name in regularizers]
    one = build_table([records[0], make_record(make_spec("magnitude"), 70.0)])
    assert reference_row(one, "principled") == "principled + self_regularization"
    with pytest.raises(TableError, match=r"against: found 'principled'.*choices: best, principled \+ "):
        reference_row(build_table(records), "principled")


LABELS = Names({"a": "A (ours)", "b": "B"})


@pytest.mark.parametrize("against", ["A (ours)", "a"])
def test_a_row_is_named_by_its_label_and_called_so(against: str) -> None:
    records = three({"a": 80.0, "b": 65.0, "c": 50.0})
    table = build_table(records, names=LABELS)
    found = compare(table, records, outcomes, aggregate, against=against, resamples=400)  # type: ignore[arg-type]
    marked = with_significance(table, found, against=against)
    assert [row[0].marks[-1:] for row in marked.cells] == [(), ("below",), ("below",)]
    assert next(note.text for note in marked.notes if note.kind == "below") == "significantly worse than A (ours)"
    assert "whether each differs from A (ours)" in marked.facts["Significance"]


@pytest.mark.parametrize("against", ["sensitivity", "PLATON", "PLATON (beta2 0.95)", "sensitivity[beta2=0.95]"])
def test_a_row_is_named_by_how_it_begins(against: str) -> None:
    table = build_table([make_record(make_spec(name, 0.5), 80.0) for name in ("sensitivity[beta2=0.95]", "magnitude")])
    assert reference_row(table, against) == "sensitivity[beta2=0.95]"


@pytest.mark.parametrize("against", ["a (ours)", "A", "nobody", ""])
def test_choices_are_rows_with_their_labels_and_none_is_empty(against: str) -> None:
    specs, records = make_board()
    table = build_table(records, specs, rows=("sparsity", "method"), columns=("task",), blocks=1, average=True)
    with pytest.raises(TableError) as error:
        compare(table, records, outcomes, aggregate, against=against)  # type: ignore[arg-type]
    said = str(error.value)
    assert said.endswith(
        "choices: best, magnitude (Magnitude), movement (Movement), principled (PINS), random (Random)"
    )


@pytest.mark.parametrize("against", ["pins", "P.I.N.S"])
def test_a_slip_of_a_label_is_answered_with_the_label(against: str) -> None:
    specs, records = make_board()
    with pytest.raises(TableError, match="did you mean 'PINS'"):
        compare(build_table(records, specs), records, outcomes, aggregate, against=against)  # type: ignore[arg-type]
