"""Data-to-text generation: what E2E, WebNLG and DART share, from a linearised meaning and its texts to BLEU.

A decoder (GPT-2, Llama, ...) reads one sequence; an encoder-decoder (BART, T5, ...) reads the source and writes the target:

    decoder             source <sep> target <end>      loss on `target <end>` alone
    encoder-decoder     source -> target               with the special tokens its tokenizer adds; labels shifted by the model

<sep> is the tokenizer's beginning-of-text token, or its end-of-text token where it has no other. A source is cut at
`max_length` tokens (earlier where a decoder has no room for the target behind it), a target at the task's `max_target`, without
an end then; how many were cut is noted in the record. Nothing is de-lexicalised and no task prefix is put before the source.

An example is one meaning with all its texts: it trains as one row per text, is held out as a whole, and is scored against all.
"""

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tasks.base import Batch, ModelError, Outcomes, Setting, Task, TaskError
from tasks.formats.reading import as_list, as_text, field, single_spaced
from tasks.formats.sources import Layout, Row
from tasks.formats.triples import Pair
from tasks.metrics.hub import means
from tasks.metrics.text import signatures, text_metrics, text_outcomes
from tasks.pipeline.batching import Rows
from tasks.pipeline.decided import DECISIONS, is_counted, picked, positions
from tasks.pipeline.features import Feature, Features
from tasks.pipeline.generation import Plan, generate
from tasks.pipeline.prepared import Compared, PreparedTask, fills_blanks

LEAST_SOURCE = 8
"""Tokens that a source is given room for at least: fewer hold no meaning representation."""


def grouped(pairs: Iterable[Pair | TaskError]) -> list[Pair | TaskError]:
    """Pairs of one source and category as one, in order of first appearance and without empty texts. Malformed records come
    first, as they are."""
    texts: dict[tuple[str, str], list[str]] = {}
    malformed: list[TaskError] = []
    for pair in pairs:
        if isinstance(pair, TaskError):
            malformed.append(pair)
        else:
            texts.setdefault((pair.source, pair.category), []).extend(filter(None, pair.texts))
    return [*malformed, *(Pair(source, tuple(found), category) for (source, category), found in texts.items() if found)]


def references(row: Row, place: str) -> tuple[str, ...]:
    """A hub row's texts: its `references` or, in training, its `target`; TaskError where there is none or it is no text."""
    given = as_list(field(row, "references", place), "references", place) or [field(row, "target", place)]
    texts = [single_spaced(as_text(one, "a reference", place, blank=True)) for one in given]
    if not any(texts):
        raise TaskError(f"{place}: a record without text")
    return tuple(filter(None, texts))


@dataclass(frozen=True)
class TextGeneration(Task):
    """Options of every data-to-text task; a task adds its files and how to read them."""

    headline: ClassVar[str] = "bleu"

    beams: int = 4
    """Beams of the search; 1 is greedy."""
    length_penalty: float = 1.0
    """Exponent of the length that a beam's log-probability is divided by."""
    max_target: int = 128
    """Longest target, in tokens, in training and in generation."""
    extra: str = ""
    """More metrics from the evaluate hub, joined by `+`: `evaluate:bertscore+evaluate:meteor`."""

    @property
    def lowercase(self) -> bool:
        """Whether the benchmark's own script ignores case in BLEU."""
        return False

    @property
    def script(self) -> int:
        """How many references the benchmark's own script reads where that makes another BLEU; 0 where it does not."""
        return 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beams", "max_target"):
            if getattr(self, name) < 1:
                raise TaskError(f"{name} is {getattr(self, name)}; expected at least 1")

    @abstractmethod
    def layout(self, data: str) -> Layout:
        """Where the benchmark's files lie, given `Setting.data`."""

    @abstractmethod
    def read_file(self, path: Path, split: str) -> Iterable[Pair | TaskError]:
        """The pairs of one file; TaskError names file and line of what is malformed."""

    @abstractmethod
    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair | TaskError]:
        """The pairs of rows in the hub's schema."""

    def marks(self, examples: Sequence[Pair], trained: Iterable[Pair]) -> Outcomes:
        """Further per-example numbers, given the training examples; none unless a task reports parts of its test set."""
        return {}

    def prepare(self, setting: Setting) -> "PreparedText":
        """Read, check and tokenize."""
        return PreparedText(self, setting, self.layout(setting.data))

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """BLEU, ROUGE-L, chrF in percent and NIST of the corpus, and the mean of every `extra_*` column in its own unit."""
        return text_metrics(outcomes) | means(outcomes)


