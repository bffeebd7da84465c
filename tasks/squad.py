"""SQuAD v1.1: answers are spans of a paragraph, scored by the official script's exact match and F1 on its development set.

A question and its paragraph make several windows where they are longer than `max_length`: the question is repeated, the
paragraph cut into overlapping pieces, and a predicted span lies within one window's paragraph, never in the question.
Training points at the answer's first and last token, or at [CLS] in windows without it. Prediction takes the span with the
largest sum of start and end logit, over all windows, of at most `max_answer` tokens.

Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; windows as in Devlin et al. 2019.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.base import ModelError, Outcomes, Setting, Task, TaskError
from tasks.formats.reading import as_integer, as_list, as_text, each, each_row, field, shown
from tasks.formats.sources import Hub, Layout, Row, read_json
from tasks.metrics import classification as metrics
from tasks.metrics.hub import means
from tasks.pipeline.features import Feature
from tasks.pipeline.prepared import Compared, PreparedTask
from tasks.pipeline.spans import best_spans, locate, null_scores, paragraph, positions, token_span

MASKED = -1e4
"""Logit of positions that cannot be an answer: no probability in fp32, yet finite for regularizers."""

LEAST = 16
"""Shortest window, in tokens, that leaves question and paragraph some room."""


class Question(NamedTuple):
    """A question with its paragraph; `answers` are the gold texts, `begins` their first characters; none: unanswerable."""

    id: str
    text: str
    context: str
    answers: tuple[str, ...]
    begins: tuple[int, ...]


@dataclass(frozen=True)
class Squad(Task):
    """Extractive question answering, every question answerable."""

    headline: ClassVar[str] = "f1"
    unanswerable: ClassVar[bool] = False

    stride: int = 128
    """Tokens of the paragraph that neighbouring windows share (fewer where `max_length` leaves room for fewer than twice that)."""
    max_question: int = 64
    """Questions are cut to so many tokens."""
    max_answer: int = 30
    """Longest predicted answer, in tokens."""
    extra: str = ""
    """More metrics from the evaluate hub, joined by `+`, of answers as texts: `evaluate:bertscore`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("stride", 0), ("max_question", 1), ("max_answer", 1)):
            if getattr(self, name) < least:
                raise TaskError(f"{name} is {getattr(self, name)}; expected at least {least}")

    def prepare(self, setting: Setting) -> "PreparedSquad":
        """Read, check and tokenize; TaskError names file and place of what is wrong."""
        return PreparedSquad(self, setting, self.layout())

    def layout(self) -> Layout:
        """The official json files, and the hub's parquet schema."""
        return Layout(
            {"train": ("squad/train-v1.1.json",), "reported": ("squad/dev-v1.1.json",)},
            Hub(
                "rajpurkar/squad",
                "7b6d24c440a36b6815f21b70d25016731768db1f",
                "plain_text",
                {"train": ("train",), "reported": ("validation",)},
            ),
            {"train": 87599, "reported": 10570},
        )

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """Means of `exact_match` and `f1` [questions], in percent."""
        return {name: metrics.mean(outcomes[name]) for name in ("exact_match", "f1")} | means(outcomes)

    def score(self, prediction: str, golds: Sequence[str]) -> tuple[float, float]:
        """Exact match and F1, in [0, 1], of one prediction."""
        return metrics.answer_exact(prediction, golds), metrics.answer_f1(prediction, golds)


