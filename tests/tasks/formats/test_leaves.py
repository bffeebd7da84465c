"""Every leaf of a good file made something else, in every reader: a sentence with file and place, or a sound reading.

Files that hold values (JSON) get null, numbers, lists and objects; files that hold text get the texts that such values leave when
something careless writes them, characters of other formats, nothing, and too much.
"""

import copy
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.base import Setting, Task, TaskError
from tasks.dart import Dart
from tasks.e2e import E2e
from tasks.formats.columns import scan_columns
from tasks.formats.reading import ENTRIES, LINE
from tasks.glue import Glue, PreparedGlue
from tasks.squad import PreparedSquad, Squad
from tasks.squad_v2 import SquadV2
from tasks.webnlg import Webnlg

VALUES: tuple[Any, ...] = (
    None,
    17,
    1.5,
    -1,
    True,
    "",
    " ",
    "17",
    ["x"],
    [],
    {"x": 1},
    {},
    "\ud800",
    "y" * (LINE + 1),
    10**30,
)
TEXTS = (
    "",
    " ",
    "None",
    "nan",
    "17",
    "-1",
    "['x']",
    "{}",
    "\x00",
    "\ufeff",
    "\u2028",
    "a\tb",
    '"',
    "<",
    "&",
    "|",
    "[",
    "]",
    "#",
)
"""What leaves of text files become."""


@dataclass(frozen=True)
class Reader:
    """A reader of one file: how a good one is made of its leaves, and how it is read; `odd` is what no field may hold."""

    leaves: Any
    made: Callable[[Any], str]
    read: Callable[[Path], Any]
    name: str


def with_task(prepared: type[Any], task: Task) -> Any:
    """A task that is not opened: to read it needs its options alone."""
    opened: Any = object.__new__(prepared)
    opened.task, opened.setting, opened.notes = task, Setting(), []
    return opened


def reading(prepared: type[Any], task: Task) -> Callable[[Path], Any]:
    """How such a task reads a training file."""
    return lambda path: list(with_task(prepared, task).read_file(path, "train"))


def squad(version: bool) -> Any:
    answer = {"text": "Dover", "answer_start": 16}
    entry = {"id": "1", "question": "Where?", "answers": [answer]} | ({"is_impossible": False} if version else {})
    return {"data": [{"title": "t", "paragraphs": [{"context": "The rocket left Dover.", "qas": [entry]}]}]}


def lines(rows: Sequence[Sequence[str]], between: str = "\t") -> str:
    return "".join(between.join(row) + "\n" for row in rows)


def quoted(rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()


def entries(parts: Sequence[str]) -> str:
    triple, text, category = parts
    return (
        f'<benchmark><entries><entry category="{category}" eid="1"><modifiedtripleset>\n<mtriple>{triple}</mtriple>\n'
        f"</modifiedtripleset><lex>{text}</lex></entry></entries></benchmark>"
    )


READERS = {
    "squad": Reader(squad(False), json.dumps, reading(PreparedSquad, Squad()), "a.json"),
    "squad_v2": Reader(squad(True), json.dumps, reading(PreparedSquad, SquadV2()), "a.json"),
    "glue/sst2": Reader(
        [["sentence", "label"], ["good", "1"], ["bad", "0"]], lines, reading(PreparedGlue, Glue("sst2")), "train.tsv"
    ),
    "glue/cola": Reader(
        [["gj04", "1", "", "they go"], ["gj04", "0", "*", "go they"]], lines, reading(PreparedGlue, Glue("cola")), "train.tsv"
    ),
    "glue/stsb": Reader(
        [["sentence1", "sentence2", "score"], ["one", "two", "4.5"]], lines, reading(PreparedGlue, Glue("stsb")), "train.tsv"
    ),
    "glue/mnli": Reader(
        [["sentence1", "sentence2", "gold_label"], ["one", "two", "neutral"]],
        lines, reading(PreparedGlue, Glue("mnli")), "dev_matched.tsv",
    ),
    "conll": Reader(
        [["EU", "B-ORG"], ["rejects", "O"], ["Paris", "B-LOC"]],
        lambda rows: lines(rows, " "), lambda path: list(scan_columns(path)), "a.txt",
    ),
    "e2e": Reader(
        [["mr", "ref"], ["name[Blue], area[city]", "Blue is in the city."]],
        quoted, lambda path: list(E2e().read_file(path, "train")), "a.csv",
    ),
    "webnlg": Reader(
        ["A | b | C", "A is b of C.", "Food"], entries, lambda path: list(Webnlg("2017").read_file(path, "train")), "a.xml"
    ),
    "dart": Reader(["A | b | C", "A is b of C.", "Food"], entries, lambda path: list(Dart().read_file(path, "train")), "a.xml"),
}  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every part of nested lists and objects."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


def mutated(leaves: Any, at: tuple[Any, ...], wrong: Any) -> Any:
    found = copy.deepcopy(leaves)
    holder = found
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = wrong
    return found


def outcome(reader: Reader, path: Path, text: str) -> tuple[str, str]:
    """(the message of what is refused, "") or ("", what is read); any other exception fails the test."""
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    try:
        return "", repr(reader.read(path))
    except TaskError as error:
        return str(error), ""


def tried(reader: Reader, folder: Path) -> Iterator[tuple[Any, Any, str, str]]:
    """(path, value, message, reading) of every mutation."""
    path = folder / reader.name
    said, read = outcome(reader, path, reader.made(reader.leaves))
    assert not said, said
    assert read
    values = VALUES if isinstance(reader.leaves, dict) else TEXTS
    for at in places(reader.leaves):
        if not isinstance(reader.leaves, dict) and isinstance(reader.leaves[at[0]], list) and len(at) < 2:
            continue  # a whole row of a text file
        for wrong in values:
            yield at, wrong, *outcome(reader, path, reader.made(mutated(reader.leaves, at, wrong)))


@pytest.mark.parametrize("name", READERS)
def test_a_changed_leaf_names_its_place_or_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    reader = READERS[name]
    refused = 0
    for at, wrong, said, read in tried(reader, tmp_path):
        refused += bool(said)
        if said:
            assert re.search(rf"{re.escape(reader.name)}(:\d+|: data\[)|{re.escape(reader.name)}: ", said), (
                at,
                wrong,
                said,
            )
            assert len(said) < 600, (at, wrong, len(said))
        elif isinstance(reader.leaves, dict):
            numbered = isinstance(wrong, int) and at[-1] in ("answer_start", "id", "is_impossible")
            sound = read == "[]" or isinstance(wrong, str) or numbered or at[-1] in ("title", "answers")
            assert sound, (at, wrong, read)
            assert "None" not in read, (at, wrong, read)
    assert refused


NULLS = [
    ("answers", None), ("answers", 7), ("answers", "Dover"), ("question", None), ("question", 7), ("question", ["x"]),
    ("id", None), ("id", 1.5), ("id", []),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), NULLS)
