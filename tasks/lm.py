"""Language modelling: the perplexity of a decoder on a text, as papers on pruning large language models count it.

    perplexity = exp(sum of -log p(token | the tokens before it in its window) / number of such tokens)

    lm/wikitext2, lm/ptb, lm/c4                 the texts of those papers
    lm[path=prose.txt]                          the last tenth of a file is reported, what stands before it trained on
    lm[path=test.txt,train=train.txt]

The text is joined and tokenized in one piece, and cut into windows of `max_length` tokens that do not overlap; an incomplete last one
is dropped. A window's first token is read and not predicted. That is how the published code of SparseGPT (Frantar and Alistarh 2023,
https://arxiv.org/abs/2301.00774) and Wanda (Sun et al. 2024, https://arxiv.org/abs/2306.11695) counts, whose windows of the
training text begin anywhere, where these stand side by side. An example is a window, and a decision a token.

The floor is the perplexity of the best answer that is the same everywhere: the frequencies of the reported tokens themselves.
"""

import gzip
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.base import ModelError, Outcomes, Setting, Task, TaskError
from tasks.formats.reading import as_text, each, each_row, field
from tasks.formats.sources import Files, Hub, Layout, Row, read_text, wrong_kind
from tasks.pipeline.checkpoints import fewer_messages
from tasks.pipeline.features import Feature
from tasks.pipeline.prepared import PreparedTask, fills_blanks, to_device

Window = tuple[int, ...]

LARGEST = 100.0
"""Mean negative log-likelihood, in nats, at which perplexity is cut: a broken model's would be no number that can be written."""

LOGITS = 1 << 26
"""Logits that are held at once where no gradient is taken: with a large vocabulary they would be most of the memory."""

REPORTED = 0.1
"""Share of a text without a training text of its own that is reported: its end."""

RECORDS = 20
"""Lines of a file that are looked at for JSON."""


@dataclass(frozen=True)
class Corpus:
    """Where a text stands and how the published code joins its pieces (lines, documents), by split."""

    files: Mapping[str, tuple[str, ...]]
    hub: Hub
    column: str
    """The hub's column of text."""
    separator: Mapping[str, str]
    """What stands between two pieces."""
    published: Mapping[str, int]
    """Pieces of the published splits."""
    most_pieces: Mapping[str, int]
    """At most so many pieces are read; all where it names none."""
    most_windows: int | None = None
    """At most so many windows are reported."""


CORPORA = {
    "wikitext2": Corpus(
        files={"train": ("wikitext-2-raw/wiki.train.raw",), "reported": ("wikitext-2-raw/wiki.test.raw",)},
        hub=Hub("Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3", "wikitext-2-raw-v1"),
        column="text",
        separator={"train": " ", "reported": "\n\n"},
        published={"train": 36718, "reported": 4358},
        most_pieces={},
    ),
    "ptb": Corpus(
        files={"train": ("ptb/ptb.train.txt",), "reported": ("ptb/ptb.test.txt",)},
        hub=Hub("ptb-text-only/ptb_text_only", "refs/convert/parquet", "penn_treebank", converted=True),
        column="sentence",
        separator={"train": " ", "reported": " "},
        published={"train": 42068, "reported": 3761},
        most_pieces={},
    ),
    "c4": Corpus(
        files={
            "train": ("c4/en/c4-train.00000-of-01024.json.gz",),
            "reported": ("c4/en/c4-validation.00000-of-00008.json.gz",),
        },
        hub=Hub(
            "allenai/c4",
            "1588ec454efa1a09f29cd18ddd04fe05fc8653a2",
            "en",
            {"train": ("train",), "reported": ("validation",)},
            files={
                "train": "en/c4-train.00000-of-01024.json.gz",
                "validation": "en/c4-validation.00000-of-00008.json.gz",
            },
        ),
        column="text",
        separator={"train": " ", "reported": " "},
        published={},
        most_pieces={"train": 4000, "reported": 1100},
        most_windows=256,
    ),
}
"""Of C4 the first documents of each split's first shard are read; 1,100 and 256 windows are reported, as in the published code."""