class PreparedText(PreparedTask[Pair]):
    """A data-to-text task opened on data and a language model."""

    task: TextGeneration
    embedded = "decoder"
    only_encoders = False

    def __init__(self, task: TextGeneration, setting: Setting, layout: Layout) -> None:
        super().__init__(task, setting, layout)
        self.notes += [note for split in self.counts if (note := self._cut(split))]

    @property
    def signatures(self) -> dict[str, str]:
        """How each metric is computed, by name."""
        references = {len(example.texts) for example in self.examples("reported")}
        count = references.pop() if len(references) == 1 else None
        return signatures(self.task.lowercase, count, self.task.script)

    @property
    def decoder_only(self) -> bool:
        """Whether one sequence holds source and target."""
        return not self.checkpoint.encoder_decoder

    def check_model(self) -> None:
        """ModelError unless the checkpoint is a language model with an end of text and room for source and target."""
        self.auto = "AutoModelForCausalLM" if self.decoder_only else "AutoModelForSeq2SeqLM"
        super().check_model()
        if self.setting.max_length < LEAST_SOURCE:
            raise TaskError(f"max_length is {self.setting.max_length}; a source needs {LEAST_SOURCE} tokens at least")
        name, bound = self.setting.model, self.checkpoint.positions
        if self.decoder_only and fills_blanks(self.checkpoint.config):
            kind = self.checkpoint.config.model_type
            raise ModelError(
                f"model {name!r} is an encoder ({kind}); data-to-text needs a decoder or an encoder-decoder"
            )
        if self.tokenizer.eos_token_id is None and not self.decoder_only:
            raise ModelError(f"the tokenizer of model {name!r} has no end-of-text token")
        if bound is not None and bound < self.task.max_target + LEAST_SOURCE * self.decoder_only:
            raise ModelError(
                f"max_target is {self.task.max_target}, but model {name!r} takes at most {bound} tokens in all"
            )

    def read_file(self, path: Path, split: str) -> Iterable[Pair | TaskError]:
        """The pairs of one of the benchmark's files."""
        return self.task.read_file(path, split)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair | TaskError]:
        """The pairs of rows in the hub's schema."""
        return self.task.read_rows(rows, where, split)

    @property
    def longest(self) -> int:
        """Source and target where one sequence holds both, else the longer of them."""
        source, target = self.source_limit, self.task.max_target
        return source + target if self.decoder_only else max(source, target)

    @property
    def encoding(self) -> Mapping[str, Any]:
        """The lengths alone: how text is generated and scored changes no token."""
        return {"source": self.source_limit, "target": self.task.max_target, "decoder_only": self.decoder_only}

    @property
    def source_limit(self) -> int:
        """Longest source in tokens, the separator included."""
        bound = self.checkpoint.positions
        if not self.decoder_only or bound is None:
            return self.setting.max_length
        return min(self.setting.max_length, bound - self.task.max_target)

    def content(self, example: Pair) -> object:
        """The meaning, whichever of its texts stand in a file."""
        return example.source

    def encode(self, examples: Sequence[Pair]) -> Iterator[Sequence[Feature]]:
        """One row per text; `cut` is 1 where source or target was cut."""
        sources = self.tokenizer([example.source for example in examples])["input_ids"]
        texts = [text for example in examples for text in example.texts]
        targets = iter(self._targets(texts))
        for example, source in zip(examples, sources, strict=True):
            yield [self._row(source, next(targets)) for _ in example.texts]

    def _targets(self, texts: Sequence[str]) -> list[list[int]]:
        if self.decoder_only:
            plain = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
            return [[*ids, self.tokenizer.eos_token_id] for ids in plain]
        found: list[list[int]] = self.tokenizer(text_target=list(texts))["input_ids"]
        return found

    def _row(self, source: list[int], target: list[int]) -> Feature:
        limit, most = self.source_limit, self.task.max_target
        if self.decoder_only:
            prompt = [*self._open_end(source)[: limit - 1], self.separator]
            cut = len(source) > limit - 1 or len(target) > most
            return {"input_ids": [*prompt, *target[:most]], "start": len(prompt), "cut": int(cut)}
        kept = source if len(source) <= limit else [*source[: limit - 1], source[-1]]  # its last is the end of text
        cut = len(source) > limit or len(target) > most
        return {"input_ids": kept, "labels": target[:most], "cut": int(cut)}

    def _open_end(self, source: list[int]) -> list[int]:
        """A source without an end of text that the tokenizer may have put behind it."""
        return source[:-1] if source and source[-1] == self.tokenizer.eos_token_id else source

    @property
    def separator(self) -> int:
        """The token between source and target of a decoder."""
        token = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if token is None else token)

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [tokens], logits [tokens, vocabulary] of the target tokens, row after row, in fp32."""
        logits, targets = self._continue(model, batch) if self.decoder_only else self._translate(model, batch)
        logits = logits.float()
        return nn.functional.cross_entropy(logits, targets, reduction="none"), logits

    def _continue(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        ids, inside = batch["input_ids"], batch["attention_mask"].bool()
        columns = torch.arange(1, ids.shape[1], device=ids.device)
        following = inside[:, 1:] & (columns >= batch["start"][:, None])
        before = nn.functional.pad(following, (0, 1))  # a token is predicted from the position before it
        inputs = self.model_inputs(batch)
        targets = picked(batch, following, ids[:, 1:])
        if self._picks and is_counted(batch):
            chosen = positions(batch, before)
            logits = model(**inputs, logits_to_keep=chosen, use_cache=False).logits
            return picked(batch, before.gather(1, chosen), logits), targets
        if self._picks:
            return model(**inputs, logits_to_keep=before, use_cache=False).logits, targets
        return picked(batch, before, model(**inputs, use_cache=False).logits), targets

    def collate(self, features: Features, rows: Rows) -> Batch:
        """A padded batch of rows, and how many target tokens each has."""
        batch = super().collate(features, rows)
        own = batch["attention_mask"].sum(1) - batch["start"] if self.decoder_only else (batch["labels"] != -100).sum(1)
        return batch | {DECISIONS: own}

    @cached_property
    def _picks(self) -> bool:
        """Whether the model applies its head to chosen positions alone: with a large vocabulary the head is most of the work."""
        forward = inspect.unwrap(self.checkpoint.model_class(self.auto).forward)
        return "slice_logits_to_keep" in forward.__globals__ and "logits_to_keep" in self.inputs

    def _translate(self, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        labels = batch["labels"]
        shifted = model.prepare_decoder_input_ids_from_labels(labels=labels)
        logits = model(**self.model_inputs(batch), decoder_input_ids=shifted, use_cache=False).logits
        return picked(batch, labels != -100, logits), picked(batch, labels != -100, labels)

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """Sums per meaning that the metrics are made of, and the generated texts."""
        examples = self.examples(split)
        predictions = self.write(model, split)
        trained = [example for name in ("train", "heldout") if name in self.counts for example in self.examples(name)]
        texts = [example.texts for example in examples]
        outcomes = text_outcomes(predictions, texts, self.task.lowercase, self.task.script)
        return outcomes | self.task.marks(examples, trained), predictions

    def compared(self, split: str, predictions: Sequence[str], outcomes: Outcomes) -> Compared:
        """Generated texts, and all texts of each meaning."""
        return predictions, [example.texts for example in self.examples(split)]

    def write(self, model: nn.Module, split: str) -> list[str]:
        """The text generated for every meaning of a split, white space run together."""
        features = self.features(split)
        first = np.searchsorted(features.example, np.arange(len(self.examples(split))))
        prompts = [features.row("input_ids", int(row)) for row in first]
        if self.decoder_only:
            prompts = [ids[: int(features.scalar["start"][row])] for ids, row in zip(prompts, first, strict=True)]
        answers = generate(model, prompts, self.plan)
        found = self.tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [single_spaced(text) for text in found]

    @property
    def plan(self) -> Plan:
        """How texts are generated."""
        pad, end, task = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, self.task
        return Plan(task.beams, task.max_target, task.length_penalty, pad, end, self.decoder_only)

    def _cut(self, split: str) -> str:
        features = self.features(split)
        rows = int(features.scalar["cut"].sum())
        limits = f"{self.source_limit} source or {self.task.max_target} target tokens"
        return f"{split}: {rows} of {len(features)} rows are cut at {limits}" if rows else ""