def test_a_questions_fields_are_what_they_must_be(tmp_path: Path, field: str, value: Any) -> None:
    at = ("data", 0, "paragraphs", 0, "qas", 0, field)
    said, _ = outcome(READERS["squad"], tmp_path / "a.json", json.dumps(mutated(squad(False), at, value)))
    assert "a.json: data[0].paragraphs[0].qas[0]: " in said


LONG = "x" * (LINE + 1)
TOO_LONG: dict[str, tuple[str, str]] = {
    "squad": (json.dumps(squad(False)).replace("The rocket", LONG), r"data\[0\]"),
    "glue/sst2": (f"sentence\tlabel\ngood\t1\n{LONG}\t0\n", r"train\.tsv:3"),
    "glue/stsb": (f"sentence1\tsentence2\tscore\none\t{LONG}\t4\n", r"train\.tsv:2"),
    "glue/cola": (f"{LONG}\t1\t\tx\n", r"train\.tsv:1"),
    "conll": (f"EU B-ORG\n{LONG} O\n", r"a\.txt:2"),
    "e2e": (f'mr,ref\nname[Blue],"{LONG}"\n', r"a\.csv:2"),
    "webnlg": (entries(["A | b | C", LONG, "Food"]), r"a\.xml:3"),
    "dart": (entries([f"A | b | {LONG}", "x", "Food"]), r"a\.xml:2"),
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_line_or_text_without_end_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    text, place = TOO_LONG[name]
    said, _ = outcome(READERS[name], tmp_path / READERS[name].name, text)
    assert re.search(rf"{place}.*: 1,0\d\d,\d\d\d characters in one line( or text)?; expected 1,048,576 at most", said)


def test_lists_without_end_are_refused(tmp_path: Path) -> None:
    words = "word O\n" * (ENTRIES + 1)
    said, _ = outcome(READERS["conll"], tmp_path / "a.txt", f"EU B-ORG\n\n{words}")
    assert "a.txt:3: 65,537 words in one sentence; expected 65,536 at most" in said
    triples = "<mtriple>A | b | C</mtriple>" * (ENTRIES + 1)
    whole = entries(["A | b | C", "x", "Food"]).replace("<mtriple>A | b | C</mtriple>", triples)
    said, _ = outcome(READERS["webnlg"], tmp_path / "a.xml", whole)
    assert "a.xml:1: modifiedtripleset has 65,537 entries; expected 65,536 at most" in said


def test_what_is_too_long_can_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(TOO_LONG["glue/sst2"][0])
    good, bad = reading(PreparedGlue, Glue("sst2", skip_malformed=True))(path)
    assert good.texts == ("good",)
    assert isinstance(bad, TaskError)
