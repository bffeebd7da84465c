"""`verify` compares each record with its spec and with the other records of its board: what was moved, copied or edited."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes, pack_outcomes
from benchmark.board.record import Record, outcomes_path, record_path, save_record
from benchmark.commands.verify import verify_board
from benchmark.commands.verify_others import Others
from benchmark.commands.verify_outcomes import Found
from benchmark.commands.verify_spec import spec_problems
from benchmark.suite.spec import RunSpec
from criteria.base import Criterion, State
from criteria.l0 import L0
from criteria.movement import Movement
from criteria.soft_movement import SoftMovement
from tests.benchmark.boards import TINY, finish, make_board
from tests.benchmark.report.factory import make_record, make_spec


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds, two sparsities, two criteria and the dense runs; ten cells."""
    training = TINY["training"] | {"steps": 20}
    board = make_board(tmp_path_factory.mktemp("held"), seeds=[0, 1], sparsities=[0.5, 0.6], training=training)
    finish(board)
    return board.folder


@pytest.fixture
def board(made: Path, tmp_path: Path) -> Board:
    return Board.open(Path(shutil.copytree(made, tmp_path / "board")))


def said(board: Board) -> tuple[bool, str]:
    lines: list[str] = []
    return verify_board(board, tell=lines.append), "\n".join(lines)


def give(board: Board, results_of: str, to: str) -> None:
    """Replace the results of one cell by another's, whole: all but the id and the spec."""
    (source,), (goal,) = board.cells(results_of), board.cells(to)
    folder, record = board.records_folder, board.record(goal)
    data = outcomes_path(folder, source.id).read_bytes()
    save_record(folder, replace(board.record(source), id=goal.id, spec=record.spec), data)


def swap(board: Board, one: str, other: str) -> None:
    (first,), (second,) = board.cells(one), board.cells(other)
    folder, records = board.records_folder, (board.record(first), board.record(second))
    data = [outcomes_path(folder, spec.id).read_bytes() for spec in (first, second)]
    save_record(folder, replace(records[1], id=first.id, spec=records[0].spec), data[1])
    save_record(folder, replace(records[0], id=second.id, spec=records[1].spec), data[0])


def test_a_sound_board_of_two_seeds(board: Board) -> None:
    assert said(board) == (False, "10 of 10 cells have a record: 0 wrong, 0 notes")


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("*magnitude 0.5 seed 0", "*magnitude 0.5 seed 1", "seed, budget and machine are the same and nothing was pruned"),
        ("*random 0.6 seed 0", "*random 0.6 seed 1", "seed, budget and machine are the same and nothing was pruned"),
        ("*dense seed 0", "*dense seed 1", "seed, budget and machine are the same and nothing was pruned"),
        ("*magnitude 0.5 seed 0", "*random 0.5 seed 1", "seed, budget and machine are the same and nothing was pruned"),
        ("*magnitude 0.5 seed 0", "*magnitude 0.6 seed 0", "requested sparsity 0.6, its cell asks for 0.5"),
        ("*magnitude 0.6 seed 0", "*dense seed 0", "requested sparsity 0.0, its cell asks for 0.6"),
        ("*magnitude 0.5 seed 0", "*random 0.5 seed 0", "where chance takes"),
    ],
)  # fmt: skip
def test_results_that_were_swapped_whole(board: Board, one: str, other: str, words: str) -> None:
    swap(board, one, other)
    wrong, lines = said(board)
    assert wrong
    assert words in lines


@pytest.mark.parametrize("one", ["*magnitude 0.5 seed 1", "*magnitude 0.6 seed 0", "*dense seed 1"])
def test_results_that_were_copied(board: Board, one: str) -> None:
    """Also where sparsities and losses before pruning were made to fit: no two such runs have one curve."""
    give(board, "*magnitude 0.5 seed 0" if "dense" not in one else "*dense seed 0", one)
    wrong, lines = said(board)
    assert wrong
    assert "has the training curve of glue/sst2" in lines
    assert "which no two such runs have" in lines


def test_what_has_no_effect_is_a_note(board: Board) -> None:
    """Two criteria that rank alike leave one curve, which is worth knowing."""
    give(board, "*magnitude 0.5 seed 0", "*random 0.5 seed 0")
    _, lines = said(board)
    assert "note  glue/sst2 magnitude 0.5 seed 0" in lines
    assert "so what tells them apart has no effect, or one is a copy" in lines


