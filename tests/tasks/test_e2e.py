"""E2E's CSV: representations, quoting, line ends, errors with their line, the hub's schema, the published counts."""

from pathlib import Path
from typing import Any

import pytest

from tasks.base import TaskError
from tasks.e2e import E2e, linearise
from tasks.formats.sources import HubRows, open_source
from tasks.webnlg import Webnlg
from tests.tasks.tiny import pairs_of


def write(folder: Path, text: str) -> Path:
    path = folder / "a.csv"
    path.write_bytes(text.encode())
    return path


def test_a_representation_as_source() -> None:
    assert linearise("name[The Mill], near[Café, Adriatic], priceRange[£20-25]", "x") == (
        "name : The Mill | near : Café, Adriatic | priceRange : £20-25"
    )
    for wrong in ("", "name", "name[a] area[b]", "name[a", "name[a], [b]"):
        with pytest.raises(TaskError, match=r"here: (meaning .* is not of the form|an empty meaning)"):
            linearise(wrong, "here")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_are_gathered_by_their_representation(tmp_path: Path, end: str) -> None:
    lines = ["mr,ref", '"name[A], area[b]","A, in  b, is ""nice""."', "name[C],C.", '"name[A], area[b]",A is in b.']
    pairs = pairs_of(E2e().read_file(write(tmp_path, "\ufeff" + end.join(lines)), "train"))
    assert [pair.source for pair in pairs] == ["name : A | area : b", "name : C"]
    assert pairs[0].texts == ('A, in b, is "nice".', "A is in b.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mr,text\n", r"a.csv:1: header \['mr', 'text'\]; expected mr,ref"),
        ('mr,ref\nname[A],"two\nlines"\nname[B]\n', r"a.csv:4: 1 fields"),
        ("mr,ref\nname[A],a\nname,b\n", r"a.csv:3: meaning 'name' is not of the form"),
        ("mr,ref\nname[A],a\nname[B], \n", r"a.csv:3: 2 fields"),
        ('mr,ref\nname[A],"a"b\n', r"a.csv:2: .*expected after"),
    ],
)
def test_malformed_rows_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        list(E2e().read_file(write(tmp_path, text), "train"))


def test_rows_of_the_hub_are_read_like_the_file() -> None:
    rows = [{"meaning_representation": "name[A]", "human_reference": text} for text in ("One.", "Two.")]
    (pair,) = pairs_of(E2e().read_rows(rows, "hub", "train"))
    assert (pair.source, pair.texts) == ("name : A", ("One.", "Two."))
    with pytest.raises(TaskError, match="hub, row 0: no 'meaning_representation'; it has mr"):
        list(E2e().read_rows([{"mr": "x"}], "hub", "train"))


def test_the_hub_is_asked_for_its_parquet_copy(asked: list[Any]) -> None:
    for task in (E2e(revision="abc"), Webnlg("2020")):
        source = open_source("hub", task.layout("hub"))
        assert isinstance(source, HubRows)
        source.parts("reported")
    assert asked[0] == (
        ("tuetschek/e2e_nlg", None),
        {"split": "test", "revision": "abc", "data_files": {"test": "default/test/*.parquet"}},
    )
    assert asked[1][1]["data_files"] == {"test": "en/test/*.parquet"}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "meanings", "texts"),
    [("trainset", 4862, 42061), ("devset", 547, 4672), ("testset_w_refs", 630, 4693)],
)
def test_e2e_has_its_published_counts(shared: Path, name: str, meanings: int, texts: int) -> None:
    pairs = pairs_of(E2e().read_file(shared / "data/e2e" / f"{name}.csv", "train"))
    assert (len(pairs), sum(len(pair.texts) for pair in pairs)) == (meanings, texts)
