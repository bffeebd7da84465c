"""What tables say of boards that train nothing, and of criteria that are calibrated on pruned blocks."""

import pytest
from msgspec.structs import replace

from benchmark.commands.export import card
from benchmark.report.efficiency import efficiency_table
from benchmark.report.facts import describe
from benchmark.report.figures.plot import figures
from benchmark.report.names import Names
from benchmark.report.settings import settings_table
from benchmark.report.sheet import sheets
from benchmark.suite.spec import RunSpec, Training
from tests.benchmark.report.factory import make_record, make_spec

NONE = Training(steps=0, batch_size=16)
FED = "calibrated on what pruned blocks give"


def facts(*specs: RunSpec) -> dict[str, str]:
    records = [make_record(spec) for spec in specs]
    steps = [400 if spec.is_trained else 0 for spec in specs]
    records = [replace(r, cost=replace(r.cost, steps=n)) for r, n in zip(records, steps, strict=True)]
    return describe([[spec] for spec in specs], records, 0, 0, "sd", "headline")


TIMES = ["Training time", "Criterion time", "Criterion share", "Step time"]
OPTIMIZER = {"Optimizer", "Learning rate", "Warm-up", "Weight decay", "Gradient clipping"}


def settings(*specs: RunSpec) -> dict[str, str]:
    """The rows that are printed of a board's one task."""
    (sheet,) = sheets(settings_table([], specs, names=Names()))
    return {row.words[0].text: row.cells[0].text for block in sheet.blocks for row in block.rows}


@pytest.mark.parametrize(("precision", "kept"), [("fp32", ""), ("bf16", ", weights in bf16")])
def test_a_board_without_training_says_so(precision: str, kept: str) -> None:
    specs = [
        make_spec(c, 0.5, training=NONE, schedule="one_shot", precision=precision) for c in ("magnitude", "random")
    ]
    said = facts(*specs)
    assert said["Budget"] == f"no training, calibrated in batches of 16{kept}"
    assert "Epochs" not in said
    rows = settings(*specs)
    assert rows["Training length"] == "0 steps"
    assert not OPTIMIZER & set(rows)
    assert settings(*specs, make_spec("taylor", 0.5))["Learning rate"] == "5e-05"


def test_a_board_that_takes_steps_has_settings_of_its_optimizer() -> None:
    assert set(settings(make_spec("taylor", 0.5))) >= OPTIMIZER


@pytest.mark.parametrize(
    ("budgets", "timed"),
    [
        ([NONE], ["Pruning time"]),
        ([Training(steps=400)], TIMES),
        ([NONE, Training(steps=400)], TIMES),
        ([], TIMES),
    ],
)
def test_costs_of_a_board_without_training_are_the_time_of_pruning(budgets: list[Training], timed: list[str]) -> None:
    table = efficiency_table([make_record(make_spec("wanda", 0.5, training=budget)) for budget in budgets])
    assert [line.labels[0] for line in table.columns[4:-1]] == timed
    assert ("step: median" in table.facts["Times"]) == (timed == TIMES)


def test_a_model_card_does_not_claim_a_training() -> None:
    trained, untrained = (
        make_record(make_spec("wanda", 0.5, schedule="one_shot", training=budget))
        for budget in (Training(steps=400), NONE)
    )
    assert "Fine-tuned and pruned by prunebench with criterion `wanda`" in card(trained)
    assert "Pruned without training by prunebench with criterion `wanda`" in card(untrained)
    assert "Fine-tuned" not in card(untrained)


def test_figures_of_a_board_without_training_show_no_curves_and_the_time_of_pruning() -> None:
    specs = [make_spec(c, s, training=NONE, schedule="one_shot") for c in ("magnitude", "random") for s in (0.5, 0.7)]
    records = [replace(make_record(spec), curve=[]) for spec in specs]
    drawn = {name: draw for name, _, draw in figures(records, specs)}
    assert not [name for name in drawn if name.startswith("training")]
    assert {axis.get_xlabel() for axis in drawn["score-cost"]().axes} == {"Pruning time (s)"}
    trained = {name: draw for name, _, draw in figures([make_record(s) for s in [make_spec("magnitude", 0.5)]])}
    assert [name for name in trained if name.startswith("training")] == ["training-glue-rte-0.5"]
    assert {axis.get_xlabel() for axis in trained["score-cost"]().axes} == {"Training time (s)"}


def test_which_rows_are_calibrated_on_pruned_blocks() -> None:
    plain = make_spec("magnitude", 0.5, schedule="one_shot", scope="row")
    fed = make_spec("wanda", 0.5, schedule="one_shot", scope="row", calibration_inputs="pruned")
    named = make_spec(
        "wanda", 0.5, schedule="one_shot", scope="row", calibration_inputs="pruned", method="as published"
    )
    assert FED not in facts(plain)["Pruning"]
    assert facts(plain, fed)["Pruning"].count(f"wanda {FED}") == 1
    assert f"as published: wanda, scope row, schedule one_shot, {FED}" in facts(plain, named)["Pruning"]
