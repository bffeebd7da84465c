"""A suite: the grid it stands for, and what its overrides change."""

from pathlib import Path

import pytest

from benchmark.suite.spec import RunSpec, Training
from benchmark.suite.suite import matches
from tests.benchmark.suites import BASE, LEAST, read

# The grid.


def test_cells_by_hand(tmp_path: Path) -> None:
    cells = read(tmp_path, BASE).cells()
    assert len(cells) == 2 * 2 * (1 + 2 * 2)
    assert [cell.cell for cell in cells[:6]] == [
        "glue/rte dense seed 0",
        "glue/rte magnitude 0.5 seed 0",
        "glue/rte magnitude 0.8 seed 0",
        "glue/rte principled 0.5 seed 0",
        "glue/rte principled 0.8 seed 0",
        "glue/rte dense seed 1",
    ]
    assert len({cell.id for cell in cells}) == len(cells)


def test_the_least_a_suite_must_say(tmp_path: Path) -> None:
    dense, pruned = read(tmp_path, LEAST).cells()
    assert dense == RunSpec(task="squad")
    assert pruned == RunSpec(task="squad", criterion="random", sparsity=0.5)


def test_rows_with_their_own_regularizer(tmp_path: Path) -> None:
    text = LEAST.replace("[random]", "[random, principled + self_regularization, 'principled[signed=yes] + none']")
    assert read(tmp_path, text + "regularizers: [none, rdrop]").rows == [
        ("random", "none"),
        ("random", "rdrop"),
        ("principled", "self_regularization"),
        ("principled[signed=true]", "none"),
    ]


def test_plugins_get_their_one_spelling(tmp_path: Path) -> None:
    text = LEAST.replace("[random]", "['principled[window=10, beta1=.5]']") + "schedule: cubic[window=10]"
    spec = read(tmp_path, text).cells()[1]
    assert (spec.criterion, spec.schedule) == ("principled[beta1=0.5]", "cubic")


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    training = read(tmp_path, LEAST + "training: {lr: 3e-5, weight_decay: 1E-2, epochs: 2, clip: null}").training
    assert (training.lr, training.weight_decay, training.epochs, training.clip) == (3e-5, 0.01, 2.0, None)


def test_n_of_m_needs_no_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "scope: 2:4").cells()[1].scope == "2:4"


@pytest.mark.parametrize(
    ("more", "heldout"),
    [
        ("", 0.0),
        ("selection: heldout", 0.1),
        ("selection: best_dev", 0.0),
        ("regularizers: ['self_regularization[teacher=best]']", 0.1),
        ("regularizers: [self_regularization]", 0.0),
        ("heldout: 0.25", 0.25),
        ("{selection: heldout, heldout: 0.2}", 0.2),
    ],
)
def test_examples_are_kept_aside_where_somebody_needs_them(tmp_path: Path, more: str, heldout: float) -> None:
    lines = more.strip("{}").replace(", ", "\n") if more.startswith("{") else more
    assert {cell.heldout for cell in read(tmp_path, LEAST + lines).cells()} == {heldout}


# Overrides.


def test_overrides_by_pattern_the_later_on_top(tmp_path: Path) -> None:
    text = (
        BASE
        + """
training: {epochs: 3, lr: 1e-4}
schedule: linear
overrides:
  glue/*: {training: {epochs: 10, batch_size: 8}, scope: layer}
  glue/cola: {training: {steps: 50}, sparsities: [0.9], schedule: 'cubic[window=10]'}
"""
    )
    cells = read(tmp_path, text).cells()
    rte = next(cell for cell in cells if cell.task == "glue/rte" and not cell.is_dense)
    cola = [cell for cell in cells if cell.task == "glue/cola" and not cell.is_dense]
    assert rte.training == Training(epochs=10, lr=1e-4, batch_size=8)
    assert (rte.scope, rte.schedule) == ("layer", "linear")
    assert cola[0].training == Training(steps=50, lr=1e-4, batch_size=8)
    assert {cell.sparsity for cell in cola} == {0.9}
    assert (cola[0].scope, cola[0].schedule) == ("layer", "cubic")


def test_an_override_may_name_a_configured_task(tmp_path: Path) -> None:
    text = LEAST.replace("squad", "'glue/qqp[skip_malformed=true]'")
    cells = read(tmp_path, text + "overrides: {'glue/qqp[skip_malformed=true]': {training: {steps: 9}}}").cells()
    assert {cell.training.steps for cell in cells} == {9}


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("glue/rte", "glue/*", True),
        ("glue/rte", "glue/rte", True),
        ("glue/rte", "rte", False),
        ("glue/rte", "glue/r?e", True),
        ("a[x=1]", "a[x=1]", True),
        ("a[x=1]", "a*", True),
    ],
)
def test_patterns(text: str, pattern: str, found: bool) -> None:
    assert matches(text, pattern) == found
