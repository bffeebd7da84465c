"""WebNLG's XML and DART's JSON and XML: what is read, what is refused and where, and the published counts."""

import json
from pathlib import Path

import pytest

from tasks.base import TaskError
from tasks.dart import Dart
from tasks.formats.triples import parse_triple, plain, read_json, read_xml
from tasks.webnlg import FILES, Webnlg
from tests.tasks.tiny import pairs_of

ENTRY = """<?xml version='1.0' encoding='utf-8'?>
<benchmark>
  <entries>
    <entry category="Food" eid="Id1" size="2">
      <originaltripleset><otriple>X | y | Z</otriple></originaltripleset>
      <modifiedtripleset>
        <mtriple>Blue_Cat | servedIn | "Old Town"</mtriple>
        <mtriple>Old_Town | partOf | City</mtriple>
      </modifiedtripleset>
      <lex comment="good" lid="Id1">A  blue
 cat &amp; more.</lex>
      <lex lid="Id2"/>
      <lex lid="Id3">Blue Cat.</lex>
    </entry>
  </entries>
</benchmark>
"""


def write(folder: Path, text: str, name: str = "a.xml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_entry_is_a_pair_of_modified_triples_and_texts_that_are_not_empty(tmp_path: Path, end: str) -> None:
    (pair,) = pairs_of(read_xml(write(tmp_path, ENTRY.replace("\n", end)), clean=True))
    assert pair.source == "Blue Cat : servedIn : Old Town | Old Town : partOf : City"
    assert pair.texts == ("A blue cat & more.", "Blue Cat.")
    assert pair.category == "Food"
    (english,) = pairs_of(
        read_xml(write(tmp_path, ENTRY.replace('<lex lid="Id3">', '<lex lid="Id3" lang="ru">')), clean=True)
    )
    assert english.texts == ("A blue cat & more.",)
    (raw,) = pairs_of(read_xml(write(tmp_path, ENTRY), clean=False))
    assert raw.source == 'Blue_Cat : servedIn : "Old Town" | Old_Town : partOf : City'


def test_terms_become_plain_text() -> None:
    assert plain('"Madrid,_Spain"') == "Madrid, Spain"
    assert plain('"') == '"'
    assert plain("A_(b)") == "A (b)"
    assert parse_triple("a | b | c | ".rstrip(" |"), "x") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Old_Town | partOf | City", "Old_Town | partOf"), r"a.xml:8: triple 'Old_Town \| partOf' has 2 parts"),
        (("</lex>", "</le>"), r"a.xml:11: not well-formed XML: mismatched tag"),
        (("modifiedtripleset", "set"), r"a.xml:4: entry 'Id1' has no triples"),
        (("lex", "text"), r"a.xml:4: entry 'Id1' has no English text"),
        (("<lex", '<lex lang="ru"'), r"a.xml:4: entry 'Id1' has no English text"),
    ],
)
def test_malformed_xml_names_file_and_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        list(read_xml(write(tmp_path, ENTRY.replace(*change)), clean=True))


RECORDS = [
    {
        "tripleset": [["A", "B", "1973"], ["A", "C", "d"]],
        "annotations": [{"source": "x", "text": "a  text"}, {"text": ""}],
    },
    {"tripleset": [["E", "F", "G"]], "annotations": [{"source": "x", "text": "another"}]},
]


