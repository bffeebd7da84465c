"""What is kept of a measurement: round trip, replacement of a section, verdicts, tables."""

import pytest

from benchmark.bench.result import Costs, Recipe, Section, Target, markdown, read, section_text
from benchmark.bench.timing import added, interval
from benchmark.errors import PrunebenchError

RECIPE = Recipe(
    command="prunebench bench step", repetitions="3 rounds", seconds=2, machine={"torch": "2.13", "threads": "2"}
)


def section(name: str = "step", measured: float | None = 1.5) -> Section:
    target = Target(name="a", measured=measured, bound=1.02, kind="at most", why="no such device")
    return Section(
        name=name, title="Title", columns=["what", "ms"], rows=[["dense", "1.0"]], targets=[target],
        notes=["A note."], raw={"dense seconds": [0.1, 0.2]}, recipe=RECIPE,
    )  # fmt: skip


def test_json_round_trip() -> None:
    costs = Costs(device="A CPU", sections=[section()])
    assert read(costs.model_dump_json(), "x") == costs


def test_a_file_of_something_else_is_named() -> None:
    with pytest.raises(PrunebenchError, match=r"x\.json: not a file of measured costs"):
        read("{}", "x.json")


def test_a_section_takes_the_place_of_the_older_one() -> None:
    costs = Costs(device="A CPU", sections=[section("step"), section("cell")])
    renewed = costs.with_section(section("step", measured=1.0)).with_section(section("memory"))
    assert [s.name for s in renewed.sections] == ["step", "cell", "memory"]
    assert renewed.sections[0].targets[0].met


@pytest.mark.parametrize(
    ("measured", "kind", "met", "words"),
    [
        (1.01, "at most", True, "met"),
        (1.03, "at most", False, "NOT met"),
        (1.03, "at least", True, "met"),
        (None, "at least", None, "not measured: no GPU"),
    ],
)
def test_a_measured_number_is_judged_by_its_bound(
    measured: float | None, kind: str, met: bool | None, words: str
) -> None:
    target = Target.model_validate({"name": "a", "measured": measured, "bound": 1.02, "kind": kind, "why": "no GPU"})
    assert target.met is met
    assert target.verdict == words


def test_tables_say_what_was_missed_and_how_it_was_made() -> None:
    text, page = section_text(section()), markdown(Costs(device="A CPU", sections=[section()]))
    for words in ("dense", "1.500x", "at most 1.02x", "NOT met", "A note."):
        assert words in text
        assert words in page
    assert "Recipe: `prunebench bench step`; 3 rounds; 2 s" in page


def test_what_is_added_counts_a_dear_step_with_its_share() -> None:
    base = [1.0] * 8
    other = [1.1, 1.0, 1.0, 1.4] * 2
    other[1] = 9.0  # one disturbed step of two windows moves the median by half; of three it does not
    ratio, low, high = added(base * 2, other + [1.1, 1.0, 1.0, 1.4] * 2, 4)
    assert ratio == pytest.approx(1 + (0.1 + 0.4) / 4)
    assert low <= ratio <= high
    with pytest.raises(ValueError, match="make no window"):
        added(base, base, 9)


def test_the_interval_of_a_median() -> None:
    assert interval([3, 1, 2]) == (2, 1, 3)
    middle, low, high = interval(list(range(100)))
    assert (low, middle, high) == (40, 49.5, 59)
