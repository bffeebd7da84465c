"""Tasks of the lm-evaluation-harness, on local tasks in its own format: its numbers, document by document, and what is refused."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.plugins import registry
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import run
from tasks.base import Evaluation, Setting, TaskError, resample
from tasks.checks.task import CHECKS
from tasks.checks.trials import Trial
from tasks.lm_eval import LmEval

pytest.importorskip("lm_eval", reason="the lm-evaluation-harness is not installed")

YAML = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: {kind}
doc_to_text: "{{{{start}}}}"
doc_to_target: {target}
{more}
metric_list:
{metrics}
metadata:
  version: 2.0
"""
NAMES = [
    f"The {look} {sign}"
    for look in ("Grey", "Black", "Golden", "Silver")
    for sign in ("Heron", "Otter", "Pike", "Anchor")
]
ENDS = ["an old barge.", "a cheap tavern.", "a leaky raft.", "a dear inn."]


def metric(name: str, aggregation: str = "mean", higher: bool = True) -> str:
    return f"  - metric: {name}\n    aggregation: {aggregation}\n    higher_is_better: {str(higher).lower()}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks of choices, of written answers, of whole texts, and a group."""
    place = tmp_path_factory.mktemp("harness")
    rows = [
        {
            "start": f"{name} is",
            "choices": ENDS[at % 3 : at % 3 + 2],
            "label": at % 5 % 2,
            "text": f"{name} is {ENDS[at % 4]}",
        }
        for at, name in enumerate(NAMES)
    ]
    (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kinds = {
        "choices": ("multiple_choice", "label", "doc_to_choice: choices", [metric("acc"), metric("acc_norm")]),
        "answers": ("generate_until", "text", "generation_kwargs: {max_gen_toks: 4}", [metric("exact_match")]),
        "texts": ("loglikelihood_rolling", '""', "", [metric("word_perplexity", "weighted_perplexity", False)]),
        "matthews": (
            "multiple_choice",
            "label",
            "doc_to_choice: choices",
            [metric("acc"), metric("mcc", "matthews_corrcoef")],
        ),
        "turned": ("multiple_choice", "label", "doc_to_choice: choices", [metric("acc", higher=False)]),
    }
    for name, (kind, target, more, metrics) in kinds.items():
        text = YAML.format(
            name=name, file=place / "rows.jsonl", kind=kind, target=target, more=more, metrics="\n".join(metrics)
        )
        (place / f"{name}.yaml").write_text(text)
    (place / "group.yaml").write_text("group: both\ntask:\n  - choices\n  - answers\n")
    return place


def configured(folder: Path, name: str = "choices", **options: Any) -> LmEval:
    return LmEval(name, include=str(folder), **options)


def setting(**options: Any) -> Setting:
    return Setting(**{"max_length": 64, "train_examples": 16, **options})


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> Evaluation:
    prepared = configured(folder).prepare(setting())
    return prepared.evaluate(prepared.build(0), "reported")


def test_scores_are_those_of_simple_evaluate(
    folder: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval import evaluator, simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(evaluator, "add_env_info", lambda _: None)  # it asks the machine for half a minute
    monkeypatch.setattr(evaluator, "get_git_commit_hash", lambda: "")
    prepared = configured(folder).prepare(setting())
    model = HFLM(prepared.build(0).eval(), tokenizer=prepared.tokenizer, max_length=64)
    found = simple_evaluate(
        model, tasks=["choices"], task_manager=TaskManager(include_path=str(folder), include_defaults=False)
    )
    theirs = found["results"]["choices"]
    for name in ("acc", "acc_norm"):
        assert evaluation.metrics[name] == pytest.approx(100 * theirs[f"{name},none"])
        assert evaluation.metrics[f"{name}_stderr"] == pytest.approx(100 * theirs[f"{name}_stderr,none"])
    assert 0 < evaluation.metrics["acc"] < 100
    logged = [one["acc"] for one in found["samples"]["choices"]]
    assert evaluation.outcomes["acc"].tolist() == logged


def test_outcomes_are_documents_that_can_be_resampled(folder: Path, evaluation: Evaluation) -> None:
    outcomes, task = evaluation.outcomes, configured(folder)
    assert {len(values) for values in outcomes.values()} == {len(NAMES)}
    assert ((outcomes["prediction"] == outcomes["label"]) == (outcomes["acc"] == 1)).all()
    assert task.aggregate(outcomes) == evaluation.metrics
    right = np.flatnonzero(outcomes["acc"])
    assert task.aggregate(resample(outcomes, right))["acc"] == 100
    assert task.aggregate(resample(outcomes, right[:1])).keys() == {
        "acc",
        "acc_norm",
    }  # one document has no standard error


def test_metrics_and_their_floor_by_hand() -> None:
    outcomes = {
        "acc": np.array([1.0, 0.0, 1.0, 1.0]),
        "label": np.array([0, 1, 1, 1]),
        "wer": np.array([2.0, 4.0, 0.0, 2.0]),
    }
    found = LmEval("x").aggregate(outcomes)
    assert found == pytest.approx({"acc": 75.0, "acc_stderr": 25.0, "wer": 2.0, "wer_stderr": np.sqrt(8 / 3) / 2})
    assert LmEval("x").floor(outcomes) == {"acc": 75.0}
    assert LmEval("x").floor(outcomes | {"acc_norm": outcomes["acc"]}) == {"acc": 75.0, "acc_norm": 75.0}
    assert LmEval("x").floor({"exact_match": np.zeros(3)}) == {}
    assert LmEval("x", score="wer").lower_is_better == {"wer"}
    assert LmEval("x").lower_is_better == frozenset()


def test_the_record_has_versions_standard_error_and_documents(folder: Path) -> None:
    spec = RunSpec(
        task=f"lm_eval/choices[include={folder}]",
        criterion="wanda",
        sparsity=0.5,
        schedule="one_shot[at=0]",
        training=Training(steps=2, batch_size=4, max_length=64, train_examples=32, eval_examples=9),
    )
    record = run(spec).record
    assert record.sparsity.met
    assert record.counts == {"train": 32, "reported": 9}
    assert "acc_stderr" in record.metrics
    assert record.metric == "acc"
    (signature,) = record.signatures.values()
    assert signature.startswith("lm-eval 0.")
    assert signature.endswith("choices version 2.0, 0 shots")
    assert "reported: a fixed sample of 9 of 16 examples" in record.notes
    assert record.splits["reported"] == "json (test), by the harness"
    assert record.floor["acc"] >= 50


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("facts", "held out", "outcomes")])
def test_the_contract_but_for_what_is_held_out(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("trials", "data", "task"):
        monkeypatch.setattr(sys.modules[f"tasks.checks.{module}"], "SPLITS", {"train", "reported"})
    assert CHECKS[name](Trial(configured(folder), setting(train_examples=32, eval_examples=8)))


def test_written_answers_are_scored_too(folder: Path) -> None:
    prepared = configured(folder, "answers", score="exact_match").prepare(setting(eval_examples=3))
    found = prepared.evaluate(prepared.build(0), "reported")
    assert found.metrics["exact_match"] == 0
    assert found.outcomes.keys() == {"exact_match"}
    assert prepared.floor == {}


def test_a_number_of_the_whole_corpus_stands_beside_the_means(folder: Path) -> None:
    prepared = configured(folder, "matthews").prepare(setting())
    found = prepared.evaluate(prepared.build(0), "reported")
    assert "mcc" not in found.outcomes
    label, prediction = found.outcomes["label"], found.outcomes["prediction"]
    assert found.metrics["mcc"] == pytest.approx(100 * np.corrcoef(label, prediction)[0, 1])


def test_shots_come_before_the_question_and_into_the_signature(folder: Path) -> None:
    none, two = (configured(folder, shots=shots).prepare(setting()) for shots in (0, 2))
    assert min(two.features("reported").lengths()) > max(none.features("reported").lengths())
    assert two.signatures["acc"].endswith("2 shots")


def test_nothing_outside_is_drawn(folder: Path) -> None:
    states = random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()
    prepared = configured(folder, shots=1).prepare(setting())
    prepared.evaluate(prepared.build(0), "reported")
    assert random.getstate() == states[0]
    assert repr(np.random.get_state(legacy=True)) == repr(states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_documents_are_in_the_fingerprint(folder: Path) -> None:
    found = {
        configured(folder, name).prepare(setting(eval_examples=few)).data_fingerprint
        for name, few in (("choices", None), ("matthews", None), ("choices", 4))
    }
    assert len(found) == 3
    assert configured(folder).prepare(setting()).data_fingerprint in found


def test_a_text_file_calibrates(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The old inn is a cheap tavern. " * 200)
    prepared = configured(folder, text="a.txt").prepare(setting(data=str(tmp_path), train_examples=None))
    assert prepared.splits["train"] == "a.txt"
    ids = prepared.tokenizer((tmp_path / "a.txt").read_text())["input_ids"]
    assert prepared.counts["train"] == len(ids) // 64


@pytest.mark.parametrize(
    ("name", "options", "given", "message"),
    [
        ("choises", {}, {}, "lm_eval/choises: no task of the harness; near: choices"),
        ("both", {}, {}, "lm_eval/both: a group of tasks: name one of them"),
        ("choices", {"score": "accuracy"}, {}, "has no metric 'accuracy': score is one of acc, acc_norm"),
        ("texts", {"score": "word_perplexity"}, {}, "is one number of the whole corpus"),
        ("matthews", {"score": "mcc"}, {}, "is one number of the whole corpus"),
        ("turned", {}, {}, "the harness calls acc lower is better: not known here"),
        ("choices", {}, {"heldout": 0.1}, "nothing can be held out"),
        ("choices", {"include": "nowhere"}, {}, "include: no folder 'nowhere'"),
        ("choices", {"text": "nothing.txt"}, {}, "no file 'nothing.txt'"),
        ("choices", {}, {"model": "encoder"}, "cannot open model|perplexity needs a decoder"),
    ],
)
def test_what_cannot_be_run_is_refused(
    folder: Path, name: str, options: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        LmEval(name, **{"include": str(folder), **options}).prepare(setting(**given))


def test_documents_that_cannot_be_had(folder: Path, tmp_path: Path) -> None:
    text = (folder / "choices.yaml").read_text().replace(str(folder / "rows.jsonl"), str(tmp_path / "gone.jsonl"))
    (tmp_path / "choices.yaml").write_text(text)
    with pytest.raises(TaskError, match="lm_eval/choices: its documents cannot be had: "):
        configured(tmp_path).prepare(setting())


def test_negative_shots_are_refused() -> None:
    with pytest.raises(TaskError, match="shots is -1; expected 0 or more"):
        LmEval("x", shots=-1)


def test_any_name_is_a_variant() -> None:
    assert registry.configure("tasks", "lm_eval/hellaswag[score=acc_norm]").variant == "hellaswag"


def test_without_the_harness_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.lm_eval.find_spec", lambda _: None)
    with pytest.raises(TaskError, match=r"pip install 'prunebench\[lm-eval\]'"):
        configured(folder).prepare(setting())
