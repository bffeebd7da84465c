"""Tagging words with entities: what `conll2003` and `conll` share, from words and IOB2 tags to entity F1.

A word's tag is predicted at its first sub-token; its other sub-tokens are neither trained on nor read. Words that have no
sub-token, or lie behind `max_length`, are predicted as O and count in the score; how many is noted in the record. A decision
is the first sub-token of a word.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from tasks.base import Batch, ModelError, Outcomes, Setting, Task, TaskError
from tasks.formats.columns import FEW, check_column, scan_columns
from tasks.formats.reading import as_list, as_text, each, each_row, field, shown
from tasks.formats.sources import Layout, Row
from tasks.formats.tags import SCHEMES, Sentence, check_scheme, entity_types, read_tag, to_iob2
from tasks.metrics.entities import entity_metrics, entity_outcomes
from tasks.metrics.hub import means
from tasks.pipeline.batching import Rows
from tasks.pipeline.decided import DECISIONS, picked
from tasks.pipeline.features import Feature, Features
from tasks.pipeline.prepared import Compared, PreparedTask

UNLABELLED = -100
SHORT = 5
"""Words of the longest sentence that other documents may hold too."""
ALONE = 0.9
"""Share of sentences of one word above which the words of a corpus have lost their sentences."""


@dataclass(frozen=True)
class WordTagging(Task):
    """Options of every tagging task."""

    headline: ClassVar[str] = "f1"

    scheme: str = "auto"
    """What the files' tags must follow, `iob1`, `iob2` or `bioes`; `auto` reads all three."""
    strict: bool = False
    """Count only entities that are well formed in IOB2 (seqeval's strict mode), not all that conlleval reads."""
    extra: str = ""
    """More metrics from the evaluate hub, joined by `+`, of lists of tags: `evaluate:poseval`."""
    word: str = "1"
    """The words' column: its number from 1, or its name where a header line or `# global.columns` names the columns."""
    tag: str = "-1"
    """The tags' column, likewise; -1 is the last."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in ("auto", *SCHEMES):
            raise TaskError(f"scheme is {self.scheme!r}; the choices are auto, {', '.join(SCHEMES)}")
        for name in ("word", "tag"):
            check_column(name, getattr(self, name))

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """Entity F1, precision and recall, micro-averaged, and F1 of each type, in percent."""
        return entity_metrics(outcomes) | means(outcomes)

    def read(self, path: Path) -> Iterator[Sentence | TaskError]:
        """The sentences of a column file, their tags in IOB2; TaskError with file and line of what breaks `scheme`."""

        def converted(one: Sentence) -> Sentence:
            if self.scheme != "auto":
                check_scheme(one, self.scheme, path)
            return Sentence(one.words, tuple(to_iob2(one.tags)), one.line)

        return each(scan_columns(path, self.word, self.tag, self.skip_malformed), converted, self.skip_malformed)


class PreparedTagging(PreparedTask[Sentence]):
    """A tagging task opened on data and an encoder, for the given entity types."""

    task: WordTagging
    auto = "AutoModelForTokenClassification"
    only_encoders = False
    hub_tags: ClassVar[tuple[str, ...]] = ()
    """Tags in the order in which the hub's rows number them; empty where these have texts alone."""

    def __init__(self, task: WordTagging, setting: Setting, layout: Layout, types: Sequence[str]) -> None:
        self.types = tuple(sorted(types))
        self.labels = ("O", *(f"{prefix}-{kind}" for kind in self.types for prefix in "BI"))
        super().__init__(task, setting, layout)
        self.notes += [note for note in (*map(self._lost, self.counts), self._untaught()) if note]

    @property
    def reading(self) -> tuple[object, ...]:
        """Sentences that are too long for `max_length` on average are refused where they are read."""
        return (self.setting.max_length,)

    @property
    def signatures(self) -> dict[str, str]:
        """How entities are counted."""
        from importlib.metadata import version

        mode = "strict|scheme:IOB2" if self.task.strict else "default"
        return {"f1": f"seqeval|micro|mode:{mode}|version:{version('seqeval')}"}

    @property
    def floor(self) -> dict[str, float]:
        """What tagging every word O scores."""
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0}

    @property
    def encoding(self) -> Mapping[str, Any]:
        """The labels' numbering and the length."""
        return {"labels": self.labels, "max_length": self.setting.max_length}

    def check_model(self) -> None:
        """ModelError unless the model tags tokens and its tokenizer tells which word a token is of."""
        super().check_model()
        if not self.tokenizer.is_fast:
            raise ModelError(
                f"model {self.setting.model!r} has no fast tokenizer, which tagging needs to place its tokens"
            )
        self.tokenizer = spaced(self.tokenizer)

    def read_file(self, path: Path, split: str) -> Iterator[Sentence | TaskError]:
        """The sentences of a column file; TaskError names the line of a tag of unknown type."""

        def known(sentence: Sentence) -> Sentence:
            return self._known(sentence, f"{path}:{sentence.line}")

        return each(self.task.read(path), known, self.task.skip_malformed)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterator[Sentence | TaskError]:
        """Rows with `tokens` and `ner_tags`, as texts or as numbers of `hub_tags`."""

        def sentence(row: Row, place: str) -> Sentence:
            tokens, given = (as_list(field(row, name, place), name, place) for name in ("tokens", "ner_tags"))
            words = tuple(as_text(word, "a token", place, blank=True) for word in tokens)
            tags = [self.tag_name(tag, place) for tag in given]
            if len(words) != len(tags):
                raise TaskError(f"{place}: {len(words)} tokens and {len(tags)} ner_tags")
            return self._known(Sentence(words, tuple(to_iob2(tags))), place)

        found = each_row(rows, where, sentence, self.task.skip_malformed)
        return (one for one in found if isinstance(one, TaskError) or one.words)

    def content(self, example: Sentence) -> object:
        """The words, wherever they stand in a file; short sentences, such as a match's result, recur by themselves."""
        return example.words if len(example.words) > SHORT else None

    def check_examples(self, examples: Sequence[Sentence], where: str, split: str) -> None:
        """TaskError where all words have one tag, which nothing can be learnt from or measured by, or stand alone, or where sentences
        have more words on average than `max_length` lets the model read."""
        tags = [tag for sentence in examples for tag in sentence.tags]
        if len(examples) > 1 and len(set(tags)) == 1:
            raise TaskError(
                f"{where}: the tag of all {len(tags):,} words is {tags[0]}; expected O and tags of entities"
            )
        alone = sum(len(sentence.words) == 1 for sentence in examples)
        if len(examples) > FEW and alone > ALONE * len(examples):
            raise TaskError(
                f"{where}: {alone:,} of {len(examples):,} sentences have one word; expected sentences of several words, in column "
                "files with blank lines between sentences alone, not after every word"
            )
        words = sum(len(sentence.words) for sentence in examples)
        if words > self.setting.max_length * len(examples):
            raise TaskError(
                f"{where}: {words:,} words in {len(examples):,} sentences, of which at most {self.setting.max_length} each can be "
                "read; expected blank lines between sentences, or a larger max_length"
            )

    def tag_name(self, tag: object, place: str) -> str:
        """A tag of the hub's rows by name."""
        if isinstance(tag, str) and (known := read_tag(tag)):
            return known
        if isinstance(tag, int) and not isinstance(tag, bool) and 0 <= tag < len(self.hub_tags):
            return self.hub_tags[tag]
        expected = f"a number from 0 to {len(self.hub_tags) - 1}" if self.hub_tags else "the text of a tag"
        raise TaskError(f"{place}: tag {shown(tag)}; expected {expected}")

    def _known(self, sentence: Sentence, place: str) -> Sentence:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            if tag not in self.labels:
                raise TaskError(f"{place}: {word!r} is tagged {tag!r}; the entity types are {', '.join(self.types)}")
        return sentence

    def encode(self, examples: Sequence[Sentence]) -> Iterator[Sequence[Feature]]:
        """One row a sentence: `labels` at the first sub-tokens, and the `words` that these stand for."""
        encoded = self.tokenizer(
            [list(sentence.words) for sentence in examples],
            is_split_into_words=True, truncation=True, max_length=self.setting.max_length,
        )  # fmt: skip
        numbers = {label: at for at, label in enumerate(self.labels)}
        names = [name for name in ("input_ids", "token_type_ids") if name in encoded]
        for position, sentence in enumerate(examples):
            first = _first_tokens(encoded.word_ids(position))
            labels = [UNLABELLED if word is None else numbers[sentence.tags[word]] for word in first]
            words = [word for word in first if word is not None]
            lost = len(sentence.words) - len(words)
            yield [{name: encoded[name][position] for name in names} | {"labels": labels, "words": words, "lost": lost}]

    def settings(self) -> dict[str, Any]:
        """The head's labels by name."""
        return {"id2label": dict(enumerate(self.labels))}

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [words], logits [words, labels] at the first sub-tokens, sentence after sentence, in fp32."""
        decided = batch["labels"] != UNLABELLED
        logits = picked(batch, decided, model(**self.model_inputs(batch)).logits).float()
        return nn.functional.cross_entropy(logits, picked(batch, decided, batch["labels"]), reduction="none"), logits

    def collate(self, features: Features, rows: Rows) -> Batch:
        """A padded batch of rows, and how many words each decides."""
        batch = super().collate(features, rows)
        return batch | {DECISIONS: (batch["labels"] != UNLABELLED).sum(1)}

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """Entity counts of every sentence, and its predicted tags joined by spaces."""
        examples, features = self.examples(split), self.features(split)
        predicted = [["O"] * len(sentence.words) for sentence in examples]
        for batch, logits in self.predicted(model, split):
            answers = iter(logits.argmax(1).tolist())
            for row in batch["index"].tolist():
                for word in features.row("words", row).tolist():
                    predicted[row][word] = self.labels[next(answers)]
        gold = [sentence.tags for sentence in examples]
        outcomes = entity_outcomes(gold, predicted, self.types, self.task.strict)
        return outcomes, [" ".join(tags) for tags in predicted]

    def compared(self, split: str, predictions: Sequence[str], outcomes: Outcomes) -> Compared:
        """Predicted tags of each sentence, and the gold ones."""
        return [tags.split() for tags in predictions], [sentence.tags for sentence in self.examples(split)]

    def _untaught(self) -> str:
        """A note that names the reported types of which training has no example; empty where there are none."""
        taught, asked = (entity_types(self.examples(split)) for split in ("train", "reported"))
        if not asked - taught:
            return ""
        missing = ", ".join(sorted(asked - taught))
        return f"reported: entities of types that no training example has, which count as missed: {missing}"

    def _lost(self, split: str) -> str:
        lost = self.features(split).scalar["lost"]
        cut = (
            f"{int(lost.sum())} words of {int((lost > 0).sum())} sentences lie behind {self.setting.max_length} tokens"
        )
        return f"{split}: {cut} or have none, and are predicted as O" if lost.any() else ""


def spaced(tokenizer: Any) -> Any:
    """The tokenizer, or a copy that reads each word as after a space where it would take words for pieces of one (byte-level
    BPE: RoBERTa, GPT-2, ModernBERT)."""
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    before = state["pre_tokenizer"] or {}
    levels = [part for part in before.get("pretokenizers", [before]) if part.get("type") == "ByteLevel"]
    if all(part["add_prefix_space"] for part in levels):
        return tokenizer
    for part in levels:
        part["add_prefix_space"] = True
    copied = copy.deepcopy(tokenizer)
    copied._tokenizer = Tokenizer.from_str(json.dumps(state))
    copied.add_prefix_space = True
    return copied


def _first_tokens(words: Sequence[int | None]) -> list[int | None]:
    """For each token the word that it is the first of, or None."""
    before = [None, *words[:-1]]
    return [word if word != previous else None for word, previous in zip(words, before, strict=True)]
