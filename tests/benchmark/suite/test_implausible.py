"""Settings that are of the right type and cannot have been meant: each is refused before anything runs, in a sentence."""

from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.commands.run import run_board
from benchmark.engine.cell import Settings
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import Training
from benchmark.training.run import Options, run
from tests.benchmark.boards import make_board
from tests.benchmark.suites import BASE, LEAST, read, refusal

METHOD = "{criterion: magnitude, scope: layer}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("training.batch_size=1000000000", "at most 65536"),
        ("training.batch_size=65537", "at most 65536"),
        ("training.train_examples=1", "at least 4"),
        ("training.train_examples=3", "at least 4"),
        ("training.eval_examples=1", "at least 2"),
        ("training.lr=1e-300", "at least 1e-09"),
        ("training.lr=1e-10", "at least 1e-09"),
        ("training.lr=11", "at most 10"),
        ("training.lr=1e300", "at most 10"),
        ("training.clip=1e-300", "at least 1e-06"),
        ("training.clip=1e300", "at most 1e+06"),
        ("training.weight_decay=100", "at most 10"),
        ("training.epochs=1e-9", "at least 0.001"),
        ("training={steps: 30, warmup: 31}", "a warm-up of 31 steps does not end in a run of 30"),
        ("training={steps: 30, warmup: 1e9}", "a warm-up of 1e+09 steps does not end in a run of 30"),
        ("heldout=1e-9", "less than a thousandth of the training examples: expected 0, or 0.001 to 0.5"),
        ("heldout=0.0009", "less than a thousandth"),
        ("heldout=0.6", "at most 0.5"),
        ("gate=0.1", "less than a point: expected 0, or points from 1 on, such as 10"),
        ("gate=0.99", "less than a point"),
    ],
)
def test_amounts_that_cannot_have_been_meant_are_refused(change: str, said: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, LEAST, change)
    assert message.startswith(f"--set {change.partition('=')[0]}: ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "change",
    [
        "training.batch_size=4096",
        "training.train_examples=4",
        "training.lr=1e-9",
        "training.lr=1",
        "training.clip=0.01",
        "training.clip=null",
        "training.weight_decay=1",
        "training={steps: 30, warmup: 30}",
        "training={steps: 1, warmup: 1}",
        "training={steps: 1, warmup: 0.5}",
        "heldout=0.001",
        "heldout=0",
    ],
)
def test_amounts_that_people_use_are_taken(change: str, tmp_path: Path) -> None:
    assert read(tmp_path, LEAST, change).cells()


@pytest.mark.parametrize(("share", "examples"), [(0.001, 500), (0.01, 99), (0.1, 9)])
def test_a_held_out_share_of_less_than_one_example_is_refused(share: float, examples: int, tmp_path: Path) -> None:
    message = refusal(tmp_path, LEAST, f"heldout={share}", f"training.train_examples={examples}")
    assert f"heldout {share:g} of {examples} training examples is less than one example" in message


def test_a_held_out_share_of_less_than_one_example_of_the_split_that_is_there(tmp_path: Path) -> None:
    """How many there are shows when the data are read; here it is a limit that no suite was asked about."""
    (dense, *_) = read(tmp_path, LEAST.replace("squad", "glue/sst2"), "heldout=0.001").cells()
    few = dense.model_copy(update={"training": Training(train_examples=500, eval_examples=4, max_length=16)})
    with pytest.raises(
        PrunebenchError, match=r"glue/sst2: heldout 0\.001 of 500 training examples is less than one example"
    ):
        run(few, Options(device="cpu"))


@pytest.mark.parametrize(("epochs", "warmup", "total"), [(1, 3, 2), (1, 200, 2), (0.5, 1.5, 1)])
def test_a_warm_up_that_does_not_end_in_so_many_epochs_is_refused(
    epochs: float, warmup: float, total: int, tmp_path: Path
) -> None:
    (dense, *_) = read(tmp_path, LEAST.replace("squad", "glue/sst2")).cells()
    training = Training(epochs=epochs, warmup=warmup, batch_size=4, max_length=16, train_examples=8, eval_examples=4)
    said = f"glue/sst2: a warm-up of {warmup:g} steps does not end in a run of {total}$"
    with pytest.raises(PrunebenchError, match=said):
        run(dense.model_copy(update={"training": training}), Options(device="cpu"))


