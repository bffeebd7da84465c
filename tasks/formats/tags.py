"""Entity tags of words: telling IOB1, IOB2 and BIOES apart, and converting all of them to IOB2.

A tag is `O` or PREFIX-TYPE, or in files of one type the bare PREFIX.
An entity is a run of words of one type; the schemes differ in how they mark its ends:

    IOB1    I-* inside, B-* where an entity touches another of its type (CoNLL-2003 as distributed, which also has one B-*
            that touches none, and is accepted)
    IOB2    B-* on every first word, I-* on the others
    BIOES   as IOB2, with E-* on the last word and S-* on an entity of one word (in BILOU L-* and U-*)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.base import TaskError

SCHEMES = ("iob1", "iob2", "bioes")
BARE = "ENTITY"
"""The type of entities in files that name none."""

_TAG = re.compile(r"O|[BIESLUMW](-\S+)?")
_PREFIXES = {"L": "E", "U": "S", "M": "I", "W": "S"}


@dataclass(frozen=True)
class Sentence:
    """Words with one tag each; `line` is where the sentence begins in its file, counted from 1; 0 where it comes from no file."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int = 0


def read_tag(text: str, typed: bool = False) -> str:
    """A tag with its prefix in B, I, E, S, or "" where it is none: BILOU's L and U and BMEWO's M and W are spelt E, S, I and S,
    and a bare B or I is of the one type ENTITY unless the file is `typed`."""
    if not _TAG.fullmatch(text) or (typed and len(text) == 1 and text != "O"):
        return ""
    if text == "O":
        return text
    return _PREFIXES.get(text[0], text[0]) + (text[1:] or f"-{BARE}")


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


def check_scheme(sentence: Sentence, scheme: str, path: Path) -> None:
    """TaskError with file and line of the first tag that breaks the rules of `scheme`."""
    padded = ["O", *sentence.tags, "O"]
    for offset, tag in enumerate(sentence.tags):
        if complaint := _RULES[scheme](padded[offset], tag, padded[offset + 2]):
            raise TaskError(f"{path}:{sentence.line + offset}: tag {tag!r} {complaint} in {scheme}")


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
