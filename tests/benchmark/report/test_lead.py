"""The sentence on top of a board: what it says for each way in which tests can end."""

from collections.abc import Mapping

import pytest

from benchmark.report.page.lead import lead
from benchmark.report.page.model import PageBoard
from benchmark.report.significance import Comparison
from benchmark.report.statistics.paired import Difference
from benchmark.report.summary import summarize
from benchmark.report.table import Table
from tests.benchmark.report.factory import make_board

A, B, C, D = range(4)
"""Columns: RTE at 50 and 80 %, SQuAD at 50 and 80 %."""


@pytest.fixture(scope="module")
def table() -> Table:
    specs, records = make_board()
    return PageBoard("Board", records, specs).table()


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
            gap = Difference(-10.0 + i, -11.0 + i, -9.0 + i, p)
            found.append(Comparison((i, j), name, "principled", "", 100, gap, p, 4 * len(columns), 4000))
    return found


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        ({}, "PINS, Movement, Magnitude and Random cannot be told apart: none is found worse than another."),
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
    gap = Difference(-1.0, -2.0, -0.5, 0.01)
    found.append(Comparison((i, B), "principled", "random", "", 100, gap, 0.01, 8, 4000))
    assert lead(table, found, None)[0].startswith(
        "No method leads everywhere: each one falls behind another somewhere; "
    )


def test_without_outcomes_it_goes_by_ranks_and_says_so(table: Table) -> None:
    sentence, basis = lead(table, [], summarize(table))
    assert sentence == "PINS, Movement and Magnitude lead and cannot be told apart; Random falls behind in mean rank."
    assert "Nemenyi at 5 %" in basis


def test_without_any_test_it_claims_nothing() -> None:
    specs, records = make_board(("squad",), {"magnitude": 70.0}, (0.5,), (0,))
    table = PageBoard("Board", records, specs).table()
    assert lead(table, [], summarize(table))[0] == "Nothing is told apart here."
