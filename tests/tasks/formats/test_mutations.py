"""Every leaf of a good record made something else: a sentence with the place, or a sound reading; never another exception."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base import TaskError
from tasks.dart import Dart
from tasks.e2e import E2e
from tasks.formats.triples import read_json
from tasks.glue import Glue, PreparedGlue
from tasks.squad import PreparedSquad, Squad
from tasks.webnlg import Webnlg
from tests.tasks.formats.test_leaves import mutated, places, with_task

WRONG: tuple[Any, ...] = (None, 17, 1.5, True, ["x"], [], {"x": 1}, {})
"""What no text is. A text in the place of a text, the empty one among them, may be sound."""

DART = [{"tripleset": [["A", "b", "C"], ["D", "e", "F"]], "annotations": [{"text": "one"}, {"text": "two"}]}]
ROWS: dict[str, tuple[Any, Any, str]] = {
    "dart": (Dart(), {"tripleset": [["A", "b", "C"]], "target": "t", "references": ["x"]}, "reported"),
    "webnlg": (
        Webnlg("2020"),
        {"input": ["A | b | C"], "target": "t", "references": ["x"], "category": "Food"},
        "reported",
    ),
    "glue/sst2": (with_task(PreparedGlue, Glue("sst2")), {"sentence": "x", "label": 1}, "train"),
    "glue/mnli": (with_task(PreparedGlue, Glue("mnli")), {"premise": "x", "hypothesis": "y", "label": 2}, "reported"),
    "squad": (
        with_task(PreparedSquad, Squad()),
        {"question": "?", "context": "It left.", "answers": {"text": ["left"], "answer_start": [3]}, "id": "q"},
        "train",
    ),
    "e2e": (E2e(), {"meaning_representation": "name[Blue]", "human_reference": "t"}, "train"),
}


@pytest.mark.parametrize("at", list(places(DART)), ids=str)
def test_a_changed_leaf_of_darts_json_names_file_and_line(tmp_path: Path, at: tuple[Any, ...]) -> None:
    path = tmp_path / "a.json"
    for wrong in WRONG:
        path.write_text(json.dumps(mutated(DART, at, wrong)), encoding="utf-8")
        with pytest.raises(TaskError, match=r"a\.json:1: "):
            list(read_json(path))


def read(task: Any, row: Any, split: str) -> tuple[str, str]:
    """What is said of the row, or what is read from it."""
    try:
        return "", str(list(task.read_rows([row], "hub", split)))
    except TaskError as error:
        return str(error), ""


@pytest.mark.parametrize("name", ROWS)
def test_a_changed_leaf_of_a_row_names_the_row_or_is_not_read(name: str) -> None:
    task, row, split = ROWS[name]
    good = list(task.read_rows([row], "hub", split))
    assert not any(isinstance(one, TaskError) for one in good)
    refused = 0
    for at in places(row):
        for wrong in WRONG:
            said, texts = read(task, mutated(row, at, wrong), split)
            refused += bool(said)
            assert not said or "hub, row 0" in said, (at, wrong)
            if (at, wrong) == (("id",), 17):
                continue  # some files have numbers there
            assert not any(word in texts for word in ("None", "17", "1.5", "True", "{")), (at, wrong, texts)
    assert refused >= len(WRONG)
