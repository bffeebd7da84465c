"""Examples that stand in two places are noted, however the two files write them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.plugins import registry
from tasks.base import Setting
from tests.tasks.tiny import WORDS, checkpoint, question, squad_json, write_csv, write_tsv

COUNT = 30
TEXTS = [" ".join(WORDS[(at + step) % 40] for step in range(7)) + f" {at}" for at in range(2 * COUNT)]
LABELS = ("entailment", "neutral")


def write_mnli(folder: Path, train: list[str], reported: list[str]) -> None:
    """The reported texts stand in the second of the two development sets, with other labels."""
    for name, texts, shift in (("train", train, 0), ("dev_matched", ["a dog ran"], 0), ("dev_mismatched", reported, 1)):
        rows = [(text, f"{text} .", LABELS[(at + shift) % 2]) for at, text in enumerate(texts)]
        write_tsv(folder / f"glue/MNLI/{name}.tsv", [("sentence1", "sentence2", "gold_label"), *rows])


def write_squad(folder: Path, train: list[str], reported: list[str]) -> None:
    """Questions have other ids in the reported file."""
    (folder / "squad").mkdir()
    for name, texts in (("train", train), ("dev", reported)):
        asked = [(text, [question(f"{name}{at}", "who ?", text, text.split()[0])]) for at, text in enumerate(texts)]
        (folder / f"squad/{name}-v1.1.json").write_text(json.dumps(squad_json(asked)))


def write_columns(folder: Path, train: list[str], reported: list[str]) -> None:
    """Sentences stand on other lines in the reported file."""
    (folder / "own").mkdir()
    for name, texts in (("train", train), ("test", ["the queen", *reported])):
        sentences = [
            "\n".join(f"{word} {'O' if at else 'B-X'}" for at, word in enumerate(text.split())) for text in texts
        ]
        (folder / f"own/{name}.txt").write_text("\n\n".join(sentences))


def write_e2e(folder: Path, train: list[str], reported: list[str]) -> None:
    """Meanings have other texts in the reported file, as where rows of one file are dealt out."""
    for name, texts in (("trainset", train), ("testset_w_refs", reported)):
        write_csv(folder / f"e2e/{name}.csv", [("mr", "ref"), *((f"name[{text}]", f"{name} {text}") for text in texts)])


FORMS = {
    "glue/mnli": write_mnli,
    "squad": write_squad,
    "conll[path=own]": write_columns,
    "e2e[max_target=16]": write_e2e,
}


def notes(folder: Path, task: str) -> list[str]:
    model = str(checkpoint(folder / "model", "gpt2" if task.startswith("e2e") else "bert"))
    found = registry.configure("tasks", task).prepare(Setting(str(folder), model, max_length=64)).notes
    return [note for note in found if "examples too" in note or "repeat others" in note]


@pytest.mark.parametrize(("task", "write"), FORMS.items())
@pytest.mark.parametrize("first", [COUNT - 6, COUNT])
def test_reported_examples_that_are_trained_on_are_noted_in_whatever_form(
    tmp_path: Path, task: str, write: Callable[[Path, list[str], list[str]], None], first: int
) -> None:
    write(tmp_path, TEXTS[:COUNT], TEXTS[first : first + COUNT])
    reported = COUNT + (task in ("glue/mnli", "conll[path=own]"))
    said = f"6 of the {reported} reported examples are training examples too: the scores are too good"
    assert notes(tmp_path, task) == ([said] if first < COUNT else [])


@pytest.mark.parametrize(
    "task", [task for task in FORMS if not task.startswith("e2e")]
)  # whose rows of one meaning are one
@pytest.mark.parametrize("times", [1, 2])
def test_a_file_with_every_example_twice_is_noted(tmp_path: Path, task: str, times: int) -> None:
    FORMS[task](tmp_path, TEXTS[:COUNT] * times, TEXTS[COUNT:])
    assert notes(tmp_path, task) == (["train: 30 of 60 examples repeat others"] if times == 2 else [])