EDITS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("exact", lambda raw: raw["sparsity"].update(exact=False), "calls its sparsity an outcome, under magnitude it is exact"),
    ("scheduled", lambda raw: raw["sparsity"].update(scheduled=0.3), "its schedule ended at sparsity 0.3, its cell asks for 0.5"),
    ("scheduled", lambda raw: raw["sparsity"].update(scheduled=0.0), "its schedule ended at sparsity 0.0"),
    ("train", lambda raw: raw["counts"].update(train=47), r"its counts are {'train': 47"),
    ("train", lambda raw: raw["counts"].update(train=10**9), "has 1000000000 train examples, its cell takes 48 at most"),
    ("train", lambda raw: raw["counts"].update(train=0), "has 0 train and 24 reported examples"),
    ("counts", lambda raw: raw["counts"].update(test=5), "its counts are of reported, test, train; its cell has reported, train"),
    ("counts", lambda raw: raw["counts"].pop("train"), "its counts are of reported; its cell has reported, train"),
    ("splits", lambda raw: raw.update(splits={}), "its splits are of nothing; its cell has reported, train"),
    ("splits", lambda raw: raw["splits"].update(reported="elsewhere"), "its splits are"),
    ("splits", lambda raw: raw["splits"].update(heldout="10 %"), "its splits are of heldout, reported, train"),
    ("environment", lambda raw: raw.update(environment={}), "does not say with which prunebench, commit, python"),
    ("environment", lambda raw: raw["environment"].pop("torch"), "does not say with which torch it was made"),
    ("environment", lambda raw: raw["environment"].update(device=""), "does not say with which device it was made"),
    ("date", lambda raw: raw["environment"].update(date="yesterday"), "was run on the day 'yesterday', expected one such as"),
    ("date", lambda raw: raw["environment"].update(date="2026-31-12"), "was run on the day '2026-31-12'"),
    ("date", lambda raw: raw["environment"].update(date="2026-02-30"), "was run on the day '2026-02-30'"),
    ("date", lambda raw: raw["environment"].update(date="20260131"), "was run on the day '20260131'"),
    ("signatures", lambda raw: raw.update(signatures={"bleu": "x"}), "its signatures are {'bleu': 'x'}, those of"),
    ("floor", lambda raw: raw["floor"].update(accuracy=1.0), "its floor are"),
    ("teacher", lambda raw: raw.update(teacher="0" * 16), "as its teacher; 'none' trains without one"),
    ("layer", lambda raw: raw["sparsity"]["layers"][0].update(name="elsewhere"), "has other layers than"),
    ("layer", lambda raw: raw["sparsity"]["layers"].reverse(), "has other layers than"),
    ("rate", lambda raw: raw["curve"][3].update(lr=1e-6), "its learning rate is 1e-06 at step 4, that of its cell 0.000944"),
    ("sparsity", lambda raw: raw["curve"][-1].update(sparsity=0.4), "its sparsity is 0.4000 at step 20, its schedule asks for 0.5000"),
    ("sparsity", lambda raw: raw["curve"][1].update(sparsity=0.5), "its sparsity is 0.5000 at step 2, its schedule asks for 0.0000"),
    ("loss", lambda raw: raw["curve"][0].update(loss=0.5), "has the loss 0.5 up to step 1"),
]  # fmt: skip


@pytest.mark.parametrize(("edited", "change", "words"), EDITS, ids=[f"{row[0]}-{i}" for i, row in enumerate(EDITS)])
def test_edits_that_a_spec_or_the_other_records_contradict(
    board: Board, edited: str, change: Callable[[Any], Any], words: str
) -> None:
    (spec,) = board.cells("*magnitude 0.5 seed 1")
    path = record_path(board.records_folder, spec.id)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    wrong, lines = said(board)
    assert wrong
    assert words in lines, edited
    assert spec.id in lines


@pytest.mark.parametrize(("key", "before"), [("metric", '"f1"'), ("seed", "7"), ("zeros", "1"), ("loss", "0.1")])
def test_a_key_that_stands_twice(board: Board, key: str, before: str) -> None:
    """The second counts; the first may say anything."""
    (spec,) = board.cells("*random 0.5 seed 0")
    path = record_path(board.records_folder, spec.id)
    path.write_text(path.read_text().replace(f'"{key}":', f'"{key}": {before}, "{key}":', 1))
    wrong, lines = said(board)
    assert wrong
    assert f"its file gives '{key}' twice" in lines


@pytest.mark.parametrize("form", ["(n, 1)", "(1, n)", "one more", "one less"])
def test_outcomes_of_another_shape(board: Board, form: str) -> None:
    (spec,) = board.cells("*random 0.5 seed 0")
    folder, record = board.records_folder, board.record(spec)
    outcomes = load_outcomes(folder, record)
    changed = {
        "(n, 1)": {name: values[:, None] for name, values in outcomes.items()},
        "(1, n)": {name: values[None] for name, values in outcomes.items()},
        "one more": outcomes | {"extra": np.zeros(len(outcomes["label"]))},
        "one less": {"label": outcomes["label"]},
    }[form]
    data = pack_outcomes(changed)
    save_record(folder, replace(record, outcomes_sha256=hashlib.sha256(data).hexdigest()), data)
    wrong, lines = said(board)
    assert wrong
    expected = {
        "(n, 1)": "has shape (24, 1), expected (24,)",
        "(1, n)": "has shape (1, 24) for 24 reported examples",
        "one more": "has the outcomes extra, label, prediction, glue/sst2 dense seed 0",
        "one less": "has the outcomes label, glue/sst2 dense seed 0",
    }
    assert expected[form] in lines


