"""SQuAD 2.0: as SQuAD, with questions that the paragraph does not answer, scored by the official script.

A question is left unanswered where [CLS] scores higher than the best span by more than `threshold`:
    null - best > threshold,   null the smallest start + end logit of [CLS] over the windows
Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822. The threshold is fixed, not tuned on the set that is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tasks.base import Outcomes, Setting, TaskError
from tasks.formats.sources import Hub, Layout
from tasks.metrics import classification as metrics
from tasks.pipeline.prepared import FEW
from tasks.squad import PreparedSquad, Question, Squad


@dataclass(frozen=True)
class SquadV2(Squad):
    """Extractive question answering with unanswerable questions."""

    unanswerable: ClassVar[bool] = True

    threshold: float = 0.0
    """How much better than the best span the null answer must score to be given."""

    def prepare(self, setting: Setting) -> "PreparedSquadV2":
        """Read, check and tokenize; TaskError names file and place of what is wrong."""
        return PreparedSquadV2(self, setting, self.layout())

    def layout(self) -> Layout:
        """The official json files, and the hub's parquet schema."""
        return Layout(
            {"train": ("squad_v2/train-v2.0.json",), "reported": ("squad_v2/dev-v2.0.json",)},
            Hub(
                "rajpurkar/squad_v2",
                "3ffb306f725f7d2ce8394bc1873b24868140c412",
                "squad_v2",
                {"train": ("train",), "reported": ("validation",)},
            ),
            {"train": 130319, "reported": 11873},
        )

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """EM and F1 in percent, over all questions, over those with an answer, and over those without."""
        answerable = outcomes["has_answer"].astype(bool)
        scores = super().aggregate(outcomes)
        for name in ("exact_match", "f1"):
            scores[f"has_answer_{name}"] = metrics.mean(outcomes[name][answerable])
        return scores | {"no_answer_exact_match": metrics.mean(outcomes["exact_match"][~answerable])}

    def score(self, prediction: str, golds: Sequence[str]) -> tuple[float, float]:
        """As the 2.0 script: golds that normalise to nothing do not count, and no gold left means the empty answer."""
        kept = [gold for gold in golds if metrics.normalize_answer(gold)] or [""]
        return metrics.answer_exact(prediction, kept), metrics.answer_f1(prediction, kept, empty_counts=True)


class PreparedSquadV2(PreparedSquad):
    """SQuAD 2.0 opened."""

    task: SquadV2

    def check_examples(self, examples: Sequence[Question], where: str, split: str) -> None:
        """As in v1.1; TaskError, too, where of more than a few questions all have answers, or none has: there is nothing to decide."""
        super().check_examples(examples, where, split)
        if len(examples) > FEW and len({bool(one.answers) for one in examples}) == 1:
            said = "has an answer; a set of such questions is squad's" if examples[0].answers else "is unanswerable"
            raise TaskError(f"{where}: each of {len(examples):,} questions {said}")

    def decide(self, answer: str, score: float, null: float) -> str:
        """The best span, or nothing where [CLS] scores higher by more than the threshold."""
        return "" if null - score > self.task.threshold else answer

    def scored(self, answers: Sequence[str], questions: Sequence[Question]) -> Outcomes:
        """EM and F1 [questions] of an answer to each, and whether the question has one."""
        has_answer = np.array([bool(question.answers) for question in questions])
        return super().scored(answers, questions) | {"has_answer": has_answer}

    @property
    def floor(self) -> dict[str, float]:
        """Metrics of leaving every question unanswered."""
        questions = self.examples("reported")
        return self.task.aggregate(self.scored([""] * len(questions), questions))
