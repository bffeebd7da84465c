"""skip_malformed in every task: one bad record among good ones stops the task by default, and is counted, noted and placed with it.

A blank last line is no record in any reader.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.base import Prepared, Setting, Task, TaskError
from tasks.conll import Conll
from tasks.conll2003 import Conll2003
from tasks.dart import Dart
from tasks.e2e import E2e
from tasks.glue import Glue
from tasks.squad import Squad
from tasks.squad_v2 import SquadV2
from tasks.webnlg import Webnlg
from tests.tasks.tiny import question, squad_json

CONTEXT = "the old cat sat on the grey mat ."
GOOD = (CONTEXT, [question("q0", "where ?", CONTEXT, "the grey mat", is_impossible=False)])


def squad(answer: Any) -> str:
    bad = {"id": "q1", "question": "who ?", "answers": [answer], "is_impossible": False}
    return json.dumps(squad_json([GOOD, (CONTEXT, [bad])]))


def paragraph(bad: str) -> str:
    return json.dumps(squad_json([GOOD])).replace('"paragraphs": [', f'"paragraphs": [{bad}, ')


def entries(*parts: tuple[str, str]) -> str:
    told = "".join(
        f'<entry category="Food" eid="{at}"><modifiedtripleset><mtriple>{triple}</mtriple></modifiedtripleset>{lex}</entry>\n'
        for at, (triple, lex) in enumerate(parts)
    )
    return f"<benchmark><entries>\n{told}</entries></benchmark>"


def darts(*records: tuple[Any, Any]) -> str:
    return json.dumps([{"tripleset": triples, "annotations": notes} for triples, notes in records])


TEXT = [{"source": "s", "text": "the cat sat"}]
LEX = "<lex>the cat sat</lex>"
GLUE = "sentence\tlabel\nthe cat\t1\nthe dog\t0\n"
NER = "the O\nbank B-ORG\n\nking B-PER\nsat O\n\n"
E2E = "mr,ref\nname[cat],the cat sat\n"

SQUAD_FILES = ("squad/train-v1.1.json", "squad/dev-v1.1.json")
SQUAD2_FILES = ("squad_v2/train-v2.0.json", "squad_v2/dev-v2.0.json")
DART_FILES = ("dart/dart-v1.1.1-full-train.json", "dart/dart-v1.1.1-full-test.json")
XML_FILES = (
    "webnlg/webnlg_challenge_2017/train/1triples/a.xml",
    "webnlg/webnlg_challenge_2017/test/testdata_with_lex.xml",
)
SST2, CONLL = ("glue/SST-2/train.tsv", "glue/SST-2/dev.tsv"), ("conll2003/eng.train", "conll2003/eng.testb")

Form = tuple[Callable[[], Task], Callable[[], Task], tuple[str, str], str]


def both(make: Callable[..., Task], *given: Any, **options: Any) -> tuple[Callable[[], Task], Callable[[], Task]]:
    return lambda: make(*given, **options), lambda: make(*given, **options, skip_malformed=True)


FORMS: dict[str, Form] = {
    "glue, no label": (*both(Glue, "sst2"), SST2, GLUE + "the king\n"),
    "glue, another label": (*both(Glue, "sst2"), SST2, GLUE + "the king\t2\n"),
    "glue, a blank line inside": (*both(Glue, "sst2"), SST2, GLUE + "\nthe king\t1\n"),
    "squad, offset in UTF-16": (*both(Squad), SQUAD_FILES, squad({"text": "grey mat", "answer_start": 3})),
    "squad, no place": (*both(Squad), SQUAD_FILES, squad({"text": "grey mat", "answer_start": None})),
    "squad, an empty answer": (*both(Squad), SQUAD_FILES, squad({"text": "", "answer_start": 0})),
    "squad, a paragraph without text": (
        *both(Squad), SQUAD_FILES, paragraph('{"context": null, "qas": []}'),
    ),
    "squad, a paragraph without questions": (
        *both(Squad), SQUAD_FILES, paragraph('{"context": "x"}'),
    ),
    "squad_v2, a text for a place": (*both(SquadV2), SQUAD2_FILES, squad({"text": "grey mat", "answer_start": "23"})),
    "conll2003, no tag": (*both(Conll2003), CONLL, NER + "rome\nran\n"),
    "conll2003, an unknown type": (*both(Conll2003), CONLL, NER + "rome B-CITY\nran O\n"),
    "conll, a wrong tag": (*both(Conll, path="own"), ("own/train.txt", "own/test.txt"), NER + "rome X-LOC\nran O\n"),
    "e2e, no text": (*both(E2e), ("e2e/trainset.csv", "e2e/testset_w_refs.csv"), E2E + "name[dog],\n"),
    "e2e, no slots": (*both(E2e), ("e2e/trainset.csv", "e2e/testset_w_refs.csv"), E2E + "the dog,the dog sat\n"),
    "webnlg, no text": (*both(Webnlg, "2017"), XML_FILES, entries(("a | b | cat", LEX), ("a | b | dog", ""))),
    "webnlg, two parts": (*both(Webnlg, "2017"), XML_FILES, entries(("a | b | cat", LEX), ("a | b", LEX))),
    "dart, no text": (*both(Dart), DART_FILES, darts(([["a", "b", "cat"]], TEXT), ([["a", "b", "dog"]], []))),
    "dart, null in a triple": (*both(Dart), DART_FILES, darts(([["a", "b", "cat"]], TEXT), ([["a", "b", None]], TEXT))),
    "dart, no triples": (*both(Dart), DART_FILES, darts(([["a", "b", "cat"]], TEXT), ([], TEXT))),
}  # fmt: skip


TRAINING = ("squad, offset in UTF-16",)
"""Forms that harm training alone: an answer that is scored as text need not be found."""


def opened(folder: Path, task: Task, files: tuple[str, str], text: str) -> Prepared:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return task.prepare(Setting(data=str(folder), max_length=32))


@pytest.mark.parametrize("form", FORMS)
def test_one_bad_record_stops_the_task_or_is_passed_over(tmp_path: Path, form: str) -> None:
    plain, skipping, files, text = FORMS[form]
    with pytest.raises(TaskError, match=r"skip_malformed=true passes over such records") as caught:
        opened(tmp_path, plain(), files, text)
    assert Path(files[0]).name in str(caught.value)
    prepared = opened(tmp_path, skipping(), files, text)
    for split, name in list(zip(("train", "reported"), files, strict=True))[: 1 if form in TRAINING else 2]:
        (note,) = (one for one in prepared.notes if one.startswith(f"{split}: 1 malformed records passed over"))
        assert Path(name).name in note
        assert str(tmp_path) not in note


BLANK: dict[str, Form] = {
    "glue": (*both(Glue, "sst2"), SST2, GLUE),
    "conll2003": (*both(Conll2003), CONLL, NER.rstrip() + "\n"),
    "e2e": (*both(E2e), ("e2e/trainset.csv", "e2e/testset_w_refs.csv"), E2E),
    "webnlg": (*both(Webnlg, "2017"), XML_FILES, entries(("a | b | cat", LEX))),
    "dart": (*both(Dart), DART_FILES, darts(([["a", "b", "cat"]], TEXT))),
    "squad": (*both(Squad), SQUAD_FILES, json.dumps(squad_json([GOOD]))),
}


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n \n", "\r\n", "\n\t\n"])
@pytest.mark.parametrize("name", BLANK)
def test_a_blank_last_line_is_no_record(tmp_path: Path, name: str, end: str) -> None:
    plain, _, files, text = BLANK[name]
    expected = opened(tmp_path, plain(), files, text).counts
    assert opened(tmp_path, plain(), files, text.rstrip("\n") + end).counts == expected
