"""The sentence on top of a board: what it says for each way in which tests can end."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmark.report.names import STANDARD, Names
from benchmark.report.page.board import PageBoard
from benchmark.report.page.lead import lead
from benchmark.report.significance import Comparison
from benchmark.report.summary import summarize
from benchmark.report.table import Table
from tests.benchmark.report.factory import make_board

A, B, C, D = range(4)
"""Columns: RTE at 50 and 80 %, SQuAD at 50 and 80 %."""


@pytest.fixture(scope="module")
def table() -> Table:
    specs, records = make_board()
    return PageBoard("Board", records, specs).table


def against_best(
    table: Table, behind: Mapping[str, tuple[int, ...]], columns: tuple[int, ...] = (A, B, C, D)
) -> list[Comparison]:
    """Comparisons as `compare` gives them against the best, PINS: p is 0.01 where a method is `behind`, else 0.5."""
    found = []
    for j in columns:
        for i, line in enumerate(table.rows):
            name = line.labels[0]
            if name in ("dense", "principled"):
                continue
            p = 0.01 if j in behind.get(name, ()) else 0.5
            found.append(Comparison((i, j), name, "principled", "", -10.0 + i, p, 4 * len(columns), 4000, (4, j)))
    return found


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        ({}, "Nothing can be told apart: of PINS, Movement, Magnitude and Random, none is found worse than another."),
        (
            {"random": (A, B, C, D), "magnitude": (B, D)},
            "PINS and Movement lead and cannot be told apart; Magnitude falls behind at 80 %; Random falls behind everywhere.",
        ),
        (
            {"random": (A, B, C, D), "magnitude": (A, B, C, D), "movement": (B,)},
            "PINS leads: it alone falls behind no other method anywhere; Movement falls behind at 80 % on RTE; "
            "Magnitude and Random fall behind everywhere.",
        ),
        (
            {"random": (A, B, D)},
            "PINS, Movement and Magnitude lead and cannot be told apart; Random falls behind at 50 % on RTE and at 80 %.",
        ),
    ],
)  # fmt: skip
def test_it_says_what_survives_the_correction(table: Table, behind: dict[str, tuple[int, ...]], said: str) -> None:
    sentence, basis = lead(table, against_best(table, behind), summarize(table))
    assert sentence.replace("\u00a0", " ") == said
    assert "all 16 cells" in basis
    assert "2 seeds a cell" in basis


def test_where_every_method_falls_behind_somewhere_none_leads(table: Table) -> None:
    found = against_best(table, {"random": (A,), "magnitude": (A,), "movement": (A,)}, (A,))
    i = next(i for i, line in enumerate(table.rows) if line.labels[0] == "random")
    found.append(Comparison((i, B), "principled", "random", "", -1.0, 0.01, 8, 4000, (1, B)))
    assert lead(table, found, None)[0].startswith(
        "No method leads everywhere: each one falls behind another somewhere; "
    )


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (
            {"random": (A, B)},
            "PINS leads: of the methods that were tested in every column, it alone falls behind no other",
        ),
        (
            {"random": (A,), "principled": (B,)},
            "No method leads everywhere: of the methods that were tested in every column, each",
        ),
    ],
)
def test_a_method_that_was_not_tested_everywhere_is_no_rival_there(
    table: Table, behind: dict[str, tuple[int, ...]], said: str
) -> None:
    """Movement and Magnitude are incomplete in column B; neither falls behind anything."""
    found = [one for one in against_best(table, behind, (A, B)) if one.method == "random" or one.place[1] == A]
    if "principled" in behind:
        at = next(one for one in found if one.place[1] == B)
        found[found.index(at)] = replace(at, method="principled", reference="random", p_adjusted=0.01)
    assert lead(table, found, None)[0].replace("\u00a0", " ").startswith(said)


def test_without_outcomes_it_goes_by_ranks_and_says_so(table: Table) -> None:
    sentence, basis = lead(table, [], summarize(table))
    assert sentence == "PINS, Movement and Magnitude lead and cannot be told apart; Random falls behind in mean rank."
    assert "Nemenyi at 5 %" in basis


def of(seeds: Mapping[str, tuple[int, ...]], names: Names = STANDARD) -> Table:
    """A table of RTE and SQuAD with these seeds of each."""
    specs, records = [], []
    for task, numbers in seeds.items():
        planned, done = make_board((task,), seeds=numbers)
        specs += planned
        records += done
    return PageBoard("Board", records, specs, names=names).table


EVERYWHERE = {"random": (A, B, C, D), "magnitude": (A, B, C, D), "movement": (A, B, C, D)}


@pytest.mark.parametrize("tested", [(A, B, C, D), (A,), ()])
def test_under_one_seed_no_method_is_said_to_lead_whatever_the_items_say(tested: tuple[int, ...]) -> None:
    one = of({"glue/rte": (3,), "squad": (3,)})
    sentence, basis = lead(one, against_best(one, EVERYWHERE, tested), summarize(one))
    assert sentence == "One seed: differences between methods may be noise, so none is said to lead."
    assert "these trained models alone" in basis


@pytest.mark.parametrize(
    ("seeds", "behind", "said", "columns"),
    [
        ({"glue/rte": (0, 1), "squad": (0,)}, {"random": (C, D)}, "Nothing can be told apart: of ", "2 columns"),
        ({"glue/rte": (0,), "squad": (0, 1, 2)}, {"random": (A, B)}, "Nothing can be told apart: of ", "2 columns"),
        (
            {"glue/rte": (0, 1), "squad": (0,)},
            {"random": (A, B, C, D), "magnitude": (C,)},
            "PINS, Movement and Magnitude lead and cannot be told apart; Random falls behind everywhere.",
            "2 columns",
        ),
    ],
)
def test_columns_under_one_seed_do_not_count(
    seeds: dict[str, tuple[int, ...]], behind: dict[str, tuple[int, ...]], said: str, columns: str
) -> None:
    mixed = of(seeds)
    sentence, basis = lead(mixed, against_best(mixed, behind), summarize(mixed))
    assert sentence.startswith(said)
    assert columns in basis


def test_dense_runs_under_more_seeds_do_not_make_up_for_one() -> None:
    specs, records = make_board(seeds=(0, 1))
    kept = [i for i, spec in enumerate(specs) if spec.is_dense or spec.seed == 0]
    one = PageBoard("Board", [records[i] for i in kept], [specs[i] for i in kept]).table
    assert lead(one, against_best(one, EVERYWHERE), summarize(one))[0].startswith("One seed:")


def test_without_any_outcome_or_rank_nothing_is_told_apart() -> None:
    two = of({"squad": (0, 1)})
    assert lead(two, [], None)[0] == "Nothing can be told apart here."


def test_ranks_that_separate_nothing_are_named_beside_a_lead_by_items(table: Table) -> None:
    summary = summarize(table)
    assert summary is not None
    found = against_best(table, EVERYWHERE)
    add = "tell no method apart"
    assert add not in lead(table, found, replace(summary, friedman_p=0.01, groups=((0, 1),)))[1]
    assert add in lead(table, found, replace(summary, friedman_p=0.4))[1]
    assert add in lead(table, found, replace(summary, friedman_p=0.01, groups=((0, 1, 2, 3),)))[1]
    assert lead(table, [], replace(summary, friedman_p=0.4))[0].startswith("Nothing can be told apart by rank: PINS,")
    near = replace(summary, friedman_p=0.01, critical_difference=9.0)
    assert lead(table, [], near)[0].startswith("Nothing can be told apart by rank: PINS,")


@pytest.mark.parametrize("p", [0.4, 0.01])
def test_ranks_that_could_separate_nothing_give_no_p(p: float) -> None:
    one = of({"glue/rte": (0, 1)})
    summary = summarize(one)
    assert summary is not None
    assert not summary.ranks_can_tell
    sentence, basis = lead(one, [], replace(summary, friedman_p=p))
    assert sentence.startswith("Nothing can be told apart by rank: ")
    assert basis.startswith("2 columns can separate no two methods by mean rank, whatever the scores, and")


def test_the_sentence_has_the_labels_of_the_suite() -> None:
    names = Names({"principled": "PINS (ours)", "random": "Coin"})
    called = of({"glue/rte": (0, 1), "squad": (0, 1)}, names)
    sentence = lead(called, against_best(called, {"random": (A, B, C, D)}), summarize(called))[0]
    assert sentence == (
        "PINS (ours), Movement and Magnitude lead and cannot be told apart; Coin falls behind everywhere."
    )
    assert "PINS (ours)" in lead(called, [], summarize(called))[0]


def test_the_task_of_a_board_with_one_is_not_repeated() -> None:
    alone = of({"glue/rte": (0, 1)})
    sentence = lead(alone, against_best(alone, {"random": (A, B), "magnitude": (B,)}, (A, B)), None)[0]
    assert "Magnitude falls behind at 80\u00a0%;" in sentence
    assert "RTE" not in sentence
