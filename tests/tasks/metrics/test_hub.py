"""Metrics of the evaluate hub, with metric scripts written here: nothing is fetched."""

from pathlib import Path

import numpy as np
import pytest

from tasks.base import Setting, TaskError
from tasks.conll2003 import Conll2003
from tasks.glue import Glue
from tasks.metrics.hub import HubMetric, hub_scores, parse
from tasks.squad import Squad

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


def test_a_metric_that_gives_its_number_alone(tmp_path: Path) -> None:
    """As `wer` does."""
    folder = metric(tmp_path, "text")
    script = Path(folder) / "overlap.py"
    script.write_text(
        script.read_text().replace('{"each": shared, "overlap": sum(shared), "kind": "words"}', "sum(shared)")
    )
    assert hub_scores(parse(f"evaluate:{folder}"), ["a b"], [["a", "b"]]) == ({}, {"overlap": 1.0})


def test_a_metric_of_one_reference_gets_the_first(tmp_path: Path) -> None:
    columns, _ = hub_scores(parse(f"evaluate:{metric(tmp_path, 'text')}"), ["a b"], [["a", "b"]])
    assert np.array_equal(columns["extra_overlap_each"], [1.0])


def test_names_and_arguments_of_extra_metrics_are_parsed() -> None:
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


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("evaluate:chrf?word_order", "expected argument=value"),
        ("evaluate:chrf?word_order=", "expected argument=value"),
        ("evaluate:chrf?word_order=2&lowercase", "expected argument=value"),
        ("evaluate:chrf?word_order=1&word_order=2", "each once"),
        ("evaluate:f1?average=macro+evaluate:f1?average=micro", "two extra metrics are called 'f1'"),
        ("evaluate:a/f1+evaluate:b/f1", "two extra metrics are called 'f1'"),
    ],
)
def test_what_would_be_left_out_without_a_word_is_refused(extra: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        parse(extra)


@pytest.mark.parametrize(
    "given", ['{"each": ["a"], "kind": "words"}', "{}", '{"each": [1.0, 2.0]}', '{"some": {"f1": 1.0}}']
)
def test_a_metric_that_gives_no_number_is_told(tmp_path: Path, given: str) -> None:
    folder = metric(tmp_path, "text")
    script = Path(folder) / "overlap.py"
    script.write_text(script.read_text().replace('{"each": shared, "overlap": sum(shared), "kind": "words"}', given))
    with pytest.raises(TaskError, match="overlap gives no number, only"):
        hub_scores(parse(f"evaluate:{folder}"), ["a b"], [["a", "b"]])


def test_a_metric_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"cannot load metric evaluate:.*nowhere: \w+:"):
        hub_scores(parse(f"evaluate:{tmp_path}/nowhere"), ["a"], [["a"]])


AGREEMENT = '''
import datasets
import evaluate


class Agreement(evaluate.Metric):
    """Share of predictions that are the reference, of anything; named like the task's own metric as well."""

    def _info(self):
        features = datasets.Features({"predictions": KIND, "references": KIND})
        return evaluate.MetricInfo(description="", citation="", features=features, inputs_description="")

    def _compute(self, predictions, references):
        right = [float(one == other) for one, other in zip(predictions, references)]
        return {"agreement": sum(right) / len(right), "right": right, "OWN": 0.5}
'''


def agreement(folder: Path, kind: str, own: str) -> str:
    (folder / "agreement").mkdir()
    (folder / "agreement" / "agreement.py").write_text(AGREEMENT.replace("KIND", kind).replace("OWN", own))
    return f"evaluate:{folder / 'agreement'}"


SMALL = Setting(train_examples=8, eval_examples=6, max_length=48)


def test_classes_are_compared_as_numbers(tmp_path: Path) -> None:
    prepared = Glue("sst2", extra=agreement(tmp_path, 'datasets.Value("int32")', "x")).prepare(SMALL)
    found = prepared.evaluate(prepared.build(0), "reported")
    assert 100 * found.metrics["agreement"] == pytest.approx(found.metrics["accuracy"])
    assert 100 * found.metrics["agreement_right"] == pytest.approx(found.metrics["accuracy"])
    assert found.outcomes["extra_agreement_right"].shape == (6,)
    assert prepared.task.aggregate(found.outcomes)["agreement_right"] == found.metrics["agreement_right"]


def test_answers_are_compared_as_texts(tmp_path: Path) -> None:
    prepared = Squad(extra=f"evaluate:{metric(tmp_path, 'datasets.Sequence(text)')}").prepare(SMALL)
    found = prepared.evaluate(prepared.build(0), "reported")
    assert found.metrics["overlap"] == found.outcomes["extra_overlap_each"].sum()
    assert {"exact_match", "f1"} < set(found.metrics)


def test_tags_are_compared_as_lists(tmp_path: Path) -> None:
    extra = agreement(tmp_path, 'datasets.Sequence(datasets.Value("string"))', "x")
    prepared = Conll2003(extra=extra).prepare(SMALL)
    found = prepared.evaluate(prepared.build(0), "reported")
    assert 0 <= found.metrics["agreement"] <= 1
    assert "f1_PER" in found.metrics


def test_the_tasks_own_metric_keeps_its_name(tmp_path: Path) -> None:
    columns, numbers = hub_scores(
        parse(agreement(tmp_path, 'datasets.Value("int32")', "x")), [1, 0], [[1], [1]], ["agreement"]
    )
    assert numbers == {"hub_agreement": 0.5, "agreement_x": 0.5}
    assert list(columns) == ["extra_agreement_right"]


def test_inputs_that_do_not_fit_are_said(tmp_path: Path) -> None:
    prepared = Glue("sst2", extra=f"evaluate:{metric(tmp_path, 'text')}").prepare(SMALL)
    with pytest.raises(TaskError, match=r"metric evaluate:.*overlap fails: \w+: "):
        prepared.evaluate(prepared.build(0), "reported")