@dataclass(frozen=True)
class Lm(Task):
    """A text, and how it is read."""

    label: ClassVar[str] = "Own text"
    variants: ClassVar[tuple[str, ...]] = ("", "wikitext2", "ptb", "c4")
    headline: ClassVar[str] = "perplexity"
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"perplexity"})

    path: str = ""
    """A text file, below the data folder or where the program runs: its end is reported, or all of it where `train` is given."""
    train: str = ""
    """A text file to calibrate and train on."""
    revision: str = ""
    """Revision of the hub's copy that `data: hub` reads; the pinned one if left out."""

    def prepare(self, setting: Setting) -> "PreparedLm":
        """Read, check and tokenize."""
        if self.variant:
            if self.path or self.train:
                raise TaskError(f"lm/{self.variant} has its own text; a file is read as lm[path=FILE]")
            return PreparedLm(self, setting, self.layout(), self)
        folder, layout = self.own_files(setting.data)
        return PreparedLm(self, replace(setting, data=folder), layout, self)

    @property
    def corpus(self) -> Corpus | None:
        """The text of this variant; None for a file that the options name."""
        return CORPORA[self.variant] if self.variant else None

    def layout(self) -> Layout:
        """Where the variant's text stands."""
        corpus = CORPORA[self.variant]
        hub = replace(corpus.hub, revision=self.revision or corpus.hub.revision)
        return Layout(corpus.files, hub)

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """exp(sum of `nll` / sum of `tokens`), each [windows]; at most exp(100)."""
        return {"perplexity": perplexity(outcomes["nll"], outcomes["tokens"])}

    def floor(self, outcomes: Outcomes) -> dict[str, float]:
        """The perplexity by the frequencies of the same tokens."""
        return {"perplexity": perplexity(outcomes["unigram"], outcomes["tokens"])}

    def own_files(self, data: str) -> tuple[str, Layout]:
        """The nearest folder that holds both files, and their names below it."""
        if not self.path:
            raise TaskError("lm needs a text: lm[path=FILE], lm[path=FILE,train=FILE], or lm/wikitext2, lm/ptb, lm/c4")
        files = {"train": _found(self.train or self.path, data), "reported": _found(self.path, data)}
        folder = Path(os.path.commonpath([file.parent for file in files.values()]))
        return str(folder), Layout({split: (file.relative_to(folder).as_posix(),) for split, file in files.items()})


