"""Metrics of the evaluate hub, with metric scripts written here: nothing is fetched."""

from pathlib import Path

import numpy as np
import pytest

from tasks.base import TaskError
from tasks.hub_metrics import HubMetric, hub_scores, parse

SCRIPT = '''
import datasets
import evaluate


class Overlap(evaluate.Metric):
    """Words shared with any reference, for each text and in all."""

    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": REFERENCES})
        return evaluate.MetricInfo(description="", citation="", features=features, inputs_description="")

    def _compute(self, predictions, references, scale=1.0):
        groups = [[group] if isinstance(group, str) else group for group in references]
        shared = [
            scale * len(set(one.split()) & set(" ".join(group).split())) for one, group in zip(predictions, groups)
        ]
        return {"each": shared, "overlap": sum(shared), "kind": "words"}
'''


def metric(folder: Path, references: str) -> str:
    (folder / "overlap").mkdir()
    (folder / "overlap" / "overlap.py").write_text(SCRIPT.replace("REFERENCES", references))
    return str(folder / "overlap")


def test_lists_become_outcomes_and_numbers_metrics(tmp_path: Path) -> None:
    path = metric(tmp_path, "datasets.Sequence(text)")
    columns, numbers = hub_scores(parse(f"evaluate:{path}?scale=2"), ["a b", "c"], [["a", "b x"], ["d"]])
    assert list(columns) == ["extra_overlap_each"]
    assert columns["extra_overlap_each"].tolist() == [4.0, 0.0]
    assert numbers == {"overlap": 4.0}


def test_a_metric_of_one_reference_gets_the_first(tmp_path: Path) -> None:
    columns, _ = hub_scores(parse(f"evaluate:{metric(tmp_path, 'text')}"), ["a b"], [["a", "b"]])
    assert np.array_equal(columns["extra_overlap_each"], [1.0])


def test_names_and_arguments() -> None:
    found = parse("evaluate:bertscore+evaluate:chrf?word_order=2&lowercase=true&x=abc")
    assert found == [
        HubMetric("bertscore", {"lang": "en"}),
        HubMetric("chrf", {"word_order": 2, "lowercase": True, "x": "abc"}),
    ]
    assert parse("evaluate:bertscore?lang=de")[0].arguments == {"lang": "de"}
    assert parse("") == []
    for wrong in ("bertscore", "evaluate:"):
        with pytest.raises(TaskError, match=f"extra metric {wrong!r}; expected evaluate:NAME"):
            parse(wrong)


def test_a_metric_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"cannot load metric evaluate:.*nowhere: \w+:"):
        hub_scores(parse(f"evaluate:{tmp_path}/nowhere"), ["a"], [["a"]])
