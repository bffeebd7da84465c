"""CoNLL column files: one word a line, blank lines between sentences; which column holds the word and which its tag.

    word    "1", the first column, or another, counted from 1, or its name in a header line or in `# global.columns = ...`
    tag     "-1", the last column (negative numbers count from the end), or another, likewise

A layout that the two do not fit is refused rather than read: numbers that count the words of each sentence are no words, and of two
columns of tags that could both be meant one must be named.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tasks.base import TaskError
from tasks.formats.reading import ENTRIES, bounded, each, shown
from tasks.formats.sources import read_text
from tasks.formats.tags import Sentence, read_tag

WORD, TAG = "1", "-1"
"""Where a word and its tag stand unless it is said."""

_DOCUMENT = "-DOCSTART-"
_COMMENTS = ("#begin document", "#end document")
_NAMES = "# global.columns ="
_NUMBER = re.compile("-?[1-9][0-9]*")
CLASSES, OFTEN = 60, 20
"""A column of at most CLASSES different values, each in more than OFTEN rows on average, holds parts of speech, not words, if another
column has more values."""
FEW = 10
"""Rows up to which a column that never changes says nothing, and sentences up to which their length does not."""


@dataclass(frozen=True)
class Line:
    """A line's columns and its number, counted from 1."""

    number: int
    columns: tuple[str, ...]


def scan_columns(path: Path, word: str = WORD, tag: str = TAG, skip: bool = False) -> Iterator[Sentence | TaskError]:
    """The sentences of a column file; columns are separated by tabs if a line has one, else by spaces.

    TaskError names file and line of a row that has another number of columns than most, or no tag; `skip` yields that of a malformed
    sentence in its place.
    """
    lines = list(_lines(path))
    header = _header(lines, path, word, tag)
    naming = {line.number for line in (header, *_named(lines)) if line is not None}
    rows = [line for line in lines if line.number not in naming]
    blocks = list(_blocks(rows, tag if _NUMBER.fullmatch(tag) else TAG))
    if not blocks:
        raise TaskError(
            f"{path}: no sentence found; expected one word and its tag a line, blank lines between sentences"
        )
    width = Counter(len(line.columns) for block in blocks for line in block).most_common(1)[0][0]
    names = _header_names(header) if header else ()
    places = tuple(_place(one, names, width, path) for one in (word, tag))
    regular = [[line for line in block if len(line.columns) == width] for block in blocks]
    _check_words(path, regular, places[0], width)
    if tag == TAG:
        _check_tags(path, regular, places[1], elsewhere=word != WORD)
    typed = any("-" in line.columns[places[1]] for block in regular for line in block if width > 1)

    def sentence(block: list[Line]) -> Sentence:
        if len(block) > ENTRIES:
            raise TaskError(
                f"{path}:{block[0].number}: {len(block):,} words in one sentence; expected {ENTRIES:,} at most, and blank lines "
                "between sentences"
            )
        found = [_row(line, places, width, typed, f"{path}:{line.number}") for line in block]
        words, tags = zip(*found, strict=True)
        return Sentence(words, tags, block[0].number)

    return each(blocks, sentence, skip)


def check_column(name: str, value: str) -> None:
    """TaskError where an option names no column."""
    if not value.strip() or (value.lstrip("-").isdigit() and not _NUMBER.fullmatch(value)):
        raise TaskError(f"{name} is {value!r}; expected a column's number, from 1 or from -1 backwards, or its name")


def _lines(path: Path) -> Iterator[Line]:
    # Split by hand: str.split() and splitlines() would also cut words at non-breaking spaces and unusual line ends.
    for number, raw in enumerate(read_text(path).split("\n"), 1):
        text = bounded(raw, f"{path}:{number}").strip(" \t\r")
        yield Line(number, tuple(re.split("\t" if "\t" in text else " +", text)) if text else ())


def _named(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if " ".join(line.columns).startswith(_NAMES)]


def _header(lines: Sequence[Line], path: Path, word: str, tag: str) -> Line | None:
    """The line that names the columns, where one of the two is asked for by its name."""
    if all(_NUMBER.fullmatch(one) for one in (word, tag)):
        return None
    found = next(iter(_named(lines)), next((line for line in lines if line.columns), None))
    if found is None:
        raise TaskError(f"{path}: no line that names the columns")
    return found


def _header_names(header: Line) -> tuple[str, ...]:
    text = " ".join(header.columns)
    return tuple(text.removeprefix(_NAMES).split()) if text.startswith(_NAMES) else header.columns


