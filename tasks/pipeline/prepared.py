"""`PreparedTask`: the `Prepared` (tasks/base.py) that all tasks here derive from, so that a task's file holds only what is its own.

A task fills in

    read_file(path, split)      one of the benchmark's own files -> examples        (TaskError with file:line)
    read_rows(rows, where, split)   rows of the hub's schema -> examples            (both may yield one in an example's place)
    encode(examples)            examples -> for each, one or more rows of integers  (several: windows, references)
    settings()                  the configuration its head needs
    forward(model, batch)       losses [decisions], logits [decisions, classes]
    outcomes(model, split)      per-example numbers and predicted texts

and gets reading, limits, the held-out part, tokenizing once, batches, model building, evaluation and saving.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tasks.base import Batch, Evaluation, ModelError, Outcomes, Prepared, Setting, Task, TaskError, in_eval_mode
from tasks.formats.sources import Files, Layout, Row, hash_text, open_source
from tasks.metrics.hub import hub_scores, parse
from tasks.pipeline.batching import Rows, budgeted, carve, grouped, in_order, sample
from tasks.pipeline.cache import Recent, cached
from tasks.pipeline.checkpoints import open_checkpoint
from tasks.pipeline.decided import moved
from tasks.pipeline.features import Feature, Features, collate, pack
from tasks.pipeline.known_words import check_tokens
from tasks.pipeline.model_files import unused_rows

E = TypeVar("E")

Compared = tuple[Sequence[Any], Sequence[Sequence[Any]]]
"""Predictions, and the references of each."""

CHUNK = 2000
"""Examples handed to the tokenizer at once."""

MODEL_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
"""What a batch may hold for the model's `forward`; a checkpoint's `inputs` say which of them its class takes."""

EVALUATION_ROWS, EVALUATION_TOKENS, EVALUATION_LEAST = 256, 16384, 2048
"""Bounds of an evaluation batch, in rows and in padded tokens, and the tokens from which rows must be of like length."""

SHARED = 0.02
"""Up to this share of the reported examples may be training examples too, as in the benchmarks themselves (1.3 % of CoLA's)."""

FEW = 20
"""Examples up to which repeated ones say nothing of a file."""

_reads: Recent[tuple[Sequence[Any], Sequence[str]]] = Recent(16)


@dataclass(frozen=True)
class Split(Generic[E]):
    """The examples of a split after limits and carving, and their tokenized rows."""

    examples: Sequence[E]
    features: Features


class PreparedTask(Prepared, Generic[E]):
    """A task opened on data and a checkpoint; see the module for what a task fills in."""

    auto: str = "AutoModelForSequenceClassification"
    """The transformers class that builds model and head."""
    embedded: ClassVar[str] = "encoder"
    """What `model: mini` stands for: the folder of that name below tasks/mini."""
    version: ClassVar[int] = 1
    """Add one when `encode` changes, so that no cache of an older encoding is read."""
    only_encoders: ClassVar[bool] = True
    """Refuse encoder-decoders, whose heads read a decoder's states."""

    def __init__(self, task: Task, setting: Setting, layout: Layout) -> None:
        self.task, self.setting = task, setting
        extra = getattr(task, "extra", "")
        self.extra = parse(extra) if isinstance(extra, str) else []
        """Metrics of the evaluate hub that an option `extra` names: `compared` is then asked, and `aggregate` adds `means`."""
        self.metric, self.lower_is_better = task.metric, task.lower_is_better
        self.checkpoint = open_checkpoint(setting.model, self.embedded, setting.trust_remote_code)
        self.model_fingerprint = self.checkpoint.fingerprint
        self.tokenizer = self.checkpoint.tokenizer
        self.check_model()
        self.inputs = self.checkpoint.inputs(self.auto)
        self.read_counts: dict[str, int] = {}
        """Examples that each split's files hold, before limits and carving."""
        self.notes: list[str] = []
        """What a reader of the numbers must know: samples of a benchmark, limits, rows passed over."""
        if self.checkpoint.own_code:
            self.notes.append("the model ran code of its own repository (--trust-remote-code)")
        if note := unused_rows(self.tokenizer, self.checkpoint.vocabulary):
            self.notes.append(note)
        settings = self._known_settings()
        if settings is not None:
            self.notes += self.checkpoint.try_out(self.auto, self.longest, **settings)
        self.source = open_source(setting.data, layout)
        self.data_fingerprint = hash_text(self.source.fingerprint("train") + self.source.fingerprint("reported"))
        self._splits = self._open()
        if settings is None:
            self.notes += self.checkpoint.try_out(self.auto, self.longest, **self.settings())
        self.counts = {name: len(split.examples) for name, split in self._splits.items()}
        self.rows = {name: len(split.features) for name, split in self._splits.items()}
        self.splits = self._describe()
        self.notes += [*self._samples(layout), *self._trained_on()]
        self._check_tokens()

    # What a task fills in.

    def read_file(self, path: Path, split: str) -> Iterable[E | TaskError]:
        """The examples of one of the benchmark's own files; what it appends to `notes` goes into the record.

        A record that cannot be read is raised as TaskError, or yielded as one where the task passes over it (`reading.each`).
        """
        raise NotImplementedError

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[E | TaskError]:
        """The examples of rows in the hub's schema; `where` names their place in error messages."""
        raise NotImplementedError

    def check_examples(self, examples: Sequence[E], where: str, split: str) -> None:
        """TaskError where the examples read for `split` cannot be a benchmark's; what it appends to `notes` goes into the record."""

    def encode(self, examples: Sequence[E]) -> Iterable[Sequence[Feature]]:
        """For each example its tokenized rows, all with the same columns."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What the model's configuration must say: number of labels and the like. Asked before data are read, and again after
        that where it raises without them."""
        return {}

    def content(self, example: E) -> object:
        """What makes an example the same one as another, in whichever file; None where two may be alike by chance."""
        return example

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """Per-example numbers and predicted texts of a model in eval mode, gradients off."""
        raise NotImplementedError

    def compared(self, split: str, predictions: Sequence[str], outcomes: Outcomes) -> Compared:
        """What the hub's metrics get: a prediction for each example, and its references."""
        raise NotImplementedError

    def check_model(self) -> None:
        """ModelError where the checkpoint does not fit the task, TaskError where `max_length` does not; before data are read."""
        config, name = self.checkpoint.config, self.setting.model
        if self.only_encoders and self.checkpoint.encoder_decoder:
            raise ModelError(f"model {name!r} is an encoder-decoder ({config.model_type}); this task needs an encoder")
        self.checkpoint.model_class(self.auto)
        if self.auto != "AutoModelForCausalLM" and is_masked(config) and getattr(config, "is_decoder", False):
            raise ModelError(
                f"model {name!r} says is_decoder in its configuration: its first token, which this task reads, would see no other; "
                "remove it"
            )
        first, encoder = self.tokenizer.cls_token_id, fills_blanks(config) and not self.checkpoint.encoder_decoder
        if encoder and first not in (None, *self.tokenizer("a")["input_ids"]):
            raise ModelError(
                f"the tokenizer of model {name!r} puts no {self.tokenizer.cls_token} before a text, which the model has learnt to "
                "read there: save the tokenizer with its post-processor"
            )
        bound = self.checkpoint.positions
        if bound is not None and self.setting.max_length > bound:
            raise ModelError(
                f"max_length is {self.setting.max_length}, but model {name!r} takes at most {bound} tokens"
            )
        if self.setting.max_length < self.shortest:
            raise TaskError(
                f"max_length is {self.setting.max_length}; an input needs {self.shortest} tokens at least, for the tokenizer's own "
                "and one of each text"
            )

    @property
    def shortest(self) -> int:
        """Tokens of the shortest input that holds any text: what the tokenizer adds, and one token."""
        return int(self.tokenizer.num_special_tokens_to_add()) + 1

    @property
    def longest(self) -> int:
        """Tokens of the longest input that the model may get."""
        return self.setting.max_length

    @property
    def encoding(self) -> Mapping[str, Any]:
        """What `encode` depends on besides examples and tokenizer: the cache's key. All options, unless a task knows better."""
        return {"options": asdict(self.task), "max_length": self.setting.max_length}

    @property
    def reading(self) -> tuple[object, ...]:
        """What the examples of a file depend on besides the task and the file; nothing, unless a task cuts text by its tokens."""
        return ()

    @property
    def segments(self) -> bool:
        """Whether the tokenizer shall say which of two texts a token is of: where the model has two segments."""
        return "token_type_ids" in self.inputs

    @property
    def pads(self) -> Mapping[str, int]:
        """Ragged columns that go into a batch, with their padding."""
        known = {
            "input_ids": self.tokenizer.pad_token_id,
            "token_type_ids": getattr(self.tokenizer, "pad_token_type_id", 0),
            "labels": -100,
        }
        columns = self._splits["train"].features.ragged
        return {name: pad for name, pad in known.items() if name in columns and name in self.inputs | {"labels"}}

    @property
    def drawn(self) -> frozenset[str]:
        """Parameters that the checkpoint lacks for this task."""
        return self.checkpoint.drawn(self.auto, **self.settings())

    # What a task gets.

    def examples(self, split: str) -> Sequence[E]:
        """The examples of `train`, `heldout` or `reported`; a batch's rows belong to them by `features(split).example`."""
        return self._split(split).examples

    def features(self, split: str) -> Features:
        """The tokenized rows of a split; a batch's `index` counts them (an example's windows each count)."""
        return self._split(split).features

    def build(self, seed: int) -> nn.Module:
        """The checkpoint with this task's head, fp32 on the CPU; what the files lack is drawn under `seed`."""
        return self.checkpoint.build(self.auto, seed, **self.settings())

    def batches(self, split: str, size: int, seed: int | None) -> Iterator[Batch]:
        """One pass over the rows of `split`; `seed` decides alone, so every cell of that seed sees the same batches."""
        features = self.features(split)
        order = in_order(len(features), size) if seed is None else grouped(features.lengths(), size, seed)
        return (self.collate(features, rows) for rows in order)

    def evaluation_batches(self, split: str) -> Iterator[Batch]:
        """One pass in batches of like length, as large as the budget of tokens allows."""
        features = self.features(split)
        order = budgeted(features.lengths(), EVALUATION_ROWS, EVALUATION_TOKENS, EVALUATION_LEAST)
        return (self.collate(features, rows) for rows in order)

    def collate(self, features: Features, rows: Rows) -> Batch:
        """A padded batch of rows."""
        return collate(features, rows, self.pads)

    def model_inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What of a batch the model's `forward` takes, labels left out: losses are the task's."""
        return {name: tensor for name, tensor in batch.items() if name in self.inputs & MODEL_INPUTS}

    def predicted(self, model: nn.Module, split: str) -> Iterator[tuple[Batch, Tensor]]:
        """(batch, logits) over a split, on the model's device; for `outcomes`."""
        for batch in self.evaluation_batches(split):
            moved = to_device(batch, model)
            yield moved, self.forward(model, moved)[1]

    def evaluate(self, model: nn.Module, split: str) -> Evaluation:
        """Metrics, outcomes and predictions on `heldout` or `reported`; the model is put in eval mode, then back."""
        with in_eval_mode(model), torch.no_grad():
            outcomes, predictions = self.outcomes(model, split)
        numbers: dict[str, float] = {}
        if self.extra:
            own = self.task.aggregate(outcomes)
            columns, numbers = hub_scores(self.extra, *self.compared(split, predictions, outcomes), taken=own)
            outcomes = outcomes | columns
        return Evaluation(self.task.aggregate(outcomes) | numbers, outcomes, predictions)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write model and tokenizer as a Hugging Face folder."""
        model.save_pretrained(folder)  # type: ignore[operator]
        self.tokenizer.save_pretrained(folder)

    def _known_settings(self) -> dict[str, Any] | None:
        """`settings`, or None where a task takes them from its data, which are not read yet."""
        try:
            return self.settings()
        except (AttributeError, LookupError, TaskError):
            return None

    def _split(self, name: str) -> Split[E]:
        if name not in self._splits:
            hint = "; it needs heldout > 0" if name == "heldout" else ""
            raise TaskError(f"no split {name!r}{hint}; there are: {', '.join(self._splits)}")
        return self._splits[name]

    def _open(self) -> dict[str, Split[E]]:
        pool = self._encoded("train", self.setting.train_examples)
        kept, held = carve(len(pool.examples), self.setting.heldout, self.setting.seed)
        splits = {"train": _part(pool, kept), "reported": self._encoded("reported", self.setting.eval_examples)}
        return splits | ({"heldout": _part(pool, held)} if len(held) else {})

    def _encoded(self, split: str, limit: int | None) -> Split[E]:
        """The examples of a split's files up to `limit`, read and tokenized once per content."""
        task = (repr(self.task), type(self).__qualname__, self.setting.code)
        content = (self.source.fingerprint(split), *task, split, *self.reading)
        everything, notes = _reads.get(content, lambda: self._read(split))
        self.notes += notes
        self.read_counts[split] = len(everything)
        positions = sample(len(everything), limit)
        examples = everything if len(positions) == len(everything) else [everything[at] for at in positions]
        made_for = (self.checkpoint.tokenizer_fingerprint, sorted(self.inputs & MODEL_INPUTS))
        parts = (*content, len(positions), *made_for, dict(self.encoding), self.version)
        features = cached(hash_text(repr(parts)), self.setting.cache, lambda: pack(self._encode(examples)))
        return Split(examples, features)

    def _read(self, split: str) -> tuple[Sequence[E], Sequence[str]]:
        """The examples of a split and the notes made while reading them."""
        before, self.notes = self.notes, []
        read: list[E] = []
        skipped: list[TaskError] = []
        for example in self._examples(split):
            if not isinstance(example, TaskError):
                read.append(example)
            elif self.task.skip_malformed:
                skipped.append(example)
            else:
                raise example
        if not read:
            raise TaskError(
                f"no examples in {self.source.describe(split)} ({split}, data: {self.setting.data}); all {len(skipped)} are "
                f"malformed, the first: {skipped[0]}"
            )
        if skipped:
            # Where the folder lies is the machine's affair.
            first = str(skipped[0]).replace(f"{self.source.folder}/", "")
            self.notes.append(f"{split}: {len(skipped)} malformed records passed over, the first: {first}")
        contents = self._contents(read)
        if len(contents) > FEW and len(contents) >= 2 * (different := len(set(contents))):
            self.notes.append(f"{split}: {len(contents) - different:,} of {len(read):,} examples repeat others")
        self.check_examples(read, f"{self.source.describe(split)} ({split})", split)
        notes, self.notes = self.notes, before
        return tuple(read), tuple(notes)

    def _examples(self, split: str) -> Iterator[E | TaskError]:
        """What all files of a split hold; TaskError where one of them holds nothing."""
        parts: Iterator[tuple[object, Iterable[E | TaskError]]]
        if isinstance(self.source, Files):
            parts = ((path, self.read_file(path, split)) for path in self.source.paths(split))
        else:
            parts = ((where, self.read_rows(rows, where, split)) for where, rows in self.source.parts(split))
        for place, examples in parts:
            held = list(examples)
            if not held:
                raise TaskError(f"{place}: no examples ({split}, data: {self.setting.data})")
            yield from held

    def _encode(self, examples: Sequence[E]) -> Iterator[Sequence[Feature]]:
        for start in range(0, len(examples), CHUNK):
            yield from self.encode(examples[start : start + CHUNK])

    def _trained_on(self) -> list[str]:
        """A note where more reported examples are trained on too than a benchmark itself has."""
        reported, known = self.examples("reported"), set(self._contents(self.examples("train")))
        count = sum(one in known for one in self._contents(reported))
        if count <= SHARED * len(reported):
            return []
        return [f"{count} of the {len(reported)} reported examples are training examples too: the scores are too good"]

    def _contents(self, examples: Iterable[E]) -> list[int]:
        """A hash of each example's content."""
        return [hash(repr(one)) for one in map(self.content, examples) if one is not None]

    def _check_tokens(self) -> None:
        for name, split in self._splits.items():
            if "input_ids" in split.features.ragged:
                where = f"{self.splits[name]} ({name})"
                rows = self.checkpoint.vocabulary
                if note := check_tokens(self.setting.model, self.tokenizer, rows, split.features, where):
                    self.notes.append(note)

    def _describe(self) -> dict[str, str]:
        splits = {name: self.source.describe(name) for name in ("train", "reported")}
        if "heldout" in self._splits:
            share, seed = self.setting.heldout, self.setting.seed
            splits["heldout"] = f"{share:g} of {splits['train']}, by seed {seed}"
        return splits

    def _samples(self, layout: Layout) -> list[str]:
        notes = []
        for split, expected in layout.published.items():
            held = self.read_counts[split]
            if held != expected and self.setting.data != "mini":
                notes.append(f"{self.splits[split]} holds {held} examples, the published benchmark {expected}")
        for split, limit in (("train", self.setting.train_examples), ("reported", self.setting.eval_examples)):
            if limit is not None and limit < self.read_counts[split]:
                notes.append(f"{split}: a fixed sample of {limit} of {self.read_counts[split]} examples")
        return notes


def to_device(batch: Mapping[str, Tensor], model: nn.Module) -> Batch:
    """The batch where the model's weights are."""
    device = next(model.parameters()).device
    return moved(batch, lambda tensor: tensor.to(device))


def _part(split: Split[E], positions: Rows) -> Split[E]:
    """The examples at `positions`, ascending, and their rows."""
    if len(positions) == len(split.examples):
        return split
    examples = [split.examples[int(at)] for at in positions]
    return Split(examples, split.features.take(np.asarray(positions)))


def fills_blanks(config: Any) -> bool:
    """Whether this is an encoder that learnt to fill masked words: it has a language head, but sees what it should predict."""
    return is_masked(config) and not getattr(config, "is_decoder", False)


def is_masked(config: Any) -> bool:
    """Whether models of this type learn to fill masked words."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    return type(config) in MODEL_FOR_MASKED_LM_MAPPING