def test_a_batch_of_everything_is_noted(tmp_path: Path) -> None:
    (dense, *_) = read(tmp_path, LEAST.replace("squad", "glue/sst2")).cells()
    training = Training(steps=1, batch_size=64, max_length=16, train_examples=8, eval_examples=4)
    (note,) = [
        n
        for n in run(dense.model_copy(update={"training": training}), Options(device="cpu")).record.notes
        if "batches" in n
    ]
    assert note == "batches of 64 were asked for; the training split has 8 rows, and every step took all of them"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (f"methods: {{as published: {METHOD}}}", "methods: 'as published' is no row: list it under criteria, or remove it"),
        (f"methods: {{Dense: {METHOD}}}", "'Dense' is a criterion's name"),
        (f"methods: {{DENSE: {METHOD}}}", "'DENSE' is a criterion's name"),
        *((f"methods: {{{name}: {METHOD}}}", f"'{name}' is a criterion's name")
          for name in ("magnitude", "Magnitude", "MAGNITUDE", "SparseGPT", "Soft_Movement")),
        *((f"methods: {{{name}: {METHOD}}}", f"'{name}' is what tables call the criterion '{meant}'")
          for name, meant in (("PINS", "principled"), ("pins", "principled"), ("Platon", "sensitivity"),
                              ("Soft movement", "soft_movement"))),
        ("labels: {dense: Magnitude}", "'dense' and 'magnitude' are both called Magnitude"),
        ("labels: {dense: pins}", "'dense' and 'principled' are both called PINS"),
        ("labels: {magnitude: dense}", "'dense' and 'magnitude' are both called dense"),
        ("labels: {magnitude: Ours, principled: Ours}", "'magnitude' and 'principled' are both called Ours"),
        ("labels: {magnitude: Our method, principled: 'our  METHOD'}", "are both called our  METHOD"),
        ("labels: {magnitude: Ours, principled: 'Ours\u200b'}", "'magnitude' and 'principled' are both called Ours"),
        ("labels: {magnitude: 'Mod\u00e8le', principled: 'Mode\u0300le'}", "'magnitude' and 'principled' are both called Mod"),
        ("labels: {magnitude: 'Mod\u00e8le', principled: 'Mode\u200b\u0300le'}", "are both called Mod"),
        ("labels: {glue/rte: RTE, glue/cola: RTE}", "'glue/rte' and 'glue/cola' are both called RTE: tasks of a table"),
        ("regularizers: [rdrop, l2_sp]\nlabels: {rdrop: X, l2_sp: X}", "are both called Magnitude + X"),
        ("regularizers: [rdrop]\nlabels: {magnitude + rdrop: A, principled + rdrop: a}", "are both called a: rows"),
    ],
)  # fmt: skip
def test_rows_that_are_idle_or_look_alike_are_refused(more: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, f"{BASE}{more}\n")


@pytest.mark.parametrize("name", ["Ours", "OURS", "oURS"])
def test_a_method_that_is_called_as_another_row_is_shown(name: str, tmp_path: Path) -> None:
    text = BASE.replace("[magnitude, principled]", f"[magnitude, ours, {name}]")
    assert f"and '{name}' are both called" in refusal(
        tmp_path, f"{text}methods: {{ours: {METHOD}, {name}: {METHOD}}}\n"
    )
    labelled = text.replace("ours, ", "") + "labels: {magnitude: ours}\n"
    assert f"and '{name}' are both called" in refusal(tmp_path, f"{labelled}methods: {{{name}: {METHOD}}}\n")


def test_rows_given_for_one_call_may_leave_methods_out(tmp_path: Path) -> None:
    text = f"{BASE.replace('principled', 'as published')}methods: {{as published: {METHOD}}}\n"
    assert len(read(tmp_path, text, "criteria=[magnitude]").rows) == 1
    assert len(read(tmp_path, text, "labels.magnitude=Mag").rows) == 2


def test_a_head_that_nothing_trains_is_said_once_before_any_cell(tmp_path: Path) -> None:
    """And not by each cell in turn, as its own failure."""
    once = {"steps": 0, "batch_size": 4, "max_length": 32}
    make_board(tmp_path, schedule="one_shot", training=once)
    board = Board.open(tmp_path)
    with pytest.raises(PrunebenchError, match=r"training\.steps is 0, and .* a score would say nothing") as caught:
        run_board(board, "*", Settings(device="cpu"))
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["glue/sst2"]
    assert not board.records_folder.exists()