def _blocks(lines: Sequence[Line], tag: str) -> Iterator[list[Line]]:
    """The rows of each sentence; comments before a sentence and the lines that begin documents are left out."""
    block: list[Line] = []
    for line in [*lines, Line(0, ())]:
        if line.columns and _DOCUMENT not in line.columns[:2]:
            if block or not _is_comment(line.columns, tag):
                block.append(line)
        elif block:
            yield block
            block = []


def _is_comment(columns: tuple[str, ...], tag: str) -> bool:
    """A line that begins with a lone # and has no tag: the sign itself is a word like any other."""
    if " ".join(columns).startswith(_COMMENTS):
        return True
    at = int(tag) - (int(tag) > 0)
    return columns[0] == "#" and (not -len(columns) <= at < len(columns) or not read_tag(columns[at]))


def _place(column: str, names: Sequence[str], width: int, path: Path) -> int:
    """Position, from 0, of a column in rows of `width`."""
    if not _NUMBER.fullmatch(column):
        if names.count(column) != 1:
            raise TaskError(f"{path}: no column {column!r}; they are called {', '.join(names)}")
        return names.index(column)
    at = int(column) - 1 if int(column) > 0 else width + int(column)
    if not 0 <= at < width:
        raise TaskError(f"{path}: no column {column}; its rows have {width}")
    return at


def _check_words(path: Path, blocks: Sequence[Sequence[Line]], at: int, width: int) -> None:
    """TaskError where the words are numbers that count them, all the same, or so few that they are another column's classes."""
    columns = [[line.columns[at] for line in block] for block in blocks]
    several = [column for column in columns if len(column) > 1]
    counting = [column for column in several if _counts(column)]
    words, rows = {word for column in columns for word in column}, sum(map(len, columns))
    if several and len(counting) > 0.9 * len(several):
        what = f"counts the words ({', '.join(counting[0][:3])}, ...)"
    elif len(words) == 1 and rows > FEW:
        what = f"is {words.pop()!r} in every row"
    elif len(blocks) > FEW and len(words) <= CLASSES and rows > OFTEN * len(words) and _has_more(blocks, words, width):
        what = f"has {len(words)} different values in {rows:,} rows, such as {max(words)!r}"
    else:
        return
    tags = [str(one + 1) for one in range(width) if _types(blocks, one)]
    raise TaskError(
        f"{path}:{blocks[0][0].number}: column {at + 1} {what}: name the columns, for instance word={at + 2} and "
        f"tag={tags[0] if tags else width} (those that look like tags: {', '.join(tags) or 'none'}, of {width})"
    )


def _has_more(blocks: Sequence[Sequence[Line]], words: set[str], width: int) -> bool:
    """Whether a column has more different values than `words`: those of a template's sentences may be few, but its tags are fewer."""
    return any(len({line.columns[at] for block in blocks for line in block}) > len(words) for at in range(width))


def _counts(column: Sequence[str]) -> bool:
    if not all(re.fullmatch(r"[0-9]{1,9}", word) for word in column):
        return False
    numbers = [int(word) for word in column]
    return all(after - before == 1 for before, after in pairwise(numbers))


def _check_tags(path: Path, blocks: Sequence[Sequence[Line]], at: int, elsewhere: bool) -> None:
    """TaskError where the last column was taken for the tags, and another could be meant: it has entities of the same types, or
    the file is known not to be laid out as usual, for its words stand `elsewhere`."""
    own = _types(blocks, at)
    others = [(one, types) for one in range(at) if (types := _types(blocks, one))]
    rivals = [str(one + 1) for one, types in others if types & own or elsewhere]
    if rivals:
        raise TaskError(
            f"{path}: columns {', '.join([*rivals, str(at + 1)])} hold tags: say which, for instance tag={rivals[0]}"
        )


def _types(blocks: Sequence[Sequence[Line]], at: int) -> set[str]:
    """The entity types of a column in which every value is a tag; none where it is another column."""
    tags = {line.columns[at] for block in blocks for line in block}
    if not all(read_tag(tag) for tag in tags):
        return set()
    return {tag[2:] for tag in tags if "-" in tag}


def _row(line: Line, places: tuple[int, ...], width: int, typed: bool, place: str) -> tuple[str, str]:
    if len(line.columns) < 2 or len(line.columns) != width:
        raise TaskError(
            f"{place}: {len(line.columns)} columns {shown(list(line.columns))}; expected {max(width, 2)}, a word and its tag "
            "among them"
        )
    word, given = (line.columns[at].strip() for at in places)
    tag = read_tag(given, typed)
    if not word or not tag:
        raise TaskError(f"{place}: word {shown(word)} has tag {shown(given)}; expected O or B-, I-, E-, S- and a type")
    return word, tag