class PreparedLm(PreparedTask[Window]):
    """A text opened for a decoder, in windows."""

    auto = "AutoModelForCausalLM"
    embedded = "writer"

    def __init__(self, task: Task, setting: Setting, layout: Layout, text: Lm) -> None:
        self.text = text
        super().__init__(task, setting, layout)
        self._frequencies: dict[str, NDArray[np.float64]] = {}

    @property
    def floor(self) -> dict[str, float]:
        """The perplexity of the reported tokens' own frequencies."""
        return self.task.floor({"unigram": self._unigram("reported"), "tokens": self._tokens("reported")})

    @property
    def signatures(self) -> dict[str, str]:
        """How tokens are counted."""
        length = self.setting.max_length
        return {"perplexity": f"windows of {length} tokens, no overlap, {length - 1} of each predicted"}

    @property
    def reading(self) -> tuple[object, ...]:
        """Windows are cut of tokens."""
        return (self.checkpoint.tokenizer_fingerprint, self.setting.max_length)

    @property
    def encoding(self) -> Mapping[str, Any]:
        """Windows are tokens already."""
        return {"max_length": self.setting.max_length}

    def check_model(self) -> None:
        """ModelError unless the checkpoint is a decoder that takes `max_length` tokens."""
        config, name = self.checkpoint.config, self.setting.model
        if self.checkpoint.encoder_decoder or fills_blanks(config):
            kind = "encoder-decoder" if self.checkpoint.encoder_decoder else "encoder"
            raise ModelError(f"model {name!r} is an {kind} ({config.model_type}); perplexity needs a decoder")
        super().check_model()
        if self.setting.max_length < 2:
            raise TaskError(f"max_length is {self.setting.max_length}; a window needs 2 tokens, one of them predicted")

    def read_file(self, path: Path, split: str) -> Iterator[Window | TaskError]:
        """The windows of a file."""
        corpus = self.text.corpus
        if corpus is None:
            return self._windows([self._part(_prose(path), path, split)], split)
        lines = islice(_LINES[self.text.variant](path), corpus.most_pieces.get(split))
        return self._windows(each(lines, lambda line: line, self.task.skip_malformed), split)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterator[Window | TaskError]:
        """The windows of the hub's rows."""
        corpus = self.text.corpus
        assert corpus is not None

        def piece(row: Row, place: str) -> str:
            return as_text(field(row, corpus.column, place), f"`{corpus.column}`", place, blank=True)

        few = islice(rows, corpus.most_pieces.get(split))
        return self._windows(each_row(few, where, piece, self.task.skip_malformed), split)

    def encode(self, examples: Sequence[Window]) -> Iterator[Sequence[Feature]]:
        """A row for each window."""
        return ([{"input_ids": window}] for window in examples)

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [tokens], logits [tokens, vocabulary] of all but each window's first token, window after window, in fp32."""
        ids = self._ids(batch)
        logits = model(**self.model_inputs(batch), use_cache=False).logits[:, : ids.shape[1] - 1].flatten(0, 1).float()
        return nn.functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none"), logits

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Those of `forward`; without gradients, the body runs once and the head on few positions at a time."""
        ids, body = self._ids(batch), getattr(model, "base_model", model)
        last = ids.shape[1] - 1
        width = max(1, LOGITS // (len(ids) * (self.checkpoint.vocabulary or 1)))
        if torch.is_grad_enabled() or width >= last or body is model:
            return self.forward(model, batch)[0]
        given = body(**self.model_inputs(batch), use_cache=False)
        found = []
        for start in range(0, last, width):
            part = slice(start, min(start + width, last))
            with _answering(body, type(given)(last_hidden_state=given.last_hidden_state[:, part])):
                logits = model(input_ids=ids[:, part], use_cache=False).logits.float()
            wanted = ids[:, part.start + 1 : part.stop + 1]
            found.append(nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none"))
        return torch.cat(found, 1).flatten()

    def outcomes(self, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
        """Of each window: `nll`, the sum of -log p(token) in nats; `tokens`, how many; `unigram`, the sum that the frequencies of
        the split's tokens give."""
        tokens = self._tokens(split)
        nll = np.zeros(len(tokens))
        for batch in self.evaluation_batches(split):
            losses = self.losses(model, to_device(batch, model))
            nll[batch["index"]] = losses.double().view(len(batch["index"]), -1).sum(1).cpu()
        return {"nll": nll, "tokens": tokens, "unigram": self._unigram(split)}, []

    def _ids(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Tokens [windows, max_length] of a batch, without the padding that a GPU's batches are widened by (training/prefetch.py)."""
        return batch["input_ids"][:, : self.setting.max_length]

    def _windows(self, pieces: Iterable[str | TaskError], split: str) -> Iterator[Window | TaskError]:
        """The windows of the joined pieces; malformed ones come first, as they are."""
        found = list(pieces)
        yield from (piece for piece in found if isinstance(piece, TaskError))
        corpus, sound = self.text.corpus, [piece for piece in found if isinstance(piece, str)]
        if corpus is not None:
            self._say_sample(corpus, split, len(found))
        with fewer_messages():  # a text is longer than any model takes, which the tokenizer would say
            ids = self.tokenizer((corpus.separator[split] if corpus else "").join(sound))["input_ids"]
        length = self.setting.max_length
        count, most = len(ids) // length, corpus.most_windows if corpus and split == "reported" else None
        if not count:
            raise TaskError(f"{split}: {len(ids)} tokens make no window of {length} (max_length)")
        if len(ids) % length and (most is None or count < most):
            self.notes.append(f"{split}: the last {len(ids) % length} of {len(ids)} tokens make no whole window")
        yield from (
            tuple(ids[at * length : (at + 1) * length]) for at in range(count if most is None else min(count, most))
        )

    def _say_sample(self, corpus: Corpus, split: str, found: int) -> None:
        if split in corpus.most_pieces:
            self.notes.append(f"{split}: the first {found} documents of a shard")
        elif self.setting.data != "mini" and found != corpus.published[split]:
            self.notes.append(f"{split}: {found} lines, the published text has {corpus.published[split]}")

    def _part(self, whole: str, path: Path, split: str) -> str:
        """The part of a text that a split is: all of it where each has its own file."""
        if self.text.train:
            assert isinstance(self.source, Files)
            if split == "reported" and whole.strip() in read_text(self.source.paths("train")[0]):
                self.notes.append(
                    "reported: the very text of train, or a part of it: learning it by heart counts as success"
                )
            return whole
        at = whole.find("\n", round(len(whole) * (1 - REPORTED))) + 1
        if not at or at == len(whole):
            raise TaskError(
                f"{path}: no line begins in its last tenth, which is reported: give lm a training text (train=FILE)"
            )
        self.notes.append(
            f"{split}: the {'end' if split == 'reported' else 'beginning'} of the text, cut at character {at}"
        )
        return whole[:at] if split == "train" else whole[at:]

    def _tokens(self, split: str) -> NDArray[np.int64]:
        return self.features(split).lengths() - 1

    def _unigram(self, split: str) -> NDArray[np.float64]:
        """[windows] sum of -log of the frequency of each predicted token among all of the split."""
        if split not in self._frequencies:
            windows = np.array(self.examples(split))[:, 1:]
            _, at, counts = np.unique(windows, return_inverse=True, return_counts=True)
            self._frequencies[split] = np.log(windows.size / counts)[at].reshape(windows.shape).sum(1)
        return self._frequencies[split]


def perplexity(nll: NDArray[Any], tokens: NDArray[Any]) -> float:
    """exp of the mean negative log-likelihood of a token, from sums `nll` and counts `tokens`, each [windows]."""
    return float(np.exp(np.minimum(nll.sum() / tokens.sum(), LARGEST)))


@contextmanager
def _answering(body: nn.Module, given: object) -> Iterator[None]:
    """Inside, `body` gives this and computes nothing, so that the model adds its head, and whatever it does to logits, to it."""
    body.forward = lambda *_, **__: given
    try:
        yield
    finally:
        del body.forward  # the class's own again


def _found(name: str, data: str) -> Path:
    places = [Path(data).expanduser() / name, Path(name).expanduser()]
    found = [place for place in places if place.is_file()]
    if not found and (said := wrong_kind(places if name.strip() else (), "a text file")):
        raise TaskError(said)
    if not found:
        raise TaskError(f"no file {name!r}, neither below the data folder {data!r} nor below {Path.cwd()}")
    return found[0].resolve()


def _prose(path: Path) -> str:
    """The text of a file; TaskError where there is none in it, or bytes that no text has."""
    whole = read_text(path)
    if not whole.strip():
        raise TaskError(f"{path} is empty" if not whole else f"{path} holds blanks alone; expected a text")
    if (at := whole.find("\0")) >= 0:
        raise TaskError(f"{path}:{whole.count(chr(10), 0, at) + 1}: not a text: it holds a byte of zero")
    lines = islice((line for line in io.StringIO(whole) if line.strip()), RECORDS)
    if _is_json(whole) or all(map(_is_json, lines)):
        raise TaskError(
            f"{path}: not a text but JSON, whose brackets and keys would count: write the texts alone into a file"
        )
    return whole


def _is_json(given: str) -> bool:
    """Whether a text is a JSON object or list."""
    try:
        return given.lstrip()[:1] in ("{", "[") and isinstance(json.loads(given), dict | list)
    except (ValueError, RecursionError):
        return False


def _wikitext(path: Path) -> Iterator[str | TaskError]:
    """Lines with their end, as the hub has them; blank ones are empty. TaskError where words were replaced, as in the other form of
    this text, which is not raw."""
    whole = _prose(path)
    if (count := whole.count("<unk>")) > whole.count("\n") / 10:
        raise TaskError(
            f"{path}: {count:,} words are <unk>: this is WikiText-2 as words; expected the raw text (wikitext-2-raw)"
        )
    return (line if line.strip() else "" for line in io.StringIO(whole, newline=None))


def _ptb(path: Path) -> Iterator[str | TaskError]:
    return (line.strip() for line in io.StringIO(_prose(path), newline=None))


def _c4(path: Path) -> Iterator[str | TaskError]:
    """The `text` of every JSON line of a gzipped file."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                yield _document(line, f"{path}:{number}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TaskError(f"{path}:{number + 1}: not gzipped UTF-8: {error}") from error


def _document(line: str, place: str) -> str | TaskError:
    try:
        return as_text(field(json.loads(line), "text", place), "`text`", place, blank=True)
    except TaskError as error:
        return error
    except (ValueError, RecursionError) as error:
        return TaskError(f"{place}: not JSON: {error}")


_LINES = {"wikitext2": _wikitext, "ptb": _ptb, "c4": _c4}
