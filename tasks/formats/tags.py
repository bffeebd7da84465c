"""Entity tags of words: reading column files, telling IOB1, IOB2 and BIOES apart, and converting all of them to IOB2.

A tag is `O` or PREFIX-TYPE. An entity is a run of words of one type; the schemes differ in how they mark its ends:

    IOB1    I-* inside, B-* where an entity touches another of its type (CoNLL-2003 as distributed, which also has one B-*
            that touches none: not held against a file)
    IOB2    B-* on every first word, I-* on the others
    BIOES   as IOB2, with E-* on the last word and S-* on an entity of one word
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.base import TaskError
from tasks.formats.sources import read_text

SCHEMES = ("iob1", "iob2", "bioes")
_TAG = re.compile(r"O|[BIES]-\S+")
_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True)
class Sentence:
    """Words with one tag each; `line` is where the sentence begins in its file, counted from 1."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int


def read_columns(path: Path) -> list[Sentence]:
    """Sentences of a CoNLL column file: one word a line, blank lines between sentences, first column the word, last its
    tag; columns are separated by tabs if a line has one, else by spaces. `-DOCSTART-` lines are skipped. TaskError names
    file and line of a row that has another number of columns than the first one, or no tag in its last."""
    sentences: list[Sentence] = []
    rows: list[tuple[str, str]] = []
    begin, width = 1, 0
    for number, columns in _rows(path):
        if columns and columns[0] != _DOCUMENT:
            width = width or len(columns)
            rows.append(_row(columns, width, f"{path}:{number}"))
            begin = begin if len(rows) > 1 else number
        elif rows:
            sentences.append(_sentence(rows, begin))
            rows = []
    if rows:
        sentences.append(_sentence(rows, begin))
    if not sentences:
        raise TaskError(
            f"{path}: no sentence found; expected one word and its tag a line, blank lines between sentences"
        )
    return sentences


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    # Split by hand: str.split() and splitlines() would also cut words at non-breaking spaces and unusual line ends.
    for number, raw in enumerate(read_text(path).split("\n"), 1):
        text = raw.strip(" \t\r")
        yield number, re.split("\t" if "\t" in text else " +", text) if text else []


def _row(columns: list[str], width: int, place: str) -> tuple[str, str]:
    if len(columns) < 2 or len(columns) != width:
        raise TaskError(
            f"{place}: {len(columns)} columns {columns}; expected {max(width, 2)}, a word first and its tag last"
        )
    word, tag = columns[0].strip(), columns[-1].strip()
    if not word or not _TAG.fullmatch(tag):
        raise TaskError(f"{place}: word {word!r} has tag {tag!r}; expected O or B-, I-, E-, S- and a type")
    return word, tag


def _sentence(rows: list[tuple[str, str]], line: int) -> Sentence:
    words, tags = zip(*rows, strict=True)
    return Sentence(words, tags, line)


def to_iob2(tags: Sequence[str]) -> list[str]:
    """`tags` in IOB2, whichever scheme they are in. A word begins an entity if it is marked so (B, S), if the word before it
    ended one (E, S), or if the word before it is O or of another type: what seqeval does with I-* after O."""
    result, previous = [], "O"
    for tag in tags:
        if tag == "O":
            result.append(tag)
        else:
            starts = tag[0] in "BS" or previous[0] in "OES" or previous[2:] != tag[2:]
            result.append(("B" if starts else "I") + tag[1:])
        previous = tag
    return result


def entity_types(sentences: Sequence[Sentence]) -> set[str]:
    """The entity types that occur, for instance {"LOC", "PER"}."""
    return {tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"}


def detect_scheme(sentences: Sequence[Sentence]) -> str:
    """`bioes` if any tag is E-* or S-*; else `iob1` if some entity begins with I-*; else `iob2`."""
    tags = [sentence.tags for sentence in sentences]
    if any(tag[0] in "ES" for sentence in tags for tag in sentence):
        return "bioes"
    return "iob2" if all(not violation(sentence, "iob2") for sentence in tags) else "iob1"


def check_scheme(sentences: Sequence[Sentence], scheme: str, path: Path) -> None:
    """TaskError with file and line of the first tag that breaks the rules of `scheme`."""
    for sentence in sentences:
        for offset, (tag, complaint) in enumerate(zip(sentence.tags, _complaints(sentence.tags, scheme), strict=True)):
            if complaint:
                raise TaskError(f"{path}:{sentence.line + offset}: tag {tag!r} {complaint} in {scheme}")


def violation(tags: Sequence[str], scheme: str) -> str:
    """Why `tags` are not in `scheme` (one of SCHEMES), or "" if they are."""
    return next(filter(None, _complaints(tags, scheme)), "")


def _complaints(tags: Sequence[str], scheme: str) -> list[str]:
    padded = ["O", *tags, "O"]
    return [_RULES[scheme](*triple) for triple in zip(padded, tags, padded[2:], strict=False)]


def _no_ends(_before: str, tag: str, _after: str) -> str:
    return "is not used" if tag[0] in "ES" else ""


def _iob2(before: str, tag: str, _after: str) -> str:
    if tag[0] in "ES":
        return "is not used"
    return "follows no word of its entity" if tag[0] == "I" and before[2:] != tag[2:] else ""


def _bioes(before: str, tag: str, after: str) -> str:
    inside = before[0] in "BI" and before[2:] == tag[2:]
    goes_on = after[0] in "IE" and after[2:] == tag[2:]
    if tag[0] in "IE" and not inside:
        return "follows no word of its entity"
    if tag[0] in "BI" and not goes_on:
        return "is followed by no word of its entity"
    return ""


_RULES = {"iob1": _no_ends, "iob2": _iob2, "bioes": _bioes}
