"""SQuAD: windows, spans, masks, answers mapped back to text, both official scorings, and the files' errors."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.base import Batch, Setting, TaskError
from tasks.pipeline.spans import best_spans, locate, null_scores, token_span
from tasks.squad import MASKED, PreparedSquad, Squad
from tasks.squad_v2 import SquadV2
from tests.tasks.tiny import checkpoint, question, squad_json, write_squad


def prepare(data: Path, model: str, task: Squad | None = None, **options: Any) -> PreparedSquad:
    return (task or Squad()).prepare(Setting(data=str(data), model=model, **{"max_length": 48, **options}))


def gold_logits(prepared: PreparedSquad, monkeypatch: pytest.MonkeyPatch, lift: float = 5.0) -> None:
    """Let every evaluation see logits that point at the training targets."""

    def forward(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(2 * len(batch["index"]), batch["input_ids"].shape[1])
        targets = torch.cat([batch["start"], batch["end"]])
        return logits[:, 0], logits.scatter(1, targets[:, None], lift)

    monkeypatch.setattr(prepared, "forward", forward)


def test_long_paragraphs_make_overlapping_windows_each_with_the_question(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_squad(tmp_path), bert, Squad(stride=8))
    features, questions = prepared.features("train"), prepared.examples("train")
    windows = np.flatnonzero(features.example == 1)
    assert (features.example == 0).sum() == 1
    assert len(windows) > 2
    asked = prepared.tokenizer("what was built in 1066 ?")["input_ids"]
    previous_last = 0
    for row in windows.tolist():
        tokens, first, last = (
            features.row("input_ids", row), features.scalar["first"][row], features.scalar["last"][row]
        )  # fmt: skip
        assert tokens[: len(asked)].tolist() == asked
        assert (first, last) == (len(asked), len(tokens) - 2)
        assert len(tokens) <= 48
        begin, end = features.row("begins", row)[first], features.row("ends", row)[last]
        assert begin <= previous_last  # neighbours overlap, so no token is left out
        if row > windows[0]:
            shared = questions[1].context[begin:previous_last].split()
            assert len(shared) == 8
        previous_last = end
    assert previous_last == len(questions[1].context.rstrip())


def test_windows_without_the_answer_point_at_cls(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_squad(tmp_path), bert, Squad(stride=8))
    features, questions = prepared.features("train"), prepared.examples("train")
    held = 0
    for row, owner in enumerate(features.example.tolist()):
        start, end = features.scalar["start"][row], features.scalar["end"][row]
        text = questions[owner].context[features.row("begins", row)[start] : features.row("ends", row)[end]]
        if start == features.scalar["cls"][row]:
            assert end == start
        else:
            held += 1
            assert text == questions[owner].answers[0]
    assert held >= 2
    assert held < len(features)


def test_impossible_positions_are_masked_and_logits_finite(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_squad(tmp_path), bert)
    batch = next(prepared.batches("train", 8, None))
    losses, logits = prepared.forward(prepared.build(seed=0), batch)
    rows, width = batch["input_ids"].shape
    assert losses.shape == (2 * rows,)
    assert logits.shape == (2 * rows, width)
    assert torch.isfinite(logits).all()
    assert torch.isfinite(losses).all()
    positions = torch.arange(width)
    inside = (positions >= batch["first"][:, None]) & (positions <= batch["last"][:, None])
    allowed = (inside | (positions == batch["cls"][:, None])).repeat(2, 1)
    assert (logits[~allowed] == MASKED).all()
    assert (logits[allowed] > MASKED).all()
    assert logits.softmax(1)[~allowed].sum() == 0


def test_gold_logits_give_gold_answers(tmp_path: Path, bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(write_squad(tmp_path), bert, Squad(stride=8))
    gold_logits(prepared, monkeypatch)
    evaluation = prepared.evaluate(prepared.build(seed=0), "reported")
    assert evaluation.predictions == ["on the grey mat", "the tower"]
    assert evaluation.metrics == {"exact_match": 100.0, "f1": 100.0}
    assert evaluation.outcomes["exact_match"].tolist() == [1, 1]
    assert Squad().aggregate({"exact_match": np.array([1, 0]), "f1": np.array([1, 0.5])}) == {
        "exact_match": 50.0,
        "f1": 75.0,
    }


def test_the_best_span_is_the_maximum_over_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2 * 5, 12, generator=generator)
    inside = torch.arange(12).expand(5, 12).ge(3) & torch.arange(12).lt(10)
    score, start, end = best_spans(logits, inside, longest=4)
    for row in range(5):
        starts, ends = logits[row], logits[row + 5]
        pairs = {(i, j): float(starts[i] + ends[j]) for i in range(3, 10) for j in range(i, min(i + 4, 10))}
        assert (int(start[row]), int(end[row])) == max(pairs, key=pairs.__getitem__)
        assert float(score[row]) == pytest.approx(max(pairs.values()))
    assert null_scores(logits, torch.zeros(5, dtype=torch.int64)).tolist() == pytest.approx(
        (logits[:5, 0] + logits[5:, 0]).tolist()
    )


def test_token_spans_cover_the_characters() -> None:
    begins, ends = [0, 0, 4, 8, 12, 0], [0, 3, 7, 11, 15, 0]  # a special token, four words, a special token
    assert token_span(begins, ends, 1, 4, 4, 11) == (2, 3)
    assert token_span(begins, ends, 1, 4, 5, 6) == (2, 2)  # within a token
    assert token_span(begins, ends, 1, 2, 4, 11) is None  # ends beyond the window
    assert token_span(begins, ends, 2, 4, 0, 7) is None  # begins before it
    assert token_span(begins, ends, 1, 4, 3, 3) is None
    assert token_span(begins, ends, 1, 0, 0, 1) is None


def test_answers_up_to_two_characters_off_are_mended() -> None:
    assert [locate("the tower", "tower", at) for at in (2, 3, 4, 5, 6)] == [4] * 5
    assert locate("the tower", "tower", 7) is None
    assert locate("the tower", "tower", 0) is None


def test_long_questions_are_cut(tmp_path: Path, bert: str) -> None:
    text = "the old cat sat in the house ."
    write_squad(tmp_path)
    entry = question("q", "what " * 60 + "?", text, "the house")
    (tmp_path / "squad/train-v1.1.json").write_text(json.dumps(squad_json([(text, [entry])])))
    features = prepare(tmp_path, bert, Squad(max_question=5)).features("train")
    assert features.scalar["first"].tolist() == [1 + 5 + 1]
    short = prepare(tmp_path, bert, max_length=16).features("train")
    assert short.lengths().max() <= 16
    assert len(short) > 1


def test_the_pad_is_no_part_of_a_span(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_squad(tmp_path), bert)
    single = {
        int(batch["index"]): prepared.forward(prepared.build(0).eval(), batch)[0]
        for batch in prepared.batches("train", 1, None)
    }
    together = prepared.forward(prepared.build(0).eval(), next(prepared.batches("train", 99, None)))[0].view(2, -1)
    for row, losses in single.items():
        torch.testing.assert_close(together[:, row], losses, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "message"), [("t5", "encoder-decoder"), ("gpt2", r"\[CLS\]"), ("bart", "an encoder")])
def test_models_that_do_not_fit_are_refused_before_data_are_read(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        prepare(tmp_path / "absent", str(checkpoint(tmp_path / kind, kind)))


def test_options_out_of_range_are_refused(tmp_path: Path, bert: str) -> None:
    with pytest.raises(TaskError, match="max_answer is 0; expected at least 1"):
        Squad(max_answer=0)
    with pytest.raises(TaskError, match="max_length is 8; question and paragraph need at least 16 tokens"):
        prepare(tmp_path, bert, max_length=8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [\n,]}', r"train-v1\.1\.json:2: not JSON: Expecting value \(column 1\)"),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q", "question": "?", "is_impossible": true, "answers": '
            '[{"text": "x", "answer_start": 0}]}]}]}]}',
            r"qas\[0\]: is_impossible is true, and answers is \[\{.*; expected none",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q", "question": "?", "is_impossible": false, "answers": '
            "[]}]}]}]}",
            r"qas\[0\]: is_impossible is false, and answers is \[\]; expected an answer",
        ),
        ('{"date": []}', r"train-v1\.1\.json:1: expected an object with `data`"),
        ('{"data": [{"title": "x"}]}', r"data\[0\]: expected an object with a list `paragraphs`"),
        (
            '{"data": [{"paragraphs": [{"context": " ", "qas": []}]}]}',
            r"paragraphs\[0\]: context is ' '; expected a text",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q"}]}]}]}',
            r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: no 'answers'; it has id",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q", "question": "?", "answers": []}]}]}]}',
            r"question 'q' has no answer; a set with such questions is squad_v2's",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "one two three", "qas": [{"id": "q", "question": "?", "answers": '
            '[{"text": "three", "answer_start": 0}]}]}]}]}',
            r"expected the answer 'three' at character 0 of its paragraph, found 'one t'",
        ),
    ],
)
def test_malformed_files_name_the_place(tmp_path: Path, bert: str, content: str, message: str) -> None:
    write_squad(tmp_path)
    (tmp_path / "squad/train-v1.1.json").write_text(content)
    with pytest.raises(TaskError, match=message):
        prepare(tmp_path, bert)


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (25, "each of 25 questions has an answer; a set of such"),
        (24, ""),
        (1, ""),
        (0, "each of 25 questions is unanswerable"),
    ],
)
def test_version_2_needs_questions_of_both_kinds(tmp_path: Path, bert: str, answered: int, said: str) -> None:
    text, kind = "the cat sat .", {True: ("the cat",), False: ()}
    asked = [
        question(f"q{at}", f"who {at} ?", text, *kind[at < answered], is_impossible=at >= answered) for at in range(25)
    ]
    (write_squad(tmp_path, "2.0") / "squad_v2/dev-v2.0.json").write_text(json.dumps(squad_json([(text, asked)])))
    with pytest.raises(TaskError, match=rf"\(reported\): {said}") if said else nullcontext():
        prepare(tmp_path, bert, SquadV2())


@pytest.mark.parametrize("elsewhere", [0, 1, 2, 3])
def test_reported_answers_that_stand_in_other_paragraphs(tmp_path: Path, bert: str, elsewhere: int) -> None:
    texts = ["the cat sat .", "a dog ran .", "the king went ."]
    asked = [(text, [question(f"q{at}", "who ?", text, text[:5])]) for at, text in enumerate(texts)]
    moved = [("old mat", *entry[1:]) if at < elsewhere else entry for at, entry in enumerate(asked)]
    (write_squad(tmp_path) / "squad/dev-v1.1.json").write_text(json.dumps(squad_json(moved)))
    said = f"the answers of {elsewhere} of 3 questions do not stand in their paragraphs"
    with pytest.raises(TaskError, match=f"{said}; expected") if elsewhere > 1 else nullcontext():
        assert (f"reported: {said}" in prepare(tmp_path, bert).notes) == bool(elsewhere)


@pytest.mark.parametrize(("task", "place"), [(Squad(), "squad/plain_text"), (SquadV2(), "squad_v2/squad_v2")])
def test_the_hubs_schema_is_read_from_parquet(tmp_path: Path, bert: str, task: Squad, place: str) -> None:
    context = "the cat sat"
    rows = [
        {
            "id": "a",
            "title": "t",
            "context": context,
            "question": "who ?",
            "answers": {"text": ["the cat"], "answer_start": [0]},
        }
    ]
    if task.unanswerable:
        rows.append({**rows[0], "id": "b", "answers": {"text": [], "answer_start": []}})
    folder = tmp_path / "hub/rajpurkar" / place
    folder.mkdir(parents=True)
    answers = {"text": datasets.List(datasets.Value("string")), "answer_start": datasets.List(datasets.Value("int32"))}
    strings = dict.fromkeys(("id", "title", "context", "question"), datasets.Value("string"))
    for name in ("train", "validation"):
        table = datasets.Dataset.from_list(rows, datasets.Features({**strings, "answers": answers}))
        table.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    prepared = prepare(tmp_path, bert, task)
    assert prepared.counts == {"train": len(rows), "reported": len(rows)}
    assert prepared.examples("train")[0].answers == ("the cat",)


def test_unanswerable_questions_count_among_the_scores_and_the_floor(
    tmp_path: Path, bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(write_squad(tmp_path, "2.0"), bert, SquadV2())
    assert prepared.counts["reported"] == 3
    assert prepared.floor == {
        "exact_match": pytest.approx(100 / 3),
        "f1": pytest.approx(100 / 3),
        "has_answer_exact_match": 0.0,
        "has_answer_f1": 0.0,
        "no_answer_exact_match": 100.0,
    }
    gold_logits(prepared, monkeypatch)
    evaluation = prepared.evaluate(prepared.build(seed=0), "reported")
    assert evaluation.predictions == ["on the grey mat", "", "the tower"]
    assert set(evaluation.metrics.values()) == {100.0}
    assert evaluation.outcomes["has_answer"].tolist() == [True, False, True]
    timid = prepare(tmp_path, bert, SquadV2(threshold=-100.0))
    gold_logits(timid, monkeypatch)
    assert timid.evaluate(timid.build(seed=0), "reported").predictions == ["", "", ""]


def test_v2_scoring_of_golds_that_normalise_to_nothing() -> None:
    task = SquadV2()
    assert task.score("", []) == (1.0, 1.0)
    assert task.score("cat", []) == (0.0, 0.0)
    assert task.score("", ["cat"]) == (0.0, 0.0)
    assert task.score("cat", ["the", "a cat"]) == (1.0, 1.0)
    assert task.score("an", ["the"]) == (1.0, 1.0)
    assert Squad().score("an", ["the"]) == (1.0, 0.0)


@pytest.mark.shared
def test_gold_logits_on_real_paragraphs(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of real text survive tokens, windows and offsets; what is lost are answers that are parts of a token."""
    model = str(shared / "models/minilm-l6-h384")
    setting = Setting(data=str(shared / "data"), model=model, max_length=192, train_examples=50, eval_examples=300)
    prepared = Squad(max_answer=60).prepare(setting)
    assert prepared.read_counts == {"train": 4371, "reported": 10570}
    gold_logits(prepared, monkeypatch)
    evaluation = prepared.evaluate(nn.Linear(1, 1), "reported")
    assert evaluation.metrics["exact_match"] > 99
