"""GLUE: nine sentence and sentence-pair tasks, scored on their development sets.

    glue/cola   Matthews correlation         glue/mrpc, glue/qqp    accuracy (headline), F1
    glue/stsb   Pearson (headline), Spearman glue/mnli  accuracy matched (headline: `accuracy`) and mismatched (`accuracy_mm`)
    glue/sst2, glue/qnli, glue/rte, glue/wnli   accuracy

Wang et al. 2018, https://arxiv.org/abs/1804.07461. Test labels are hidden, so the dev set is what is reported; whatever is
selected must be selected on `heldout`. Files are those of the GLUE zip (GLUE/RTE/train.tsv as glue/RTE/train.tsv).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.base import Outcomes, Setting, Task, TaskError
from tasks.formats.reading import LINE, as_integer, as_text, bounded, each, each_row, field, shown
from tasks.formats.sources import Hub, Layout, Row, read_text
from tasks.metrics import classification as metrics
from tasks.metrics.hub import means
from tasks.pipeline.features import Feature
from tasks.pipeline.prepared import Compared, PreparedTask

REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"

BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")

FEW, OFTEN = 20, 20
"""A column of at most FEW different texts, each in more than OFTEN examples on average, does not hold a benchmark's texts."""


@dataclass(frozen=True)
class Variant:
    """One task: its folder, the columns of its files and of the hub's rows, its labels (none: a score from 0 to 5)."""

    folder: str
    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    train: int
    dev: int
    metrics: tuple[str, ...] = ("accuracy",)
    hub_texts: tuple[str, ...] = ("sentence1", "sentence2")


VARIANTS = {
    "cola": Variant(
        "CoLA", ("3",), "1", BINARY, 8551, 1043, ("matthews_correlation", "accuracy"), ("sentence",)
    ),
    "sst2": Variant("SST-2", ("sentence",), "label", BINARY, 67349, 872, hub_texts=("sentence",)),
    "mrpc": Variant("MRPC", ("#1 String", "#2 String"), "Quality", BINARY, 3668, 408, ("accuracy", "f1")),
    "stsb": Variant("STS-B", ("sentence1", "sentence2"), "score", (), 5749, 1500, ("pearson", "spearman")),
    "qqp": Variant(
        "QQP", ("question1", "question2"), "is_duplicate", BINARY, 363846, 40430, ("accuracy", "f1"),
        hub_texts=("question1", "question2"),
    ),
    "mnli": Variant(
        "MNLI", ("sentence1", "sentence2"), "gold_label", ("entailment", "neutral", "contradiction"), 392702, 19647,
        hub_texts=("premise", "hypothesis"),
    ),
    "qnli": Variant(
        "QNLI", ("question", "sentence"), "label", ENTAILMENT, 104743, 5463, hub_texts=("question", "sentence")
    ),
    "rte": Variant("RTE", ("sentence1", "sentence2"), "label", ENTAILMENT, 2490, 277),
    "wnli": Variant("WNLI", ("sentence1", "sentence2"), "label", BINARY, 635, 71),
}  # fmt: skip


class Example(NamedTuple):
    """One or two texts with a class (int) or a score (float); `mismatched` marks MNLI's second development set."""

    texts: tuple[str, ...]
    label: int | float
    mismatched: bool = False


@dataclass(frozen=True)
class Glue(Task):
    """One of the nine tasks, `glue/<variant>`."""

    variants: ClassVar[tuple[str, ...]] = tuple(VARIANTS)

    extra: str = ""
    """More metrics from the evaluate hub, joined by `+`, of class numbers (STS-B: scores): `evaluate:f1?average=macro`."""

    @property
    def spec(self) -> Variant:
        """What is particular to this variant."""
        if self.variant not in VARIANTS:
            raise TaskError(f"unknown variant glue/{self.variant}; the choices are {', '.join(VARIANTS)}")
        return VARIANTS[self.variant]

    @property
    def metric(self) -> str:
        """The first metric of the variant."""
        return self.spec.metrics[0]

    def prepare(self, setting: Setting) -> "PreparedGlue":
        """Read, check and tokenize; TaskError names file and line of what is wrong."""
        return PreparedGlue(self, setting, self.layout())

    def layout(self) -> Layout:
        """The files of the GLUE zip, and the hub's parquet schema."""
        spec, mnli = self.spec, self.variant == "mnli"
        dev = ("dev_matched", "dev_mismatched") if mnli else ("dev",)
        names = {"train": ("train",), "reported": dev}
        hub = {split: tuple(name.replace("dev", "validation") for name in parts) for split, parts in names.items()}
        return Layout(
            {split: tuple(f"glue/{spec.folder}/{name}.tsv" for name in parts) for split, parts in names.items()},
            Hub("nyu-mll/glue", REVISION, self.variant, hub),
            {"train": spec.train, "reported": spec.dev},
        )

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """The variant's metrics in percent from `prediction`, `label` and, for MNLI, `mismatched`, each [examples]."""
        prediction, label = outcomes["prediction"], outcomes["label"]
        if "mismatched" not in outcomes:
            return {name: getattr(metrics, name)(prediction, label) for name in self.spec.metrics} | means(outcomes)
        parts = {"accuracy": ~outcomes["mismatched"], "accuracy_mm": outcomes["mismatched"]}
        found = {name: metrics.accuracy(prediction[chosen], label[chosen]) for name, chosen in parts.items()}
        return found | means(outcomes)