def test_json_records_are_pairs(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(RECORDS, indent=2).replace("\n", "\r\n"), "a.json")
    pairs = pairs_of(read_json(path))
    assert [pair.source for pair in pairs] == ["A : B : 1973 | A : C : d", "E : F : G"]
    assert [pair.texts for pair in pairs] == [("a text",), ("another",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[\n{,", r"a.json:2: not JSON"),
        ("{}", r"a.json:1: found a JSON dict; expected a list"),
        (
            json.dumps([RECORDS[0], {"tripleset": [["a", "b"]], "annotations": []}], indent=0),
            r"a.json:2\d: triple \['a', 'b'\] has 2 parts",
        ),
        ('[\n{"tripleset": [["a", "b", "c"]],\n "annotations": []}\n]', r"a.json:2: a record without text"),
        ('[\n{"annotations": []}]', r"a.json:2: no 'tripleset'; it has annotations"),
    ],
)
def test_malformed_json_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        list(read_json(write(tmp_path, text, "a.json")))


def test_dart_reads_json_before_xml_and_says_what_to_do_without_training_data(tmp_path: Path) -> None:
    (tmp_path / "dart").mkdir()
    write(tmp_path / "dart", json.dumps(RECORDS), "dart-v1.1.1-full-dev.json")
    write(tmp_path / "dart", ENTRY, "dart-v1.1.1-full-test.xml")
    with pytest.raises(TaskError, match=r"no train data: looked for .*train.json.*dart\[train=dev\]"):
        Dart().layout(str(tmp_path))
    with pytest.raises(TaskError, match="train is 'all'; the choices are train, dev"):
        Dart(train="all").layout(str(tmp_path))
    files = Dart(train="dev").layout(str(tmp_path)).files
    assert files == {"train": ("dart/dart-v1.1.1-full-dev.json",), "reported": ("dart/dart-v1.1.1-full-test.xml",)}
    (pair,) = pairs_of(Dart().read_file(tmp_path / files["reported"][0], "reported"))
    assert pair.category == ""


def test_hub_rows_of_webnlg_and_dart() -> None:
    rows = [
        {"input": ["Blue_Cat | in | City"], "target": "One.", "references": [], "category": "Food"},
        {"input": ["Blue_Cat | in | City"], "target": "Two.", "references": [], "category": "Food"},
        {"input": ["A | b | C", "C | d | E"], "target": "x", "references": ["Three.", "Four."], "category": "City"},
    ]
    one, two = pairs_of(Webnlg("2020").read_rows(rows, "hub", "train"))
    assert (one.source, one.texts, one.category) == ("Blue Cat : in : City", ("One.", "Two."), "Food")
    assert (two.source, two.texts) == ("A : b : C | C : d : E", ("Three.", "Four."))
    row = {"tripleset": [["A", "b", "C"]], "target": "t", "references": ["x", ""]}
    (pair,) = pairs_of(Dart().read_rows([row], "hub", "reported"))
    assert (pair.source, pair.texts) == ("A : b : C", ("x",))
    with pytest.raises(TaskError, match="hub, row 0: no 'category'"):
        Webnlg("2020").read_rows([{"input": ["A | b | C"], "target": "", "references": [""]}], "hub", "train")
    with pytest.raises(TaskError, match=r"hub, row 0: triple .* has 2 parts"):
        list(Dart().read_rows([{"tripleset": [["A", "b"]]}], "hub", "train"))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("variant", "train", "test", "unseen"),
    [("2017", (6940, 18102), (1862, 4928), (891, 2433)), ("2020", (13211, 35426), (1779, 5150), None)],
)
def test_webnlg_has_its_published_counts(
    shared: Path, variant: str, train: tuple[int, int], test: tuple[int, int], unseen: tuple[int, int] | None
) -> None:
    found = {}
    for split, pattern in zip(("train", "reported"), FILES[variant], strict=True):
        paths = sorted((shared / "data").glob(pattern))
        found[split] = [pair for path in paths for pair in pairs_of(Webnlg(variant).read_file(path, split))]
    for split, counts in (("train", train), ("reported", test)):
        assert (len(found[split]), sum(len(pair.texts) for pair in found[split])) == counts
    marks = Webnlg(variant).marks(found["reported"], found["train"])["unseen"]
    if unseen:
        texts = sum(len(pair.texts) for pair, new in zip(found["reported"], marks, strict=True) if new)
        assert (int(marks.sum()), texts) == unseen
    assert {pair.category for pair, new in zip(found["reported"], marks, strict=True) if new} >= (
        {"Artist"} if variant == "2017" else {"Film", "MusicalWork", "Scientist"}
    )


@pytest.mark.shared
def test_dart_has_its_published_counts(shared: Path) -> None:
    task = Dart(train="dev")
    files = task.layout(str(shared / "data")).files
    dev, test = (pairs_of(task.read_file(shared / "data" / files[split][0], split)) for split in ("train", "reported"))
    assert (len(dev), sum(len(pair.texts) for pair in dev)) == (2768, 6980)
    assert (len(test), sum(len(pair.texts) for pair in test)) == (5097, 12552 - 1)  # one text is empty
