"""Tokenizers that open and say nothing: of another language, of a damaged vocabulary, of numbers beyond the embedding."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base import Prepared, Setting, TaskError
from tasks.glue import Glue
from tasks.pipeline.model_files import unused_rows
from tests.tasks.tiny import checkpoint, write_sst2, write_tsv

Rows = list[tuple[object, ...]]


def vocabulary(change: Callable[[str], str]) -> Callable[[Any], None]:
    def changed(saved: Any) -> None:
        words = saved["model"]["vocab"]
        own = [word for word in words if word.startswith(("[", "<"))]
        saved["model"]["vocab"] = {word if word in own else change(word): at for word, at in words.items()}

    return changed


def unknown_of_another_name(saved: Any) -> None:
    saved["model"]["unk_token"] = "[NOPE]"


def first_token_beyond(saved: Any) -> None:
    saved["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [9999]


def one_letter_a_word(saved: Any) -> None:
    saved["model"]["max_input_chars_per_word"] = 1


TOKENIZERS: dict[str, tuple[Callable[[Any], None], str]] = {
    "words of nobody": (vocabulary(lambda word: f"zz{word}qq"), r"knows 0 of the \d+ words of glue/SST-2/train.tsv"),
    "capitals, of a text in small letters": (vocabulary(str.upper), r"knows 2 of the \d+ words"),
    "too long words": (one_letter_a_word, r"knows \d+ of the \d+ words"),
    "no unknown word": (unknown_of_another_name, r"cannot read a text: .*UNK"),
    "a number beyond the embedding": (
        first_token_beyond,
        r"makes the token id 9999 of a text, the embedding has \d+ rows",
    ),
}


def opened(data: Path, model: Path) -> Prepared:
    return Glue("sst2").prepare(Setting(model=str(model), data=str(data), max_length=32))


@pytest.mark.parametrize("form", TOKENIZERS)
def test_damaged_tokenizers_are_refused(tmp_path: Path, form: str) -> None:
    change, message = TOKENIZERS[form]
    model = checkpoint(tmp_path / "model")
    saved = json.loads((model / "tokenizer.json").read_text())
    change(saved)
    (model / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(TaskError, match=message):
        opened(write_sst2(tmp_path), model)


LOWER: Rows = [("the cat sat on the mat", 1), ("a dog ran", 0), ("where was the old house", 1)] * 4
UPPER: Rows = [("The cat sat on the mat", 1), ("A dog ran", 0), ("Where was the old house", 1)] * 4
NAMED: Rows = [*LOWER[:-1], ("Where was the old house", 1)]


@pytest.mark.parametrize(
    ("train", "dev", "said"),
    [
        (LOWER, LOWER, []),
        (NAMED, NAMED, []),  # 1 in 56, as of names in any text
        (UPPER, LOWER, ["glue/SST-2/train.tsv (train): 12 of 56 words are unknown"]),
        (LOWER, UPPER, ["glue/SST-2/dev.tsv (reported): 12 of 56 words are unknown"]),
    ],
)
def test_a_tokenizer_that_has_lost_its_lower_casing_is_noted(
    tmp_path: Path, train: Rows, dev: Rows, said: list[str]
) -> None:
    model = checkpoint(tmp_path / "model")
    saved = json.loads((model / "tokenizer.json").read_text())
    saved["normalizer"]["lowercase"] = False
    (model / "tokenizer.json").write_text(json.dumps(saved))
    notes = opened(written(tmp_path, train, dev), model).notes
    assert [note.partition(" to the model's")[0] for note in notes if "unknown" in note] == said


@pytest.mark.parametrize(
    ("known", "rows", "said"),
    [
        (30522, 30522, False),
        (50265, 50272, False),  # OPT
        (50295, 51200, False),  # Phi-2
        (100015, 102400, False),  # DeepSeek
        (100, 200, False),
        (250, 400, True),
        (28996, 30522, True),  # BERT's cased vocabulary beside its uncased model
        (29000, 30522, True),  # a vocabulary whose end is gone
        (100, None, False),
    ],
)
def test_an_embedding_with_many_rows_without_a_token_is_noted(known: int, rows: int | None, said: bool) -> None:
    tokenizer = SimpleNamespace(get_vocab=lambda: {str(at): at for at in range(known)})
    expected = f"the tokenizer knows {known:,} tokens, and the model's embedding has {rows:,}" if rows else ""
    assert unused_rows(tokenizer, rows).partition(":")[0] == expected * said


@pytest.mark.parametrize("bound", ["512", "x", [512], {"tokens": 512}, True])
def test_a_bound_that_is_no_number(tmp_path: Path, bound: object) -> None:
    model = checkpoint(tmp_path / "model")
    saved = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(saved | {"model_max_length": bound}))
    with pytest.raises(TaskError, match=r"model_max_length .*; expected a number of tokens"):
        opened(write_sst2(tmp_path), model)


def written(folder: Path, train: Rows, dev: Rows) -> Path:
    for name, rows in (("train", train), ("dev", dev)):
        write_tsv(folder / "glue/SST-2" / f"{name}.tsv", [("sentence", "label"), *rows])
    return folder


GOOD: Rows = [("the cat sat on the mat", 1), ("a dog ran", 0)] * 4
GREEK: Rows = [("\u03b8\u03b8 \u03c9\u03c9 \u03c8", 1), ("\u6f22 \u5b57 \u6f22", 0)] * 4
DATA: dict[str, tuple[Rows, Rows, str]] = {
    "another language": (GREEK, GREEK, r"knows 0 of the \d+ words of glue/SST-2/train.tsv \(train\)"),
    "another language, reported": (GOOD, GREEK, r"knows 0 of the \d+ words of glue/SST-2/dev.tsv \(reported\)"),
    "blank sentences alone": ([("  ", 1), (" ", 0)] * 4, GOOD, r"train.tsv \(train\): all texts are empty"),
    "blank sentences alone, reported": (GOOD, [("  ", 1), (" ", 0)] * 4, r"\(reported\): all texts are empty"),
    "one class": (GOOD[:1] * 4, GOOD, r"train.tsv \(train\): the label of all 4 examples is 1; expected 0 and 1"),
    "two texts": (
        GOOD * 6,
        GOOD,
        r"train.tsv \(train\): column 'sentence' has 2 different texts in 48 examples, such as 'a dog ran'",
    ),
    "two texts, reported": (
        GOOD,
        [("", 1), ("*", 0)] * 24,
        r"\(reported\): column 'sentence' has 2 different texts in 48",
    ),
    "one class, reported": (GOOD, GOOD[1:2] * 4, r"dev.tsv \(reported\): the label of all 4 examples is 0; expected"),
}


@pytest.mark.parametrize("form", DATA)
def test_data_that_say_nothing(tmp_path: Path, form: str) -> None:
    train, dev, message = DATA[form]
    with pytest.raises(TaskError, match=message):
        opened(written(tmp_path, train, dev), checkpoint(tmp_path / "model"))


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        (GOOD, GOOD),
        ([*GOOD, *GREEK[:2]], GOOD),
        ([*GOOD, ("", 1)], [*GOOD, ("   ", 0)]),
        (GOOD, GOOD[:1]),
    ],
    ids=["plain", "some unknown words", "some blank sentences", "one example"],
)
def test_data_with_a_few_odd_examples_are_read(tmp_path: Path, train: Rows, dev: Rows) -> None:
    opened(written(tmp_path, train, dev), checkpoint(tmp_path / "model"))