class PreparedGlue(PreparedTask[Example]):
    """A GLUE task opened: classification by cross-entropy, STS-B by squared error."""

    task: Glue
    only_encoders = False

    @property
    def shortest(self) -> int:
        """As of any task; a pair needs a token of either text."""
        pair = len(self.task.spec.texts) == 2 and self.tokenizer.sep_token is not None
        return int(self.tokenizer.num_special_tokens_to_add(pair=pair)) + 1 + pair

    def read_file(self, path: Path, split: str) -> Iterator[Example | TaskError]:
        """The rows of a TSV file: no quoting, a header in all but CoLA."""
        spec, header = self.task.spec, self.task.variant != "cola"

        def example(row: tuple[int, list[str]]) -> Example:
            try:
                return parse(row[1], spec, path.stem.endswith("mismatched"))
            except ValueError as error:
                raise TaskError(f"{path}:{row[0]}: {error}") from error

        return each(read_tsv(path, header, columns=(*spec.texts, spec.label)), example, self.task.skip_malformed)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterator[Example | TaskError]:
        """Rows of nyu-mll/glue: named texts, and `label` as a class number or a score."""
        spec = self.task.spec

        def example(row: Row, place: str) -> Example:
            texts = tuple(as_text(field(row, name, place), name, place, blank=True) for name in spec.hub_texts)
            label = field(row, "label", place)
            found = class_number(label, len(spec.labels), place) if spec.labels else rating(label, place)
            return Example(texts, found, where.endswith("mismatched"))

        return each_row(rows, where, example, self.task.skip_malformed)

    def check_examples(self, examples: Sequence[Example], where: str, split: str) -> None:
        """TaskError where all labels are the same, which nothing can be learnt from or measured by, where the scores of more than a
        few examples are on another scale, where a column of texts holds a few that recur (it is another column, or has lost its
        texts), or where most pairs are one text twice."""
        columns, labels, count = self.task.spec.texts, self.task.spec.labels, len(examples)
        if count > 1 and len({one.label for one in examples}) == 1:
            found = labels[int(examples[0].label)] if labels else f"{examples[0].label:g}"
            wanted = " and ".join(labels) or "scores that differ"
            raise TaskError(f"{where}: the label of all {count:,} examples is {found}; expected {wanted}")
        if not labels and count > OFTEN and (most := max(one.label for one in examples)) <= 1:
            raise TaskError(
                f"{where}: the largest score of {count:,} examples is {most:g}; expected scores from 0 to 5, not from 0 to 1"
            )
        for column, texts in zip(columns, zip(*(one.texts for one in examples), strict=True), strict=True):
            different = set(texts)
            if len(different) <= FEW and count > OFTEN * len(different):
                raise TaskError(
                    f"{where}: column {column!r} has {len(different)} different texts in {count:,} examples, such as "
                    f"{shown(min(different))}; expected texts that differ"
                )
        same = [one.texts[0] for one in examples if len(set(one.texts)) == 1]
        if len(columns) == 2 and count > OFTEN and 2 * len(same) > count:
            raise TaskError(
                f"{where}: both texts of {len(same):,} of {count:,} examples are the same, such as {shown(same[0])}; expected two "
                "columns of texts"
            )

    def content(self, example: Example) -> object:
        """The texts, whatever their label and whichever of MNLI's files they stand in."""
        return example.texts

    def encode(self, examples: Sequence[Example]) -> Iterator[Sequence[Feature]]:
        """One row per example, both texts in it, the longer one cut first."""
        first = [example.texts[0] for example in examples]
        second = [example.texts[1] for example in examples] if len(examples[0].texts) == 2 else None
        if second and self.tokenizer.sep_token is None:  # decoders know no pairs
            first, second = [f"{one}\n{other}" for one, other in zip(first, second, strict=True)], None
        options = {"truncation": True, "max_length": self.setting.max_length, "return_token_type_ids": self.segments}
        encoded = self.tokenizer(first, second, **options)
        names = [name for name in ("input_ids", "token_type_ids") if name in encoded]
        for position, example in enumerate(examples):
            yield [{name: encoded[name][position] for name in names} | {"label": example.label}]

    def settings(self) -> dict[str, Any]:
        """The head's classes by name; one output where the label is a score."""
        return {"id2label": dict(enumerate(self.task.spec.labels or ("score",)))}

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [batch], logits [batch, classes]."""
        logits = model(**self.model_inputs(batch)).logits.float()
        if not self.task.spec.labels:
            return (logits.squeeze(1) - batch["label"]).square(), logits
        return nn.functional.cross_entropy(logits, batch["label"], reduction="none"), logits

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """Predicted class or score and label of every example; predictions by name."""
        examples, labels = self.examples(split), self.task.spec.labels
        predicted = torch.zeros(len(examples), dtype=torch.int64 if labels else torch.float32)
        for batch, logits in self.predicted(model, split):
            answers = logits.argmax(1) if labels else logits.squeeze(1)
            predicted[batch["index"].cpu()] = answers.cpu()
        outcomes = self._outcomes(predicted.numpy(), examples)
        return outcomes, [labels[at] if labels else f"{at:.3f}" for at in predicted.tolist()]

    def compared(self, split: str, predictions: Sequence[str], outcomes: Outcomes) -> Compared:
        """Predicted classes or scores, and those of the labels; in MNLI over both development sets."""
        return outcomes["prediction"].tolist(), [[label] for label in outcomes["label"].tolist()]

    @property
    def floor(self) -> dict[str, float]:
        """What the best constant answer scores on the reported split, for each metric (STS-B, CoLA's Matthews: 0)."""
        examples = self.examples("reported")
        kind = np.int64 if self.task.spec.labels else np.float32
        return self.task.floor(self._outcomes(np.zeros(len(examples), kind), examples))

    def _outcomes(self, predicted: metrics.Numbers, examples: Sequence[Example]) -> Outcomes:
        outcomes: Outcomes = {"prediction": predicted, "label": np.array([e.label for e in examples], predicted.dtype)}
        mismatched = np.array([example.mismatched for example in examples])
        return outcomes | ({"mismatched": mismatched} if mismatched.any() else {})


def class_number(label: object, classes: int, place: str) -> int:
    """A hub row's label; TaskError at `place` where it is no class."""
    found = as_integer(label, "label", place)
    if found not in range(classes):
        raise TaskError(f"{place}: label {shown(label)} is none of 0 to {classes - 1}")
    return found


def rating(label: object, place: str) -> float:
    """A hub row's score; TaskError at `place` where it is no number from 0 to 5."""
    if isinstance(label, bool) or not isinstance(label, int | float) or not 0 <= label <= 5:
        raise TaskError(f"{place}: score {shown(label)} is no number from 0 to 5")
    return float(label)


def read_tsv(path: Path, header: bool, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]] | TaskError]:
    """(line number, the fields of `columns`) of every row; TaskError in the place of a row of another width than the first.

    Columns are named by the header, or by position where there is none. Lines end at LF or CRLF alone, and a quote is a
    character like any other: GLUE's sentences hold bare ones.
    """
    lines = read_text(path).split("\n")
    bounded(lines[0], f"{path}:1")
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    names = lines[0].removesuffix("\r").split("\t")
    if not header:
        names = [str(position) for position in range(len(names))]
    absent = [column for column in columns if column not in names]
    if absent:
        tabs = "" if len(names) > 1 else " (no tab, which separates columns)"
        raise TaskError(
            f"{path}:1: no column {absent[0]!r}; expected {', '.join(columns)}, found {', '.join(names)}{tabs}"
        )
    twice = [column for column in columns if names.count(column) > 1]
    if twice:
        raise TaskError(f"{path}:1: two columns are called {twice[0]!r}: {', '.join(names)}")
    places = [names.index(column) for column in columns]
    for number, line in enumerate(lines[header:], start=1 + header):
        if len(line) > LINE:
            yield TaskError(f"{path}:{number}: {len(line):,} characters in one line; expected {LINE:,} at most")
            continue
        fields = line.removesuffix("\r").split("\t")
        if len(fields) == len(names):
            yield number, [fields[place] for place in places]
        else:
            yield TaskError(f"{path}:{number}: {len(fields)} tab-separated columns, expected {len(names)}")


def parse(fields: list[str], spec: Variant, mismatched: bool) -> Example:
    """The example of a row's texts and label (last); ValueError says what is wrong with it."""
    *texts, label = fields
    if not spec.labels:
        try:
            score = float(label)
        except ValueError:
            raise ValueError(f"score {shown(label)} is not a number") from None
        if not 0 <= score <= 5:
            raise ValueError(f"score {shown(label)} is not between 0 and 5")
        return Example(tuple(texts), score)
    if label not in spec.labels:
        raise ValueError(f"label {shown(label)} is none of {', '.join(spec.labels)}")
    return Example(tuple(texts), spec.labels.index(label), mismatched)