@pytest.mark.parametrize("zeros", [1, 500])
def test_zeros_of_a_dense_record_beyond_those_of_its_model(board: Board, zeros: int) -> None:
    (spec,) = board.cells("*dense seed 0")
    record = board.record(spec)
    sparsity = record.sparsity
    layers = [replace(sparsity.layers[0], zeros=zeros), *sparsity.layers[1:]]
    edited = replace(sparsity, layers=layers, zeros=zeros, measured=zeros / sparsity.prunable)
    folder = board.records_folder
    save_record(folder, replace(record, sparsity=edited), outcomes_path(folder, spec.id).read_bytes())
    wrong, lines = said(board)
    assert wrong
    assert f"dense, and has {zeros} zeros of" in lines


# Facts of a record alone, without a run.


def problems(record: Record) -> str:
    environment = dict.fromkeys(("prunebench", "commit", "python", "platform", "torch", "device"), "1")
    return "\n".join(
        spec_problems(replace(record, curve=[], cost=replace(record.cost, steps=0), environment=environment))
    )


@pytest.mark.parametrize(
    ("scope", "sparsity", "off", "wrong"),
    [("layer", 0.8, 0, False), ("layer", 0.8, 30, True), ("row", 0.5, 30, True), ("2:4", 0.5, 30, True), ("global", 0.5, 30, False)],
)  # fmt: skip
def test_scopes_that_share_zeros_out_evenly(scope: str, sparsity: float, off: int, wrong: bool) -> None:
    record = make_record(make_spec("magnitude", sparsity, scope=scope))
    zeros = [round(sparsity * 600) - off, round(sparsity * 400) + off]
    layers = [replace(layer, zeros=n) for layer, n in zip(record.sparsity.layers, zeros, strict=True)]
    found = problems(replace(record, sparsity=replace(record.sparsity, layers=layers)))
    assert (f"scope '{scope}' takes" in found) == wrong


def test_steps_of_a_budget_in_epochs() -> None:
    spec = make_spec(training={"epochs": 2.0, "batch_size": 10})
    record = make_record(spec, counts={"train": 100, "reported": 10})
    assert "was trained for 0 steps, its cell asks for 20 with 100 examples" in problems(record)


@dataclass(frozen=True)
class Gated(Movement):
    """An exact criterion whose gates change training from the first step."""

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        return mask * 0.5


def other_losses(first: Record, spec: RunSpec, environment: dict[str, Any]) -> list[str]:
    """What is wrong with a record of `spec` whose losses differ from those of `first` though nothing was pruned."""
    curve = [replace(point, loss=0.7 if point.step == 100 else point.loss, sparsity=0.0) for point in first.curve]
    others = Others()
    list(others.add(Found(replace(first, curve=[replace(point, sparsity=0.0) for point in first.curve]))))
    list(others.add(Found(make_record(spec, curve=curve, environment=environment))))
    return [finding.words for finding in others.findings() if finding.wrong]


@pytest.mark.parametrize(
    ("criterion", "shared"),
    [
        (Movement(), True),
        (Gated(), False),
        (L0(), False),
        (SoftMovement(), False),
        (SoftMovement(rule="matched"), True),
    ],
)
def test_losses_of_criteria_that_change_training_are_not_compared(
    criterion: Criterion, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.plugins.registry.configure", lambda *_: criterion)
    environment = {"precision": "fp32", "device": "a", "torch": "2"}
    first = make_record(make_spec(), environment=environment)
    assert bool(other_losses(first, make_spec("taylor"), environment)) == shared


def test_losses_are_compared_on_one_machine_only() -> None:
    """Elsewhere rounding differs; between rows of another seed, budget or regularizer nothing is shared."""
    environment = {"precision": "fp32", "device": "a", "torch": "2"}
    first = make_record(make_spec("magnitude"), environment=environment)

    def wrong(**changes: Any) -> list[str]:
        spec = make_spec("taylor", **{k: v for k, v in changes.items() if k != "environment"})
        return other_losses(first, spec, changes.get("environment", environment))

    assert len(wrong()) == 1
    assert "nothing was pruned yet" in wrong()[0]
    for changes in (
        {"environment": environment | {"device": "b"}},
        {"environment": environment | {"precision": "bf16 autocast"}},
        {"seed": 1},
        {"regularizer": "distillation"},
        {"training": {"steps": 400, "lr": 1e-4}},
    ):
        assert wrong(**changes) == [], changes
