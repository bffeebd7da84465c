"""Layouts of column files: the word and its tag stand where they are said to, or where nothing else can be meant."""

from pathlib import Path

import pytest

from tasks.base import TaskError
from tests.tasks.tiny import sentences_of

NUMBERED = "1 EU NNP I-NP I-ORG\n2 rejects VBZ I-VP O\n\n1 Peter NNP I-NP I-PER\n2 sings VBZ I-VP O\n"
GERMEVAL = "#\thttp://x\t[2009]\n1\tSchartau\tB-PER\tO\n2\tsagte\tO\tO\n3\tUni\tB-ORG\tO\n4\tKiel\tI-ORG\tB-LOC\n"
UD = "# sent_id = 1\n# text = EU rejects\n1\tEU\tB-ORG\n2\trejects\tO\n"


def read(folder: Path, text: str, **columns: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    path = folder / "a.txt"
    path.write_text(text, encoding="utf-8")
    return [(sentence.words, sentence.tags) for sentence in sentences_of(path, **columns)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            NUMBERED,
            r"a\.txt:1: column 1 counts the words \(1, 2, \.\.\.\): name the columns, for instance word=2 and tag=4",
        ),
        (NUMBERED.replace("1 ", "0 ").replace("2 ", "1 "), r"column 1 counts the words \(0, 1"),
        (GERMEVAL, r"column 1 counts the words \(1, 2, 3"),
        (GERMEVAL.replace("#\thttp://x\t[2009]\n", ""), r"column 1 counts the words"),
        (UD, r"column 1 counts the words"),
        ("x\tEU\tB-ORG\n" + "x\tis\tO\n" * 12, r"column 1 is 'x' in every row"),
        (
            "".join(f"NNP EU{at} B-ORG\nVBZ is O\n\n" for at in range(25)),
            r"column 1 has 2 different values in 50 rows, such as 'VBZ': name the columns",
        ),
        ("EU B-ORG B-LOC\nis O O\nrome O B-ORG\n", r"columns 2, 3 hold tags: say which, for instance tag=2"),
    ],
)
def test_layouts_that_may_be_misread_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read(tmp_path, text)


def test_a_template_of_few_words_is_no_column_of_parts_of_speech(tmp_path: Path) -> None:
    assert len(read(tmp_path, "EU NNP B-ORG\nis VBZ O\nhere RB O\n\n" * 25)) == 25


EU = (("EU", "rejects"), ("I-ORG", "O"))


@pytest.mark.parametrize(
    ("text", "word", "tag", "first"),
    [
        (NUMBERED, "2", "5", EU),
        (NUMBERED, "2", "-1", None),
        (NUMBERED, "-4", "-1", None),
        (GERMEVAL, "2", "3", (("Schartau", "sagte", "Uni", "Kiel"), ("B-PER", "O", "B-ORG", "I-ORG"))),
        (GERMEVAL, "2", "4", (("Schartau", "sagte", "Uni", "Kiel"), ("O", "O", "O", "B-LOC"))),
        (UD, "2", "3", (("EU", "rejects"), ("B-ORG", "O"))),
        ("id form ner\n1 EU I-ORG\n2 rejects O\n", "form", "ner", EU),
        ("# global.columns = ID FORM NER\n1\tEU\tI-ORG\n2\trejects\tO\n", "FORM", "NER", EU),
        ("EU I-ORG\nrejects O\n", "1", "-1", EU),
        ("EU I-ORG\n# O\n", "1", "-1", (("EU", "#"), ("I-ORG", "O"))),
        ("1984 B-MISC\nis O\n", "1", "-1", (("1984", "is"), ("B-MISC", "O"))),
    ],
)
def test_columns_by_number_and_by_name(
    tmp_path: Path, text: str, word: str, tag: str, first: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> None:
    if first is None:  # the words stand elsewhere, so that a second column of tags is a question
        with pytest.raises(TaskError, match="hold tags: say which"):
            read(tmp_path, text, word=word, tag=tag)
    else:
        assert read(tmp_path, text, word=word, tag=tag)[0] == first


@pytest.mark.parametrize(("word", "tag"), [("9", "-1"), ("1", "-9"), ("form", "ner"), ("0", "-1")])
def test_a_column_that_is_not_there_is_refused(tmp_path: Path, word: str, tag: str) -> None:
    with pytest.raises(TaskError, match=r"no column"):
        read(tmp_path, "EU I-ORG\nrejects O\n", word=word, tag=tag)
