"""Floors by the evaluated split, and runs that answer alike everywhere, found in their outcomes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.board.record import Record, RecordError
from benchmark.report.floors import CONSTANT, gives_one_answer, recomputed
from benchmark.report.table import build_table
from tasks.base import Outcomes, Task
from tasks.conll2003 import Conll2003
from tasks.glue import Glue
from tests.benchmark.report.factory import make_record, make_spec


def glue(name: str) -> Task:
    return Glue(name.removeprefix("glue/"))


def classes(*counts: int) -> np.ndarray[Any, Any]:
    """Labels: so many of class 0, of class 1, ..."""
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(
    ("variant", "outcomes", "floor"),
    [
        ("qnli", {"label": classes(27, 25)}, {"accuracy": 100 * 27 / 52}),
        ("sst2", {"label": classes(25, 27)}, {"accuracy": 100 * 27 / 52}),
        # 6 of 10 are 0; always 1 has precision 0.4 and recall 1: F1 = 0.8 / 1.4
        ("mrpc", {"label": classes(6, 4)}, {"accuracy": 60.0, "f1": 100 * 0.8 / 1.4}),
        ("qqp", {"label": classes(4, 6)}, {"accuracy": 60.0, "f1": 100 * 1.2 / 1.6}),
        ("cola", {"label": classes(3, 7)}, {"matthews_correlation": 0.0, "accuracy": 70.0}),
        ("stsb", {"label": np.linspace(0, 5, 7).astype(np.float32)}, {"pearson": 0.0, "spearman": 0.0}),
        (
            "mnli",
            {"label": np.array([0, 0, 1, 2, 2, 2, 1, 2]), "mismatched": np.arange(8) > 3},
            {"accuracy": 50.0, "accuracy_mm": 75.0},
        ),
        ("rte", {"label": classes(0, 5)}, {"accuracy": 100.0}),
    ],
)
def test_the_floor_is_the_best_constant_on_the_evaluated_split(
    variant: str, outcomes: Outcomes, floor: dict[str, float]
) -> None:
    predicted = outcomes | {"prediction": np.zeros_like(outcomes["label"])}
    assert Glue(variant).floor(predicted) == pytest.approx(floor)


def test_extra_columns_of_a_model_are_no_constant_answers() -> None:
    outcomes = {"label": classes(2, 3), "prediction": classes(2, 3), "extra_score": np.full(5, 99.0)}
    assert Glue("sst2").floor(outcomes) == pytest.approx({"accuracy": 60.0})


@pytest.mark.parametrize(
    "outcomes", [{"f1": np.ones(3)}, {"label": np.ones(3)}, {"label": np.ones(0), "prediction": np.ones(0)}]
)
def test_no_floor_where_outcomes_do_not_say_one(outcomes: Outcomes) -> None:
    assert Glue("sst2").floor(outcomes) == {}


def board(**predictions: np.ndarray[Any, Any]) -> tuple[list[Record], dict[str, Outcomes]]:
    """One record a row on 52 questions, 27 of class 1, with the floor of the other class as earlier versions wrote it."""
    label = classes(25, 27)
    records, outcomes = [], {}
    for name, prediction in predictions.items():
        score = 100 * float(np.mean(prediction == label))
        record = make_record(
            make_spec(name), score, floor={"accuracy": 100 * 25 / 52}, counts={"train": 9, "reported": 52}
        )
        records.append(record)
        outcomes[record.id] = {"label": label, "prediction": prediction}
    return records, outcomes


def test_constant_answers_are_flagged_by_themselves_and_floors_made_anew() -> None:
    learns = np.where(np.arange(52) < 5, 1, classes(25, 27))
    by_chance = np.arange(52) % 2  # as good as a constant, but none
    records, outcomes = board(major=np.ones(52, int), minor=np.zeros(52, int), chance=by_chance, learns=learns)
    read: list[str] = []

    def load(record: Record) -> Outcomes:
        read.append(record.spec.criterion)
        return outcomes[record.id]

    found = recomputed(records, load, glue)
    assert [record.floor["accuracy"] for record in found] == pytest.approx([100 * 27 / 52] * 4)
    assert [gives_one_answer(record) for record in found] == [True, True, False, False]
    assert "learns" not in read  # far above the floor, it need not be opened
    table = build_table(found)
    marks = {str(line.key[0]): row[0].marks for line, row in zip(table.rows, table.cells, strict=True)}
    assert marks == {"major": ("floor", "constant"), "minor": ("floor", "constant"), "chance": ("floor",), "learns": ()}
    assert CONSTANT not in " ".join(table.facts.values())
    assert [record.notes for record in records] == [[]] * 4


def test_of_classes_only_records_that_score_what_a_constant_answer_does_are_opened() -> None:
    unseen = np.full(52, 2)  # a class that no example has
    below = np.where(np.arange(52) < 28, 1 - classes(25, 27), classes(25, 27))  # no constant scores 46.2
    records, outcomes = board(major=np.ones(52, int), below=below, minor=np.zeros(52, int), unseen=unseen)
    read: list[str] = []

    def load(record: Record) -> Outcomes:
        read.append(record.spec.criterion)
        return outcomes[record.id]

    found = recomputed(records, load, glue)
    assert [gives_one_answer(record) for record in found] == [True, False, True, True]
    assert "below" not in read


@pytest.mark.parametrize(
    ("outcomes", "flagged"),
    [
        ({"label": np.linspace(0, 5, 7), "prediction": np.full(7, 2.0)}, True),  # numbers: only their outcomes can tell
        ({"label": classes(3, 4), "prediction": np.full(7, 0.3)}, True),
        ({"f1": np.full(7, 0.5)}, False),  # no answers to compare: the score is not the floor's
    ],
    ids=["numbers", "a number for a class", "shares"],
)
def test_a_score_beside_every_constant_is_looked_at_where_rounding_may_have_made_it(
    outcomes: Outcomes, flagged: bool
) -> None:
    task = "glue/stsb" if "label" in outcomes else "squad"
    records = [
        make_record(make_spec(task=task, seed=seed), metric="f1", metrics={"f1": 7.0}, floor={"f1": 8.0})
        for seed in (0, 1)
    ]
    read: list[str] = []

    def load(record: Record) -> Outcomes:
        read.append(record.id)
        return outcomes

    found = recomputed(records, load, lambda _: Glue("stsb"))
    assert [gives_one_answer(record) for record in found] == [flagged] * 2
    assert (records[1].id in read) == flagged


def test_a_correlation_of_one_answer_is_shown_as_none() -> None:
    label = np.linspace(0, 5, 40).astype(np.float32)
    noisy = np.full(40, 2.5, np.float32)
    noisy[30:] = np.nextafter(noisy[30:], np.float32(9))
    metrics = {"pearson": 7.0, "spearman": 6.6, "accuracy": 1.0}
    record = make_record(make_spec(task="glue/stsb"), metric="pearson", metrics=metrics, floor={"pearson": 0.0})
    (found,) = recomputed([record], lambda _: {"label": label, "prediction": noisy}, glue)
    assert found.metrics == {"pearson": 0.0, "spearman": 0.0, "accuracy": 1.0}
    assert gives_one_answer(found)
    assert found.id == record.id


@pytest.mark.parametrize("readable", [0, 1, 2])
def test_one_record_whose_outcomes_can_be_read_tells_the_floor_of_all(readable: int, tmp_path: Path) -> None:
    records, outcomes = board(a=classes(27, 25), b=classes(25, 27), c=classes(26, 26))

    def load(record: Record) -> Outcomes:
        if record is not records[readable]:
            raise RecordError(tmp_path, "gone")
        return outcomes[record.id]

    floors = [record.floor["accuracy"] for record in recomputed(records, load, glue)]
    assert floors == pytest.approx([100 * 27 / 52] * 3)


@pytest.mark.parametrize(("predicted", "constant"), [([0, 0, 0], True), ([0, 2, 1], False)], ids=["all O", "all wrong"])
def test_entities_that_are_all_wrong_are_no_constant_answer(predicted: list[int], constant: bool) -> None:
    spec = make_spec(task="conll2003")
    record = make_record(spec, 0.0, metric="f1", metrics={"f1": 0.0}, floor={"f1": 0.0})
    outcomes = {"correct": np.zeros(3, int), "predicted": np.array(predicted), "gold": np.ones(3, int)}
    (found,) = recomputed([record], lambda _: outcomes, lambda _: Conll2003())
    assert gives_one_answer(found) == constant


@pytest.mark.parametrize("known", [True, False], ids=["outcomes gone", "task not run here"])
def test_without_outcomes_equality_with_the_floor_tells(known: bool, tmp_path: Path) -> None:
    records, outcomes = board(minor=np.zeros(52, int), chance=np.arange(52) % 2)

    def gone(record: Record) -> Outcomes:
        raise RecordError(tmp_path, "gone")

    found = recomputed(records, gone if known else lambda r: outcomes[r.id], glue if known else lambda _: None)
    assert [record.floor for record in found] == [record.floor for record in records]
    assert [gives_one_answer(record) for record in found] == [True, False]