class PreparedSquad(PreparedTask[Question]):
    """SQuAD opened: two decisions a window, the first and the last token of the answer."""

    task: Squad
    auto = "AutoModelForQuestionAnswering"

    @property
    def encoding(self) -> Mapping[str, Any]:
        """How the windows are cut; what only prediction reads is left out."""
        options = {"stride": self.task.stride, "max_question": self.task.max_question}
        return options | {"max_length": self.setting.max_length}

    def check_model(self) -> None:
        """ModelError unless there is an encoder, a [CLS] to point at, and a tokenizer that knows each token's place in the text."""
        super().check_model()
        if self.tokenizer.cls_token_id is None or not self.tokenizer.is_fast:
            raise ModelError(
                f"model {self.setting.model!r} has no fast tokenizer with a [CLS] token, which span tasks need"
            )
        if self.setting.max_length < LEAST:
            raise TaskError(
                f"max_length is {self.setting.max_length}; question and paragraph need at least {LEAST} tokens"
            )

    def read_file(self, path: Path, split: str) -> Iterator[Question | TaskError]:
        """The questions of an official json file."""
        _, found = read_json(path)
        articles = found.get("data") if isinstance(found, dict) else None
        if not isinstance(articles, list):
            raise TaskError(f"{path}:1: expected an object with `data`, a list of articles")

        def question(entry: tuple[str, Any, Any]) -> Question:
            place, context, asked = entry
            given = asked.get("is_impossible", False) if isinstance(asked, dict) else False
            if not isinstance(given, bool):
                raise TaskError(f"{place}: is_impossible is {shown(given)}; expected true or false")
            if given and asked.get("answers"):
                raise TaskError(
                    f"{place}: is_impossible is true, and answers is {shown(asked['answers'])}; expected none"
                )
            answers = [] if given else as_list(field(asked, "answers", place), "answers", place)
            if "is_impossible" in asked and not given and not answers:
                raise TaskError(f"{place}: is_impossible is false, and answers is []; expected an answer")
            pairs = [
                (field(answer, "text", f"{place}.answers[{a}]"), field(answer, "answer_start", f"{place}.answers[{a}]"))
                for a, answer in enumerate(answers)
            ]
            return self.question(asked, context, pairs, place, split)

        return each(_entries(articles, path), question, self.task.skip_malformed)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterator[Question | TaskError]:
        """Rows of rajpurkar/squad: answers as lists of text and answer_start."""

        def question(row: Row, place: str) -> Question:
            answers = field(row, "answers", place)
            names = ("text", "answer_start")
            texts, begins = (as_list(field(answers, name, place), name, place) for name in names)
            if len(texts) != len(begins):
                raise TaskError(f"{place}: {len(texts)} answers with {len(begins)} places")
            return self.question(row, field(row, "context", place), zip(texts, begins, strict=True), place, split)

        return each_row(rows, where, question, self.task.skip_malformed)

    def question(
        self, asked: Any, context: Any, answers: Iterable[tuple[Any, Any]], place: str, split: str
    ) -> Question:
        """The question of a record with `id` and `question`, its answers' places mended.

        TaskError where an answer is missing, or while training not in the paragraph; in evaluation such a one begins at -1.
        """
        known = [
            (as_text(one, "an answer's text", place), as_integer(at, "an answer's answer_start", place))
            for one, at in answers
        ]
        name = _name(field(asked, "id", place), place)
        text = as_text(field(asked, "question", place), "question", place, blank=True).strip()
        context = as_text(context, "context", place)
        if not known and not self.task.unanswerable:
            raise TaskError(f"{place}: question {name!r} has no answer; a set with such questions is squad_v2's")
        begins = [locate(context, answer, begin) for answer, begin in known]
        if split == "train" and None in begins:
            answer, begin = known[begins.index(None)]
            found = context[max(begin, 0) :][: len(answer)]
            raise TaskError(
                f"{place}: question {name!r}: expected the answer {answer!r} at character {begin} of its paragraph, found {found!r}"
            )
        places = tuple(-1 if begin is None else begin for begin in begins)
        return Question(name, text, context, tuple(answer for answer, _ in known), places)

    def check_examples(self, examples: Sequence[Question], where: str, split: str) -> None:
        """A note counts questions whose answers do not stand in their paragraph; TaskError where these are most."""
        lost = sum(bool(one.answers) and not any(answer in one.context for answer in one.answers) for one in examples)
        said = f"the answers of {lost:,} of {len(examples):,} questions do not stand in their paragraphs"
        if 2 * lost > len(examples):
            raise TaskError(f"{where}: {said}; expected each question with its own paragraph")
        if lost:
            self.notes.append(f"{split}: {said}")

    def content(self, example: Question) -> object:
        """Question and paragraph, whatever the id."""
        return example.text, example.context

    def encode(self, examples: Sequence[Question]) -> Iterator[Sequence[Feature]]:
        """The windows of each question: tokens, each token's characters, the paragraph's place, the answer's place."""
        room = self.setting.max_length - self.tokenizer.num_special_tokens_to_add(pair=True)
        longest = min(self.task.max_question, room // 2)
        encoded = self.tokenizer(
            self._shortened([question.text for question in examples], longest),
            [question.context for question in examples],
            truncation="only_second",
            max_length=self.setting.max_length,
            stride=min(self.task.stride, (room - longest) // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=self.segments,
        )
        windows: list[list[Feature]] = [[] for _ in examples]
        for at, owner in enumerate(encoded["overflow_to_sample_mapping"]):
            windows[owner].append(self._window(encoded, at, examples[owner]))
        return iter(windows)

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [2 * windows] and logits [2 * windows, length]: all starts, then all ends; impossible positions masked."""
        output = model(**self.model_inputs(batch))
        logits = torch.cat([output.start_logits, output.end_logits]).float()
        possible = paragraph(batch) | (positions(batch) == batch["cls"][:, None])
        logits = logits.masked_fill(~possible.repeat(2, 1), MASKED)
        return nn.functional.cross_entropy(logits, torch.cat([batch["start"], batch["end"]]), reduction="none"), logits

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """EM and F1 of every question, and the predicted answers."""
        answers = self.answers(model, split)
        return self.scored(answers, self.examples(split)), answers

    def scored(self, answers: Sequence[str], questions: Sequence[Question]) -> Outcomes:
        """EM and F1 [questions] of an answer to each."""
        pairs = zip(answers, questions, strict=True)
        scores = np.array([self.task.score(answer, question.answers) for answer, question in pairs])
        return {"exact_match": scores[:, 0], "f1": scores[:, 1]}

    def compared(self, split: str, predictions: Sequence[str], outcomes: Outcomes) -> Compared:
        """Predicted answers, and the gold ones of each question; the empty text where there is none."""
        return predictions, [question.answers or ("",) for question in self.examples(split)]

    def answers(self, model: nn.Module, split: str) -> list[str]:
        """The best span of every question as text; what may be left unanswered is the empty text."""
        features, questions = self.features(split), self.examples(split)
        best = np.full(len(questions), -np.inf)
        null = np.full(len(questions), np.inf)
        answers = [""] * len(questions)
        for batch, logits in self.predicted(model, split):
            spans = best_spans(logits, paragraph(batch), self.task.max_answer)
            columns = (batch["index"], *spans, null_scores(logits, batch["cls"]))
            for row, score, start, end, nothing in zip(*(column.tolist() for column in columns), strict=True):
                question = features.example[row]
                null[question] = min(null[question], nothing)
                if score > best[question]:
                    best[question] = score
                    span = slice(features.row("begins", row)[start], features.row("ends", row)[end])
                    answers[question] = questions[question].context[span].strip()
        return [self.decide(*entry) for entry in zip(answers, best, null, strict=True)]

    def decide(self, answer: str, score: float, null: float) -> str:
        """The answer given: here always the best span."""
        return answer

    def _shortened(self, texts: list[str], longest: int) -> list[str]:
        """Questions cut to `longest` tokens, at a token's end."""
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return [
            text[: offsets[longest - 1][1]] if len(offsets) > longest else text
            for text, offsets in zip(texts, encoded, strict=True)
        ]

    def _window(self, encoded: Any, at: int, question: Question) -> Feature:
        tokens, parts = encoded["input_ids"][at], encoded.sequence_ids(at)
        cls = tokens.index(self.tokenizer.cls_token_id)
        inside = [position for position, part in enumerate(parts) if part == 1]
        first, last = (inside[0], inside[-1]) if inside else (cls, cls - 1)
        begins, ends = ([pair[side] for pair in encoded["offset_mapping"][at]] for side in (0, 1))
        begin = question.begins[0] if question.answers else 0
        length = len(question.answers[0]) if question.answers else 0
        start, end = token_span(begins, ends, first, last, begin, begin + length) or (cls, cls)
        row = {"input_ids": tokens, "begins": begins, "ends": ends, "first": first, "last": last, "cls": cls}
        if "token_type_ids" in encoded:
            row["token_type_ids"] = encoded["token_type_ids"][at]
        return row | {"start": start, "end": end}


def _name(value: Any, place: str) -> str:
    """A question's id, which some files have as a number."""
    return str(value) if type(value) is int else as_text(value, "id", place)


def _entries(articles: list[Any], path: Path) -> Iterator[tuple[str, Any, Any] | TaskError]:
    """(place, paragraph's text, question entry) of an official file's nested lists; a TaskError for an entry that is none."""
    for a, article in enumerate(articles):
        try:
            paragraphs = _list(article, "paragraphs", f"{path}: data[{a}]")
        except TaskError as error:
            yield error
            continue
        for p, holder in enumerate(paragraphs):
            place = f"{path}: data[{a}].paragraphs[{p}]"
            try:
                context = as_text(field(holder, "context", place), "context", place)
                asked = _list(holder, "qas", place)
            except TaskError as error:
                yield error
                continue
            yield from ((f"{place}.qas[{q}]", context, entry) for q, entry in enumerate(asked))


def _list(holder: Any, name: str, place: str) -> list[Any]:
    if not isinstance(holder, dict) or not isinstance(holder.get(name), list):
        raise TaskError(f"{place}: expected an object with a list `{name}`")
    return as_list(holder[name], name, place)
