"""Sets of (subject, property, object) triples with their texts: WebNLG's XML and DART's JSON, and how triples become a source.

subject : property : object | subject : property : object | ...
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tasks.base import TaskError
from tasks.formats.reading import as_list, as_text, bounded, each, field, shown, single_spaced
from tasks.formats.sources import read_json as load

Triple = tuple[str, str, str]


@dataclass(frozen=True)
class Pair:
    """A linearised meaning and every text written for it."""

    source: str
    texts: tuple[str, ...]
    category: str = ""


def linearise(triples: Sequence[Triple]) -> str:
    """The source of a triple set, in the order given."""
    return " | ".join(" : ".join(triple) for triple in triples)


def plain(term: str) -> str:
    """A WebNLG subject or object as text: underscores are spaces, the quotes around a literal are left out."""
    term = single_spaced(term.replace("_", " "))
    return term[1:-1] if len(term) > 1 and term[0] == term[-1] == '"' else term


def parse_triple(text: str, place: str) -> Triple:
    """`subject | property | object`; TaskError at `place` where it does not have three parts."""
    parts = [part.strip() for part in text.split(" | ")]
    if len(parts) != 3 or not all(parts):
        raise TaskError(f"{place}: triple {shown(text)} has {len(parts)} parts; expected subject | property | object")
    return parts[0], parts[1], parts[2]


def read_xml(path: Path, clean: bool, skip: bool = False) -> Iterator[Pair | TaskError]:
    """One pair per `entry` with its English `lex` texts and category; `clean` makes terms `plain`. Triples are the `mtriple`s of
    `modifiedtripleset`. TaskError names file and line of broken XML, a malformed triple, an entry without triples or texts;
    `skip` yields it in the place of an entry."""

    def pair(entry: Element) -> Pair:
        triples = [
            parse_triple(bounded(one.text or "", _place(path, one)), _place(path, one))
            for one in as_list(entry.findall("modifiedtripleset/mtriple"), "modifiedtripleset", _place(path, entry))
        ]
        texts = [
            single_spaced(bounded(lex.text or "", _place(path, lex)))
            for lex in as_list(list(entry.iter("lex")), "lex", _place(path, entry))
            if lex.get("lang") in (None, "", "en")
        ]
        if not triples or not any(texts):
            missing = "triples (modifiedtripleset/mtriple)" if not triples else "English text (lex)"
            raise TaskError(f"{_place(path, entry)}: entry {entry.get('eid', '')!r} has no {missing}")
        if clean:
            triples = [(plain(subject), relation, plain(value)) for subject, relation, value in triples]
        return Pair(linearise(triples), tuple(filter(None, texts)), entry.get("category", ""))

    return each(parse_xml(path).iter("entry"), pair, skip)


def parse_xml(path: Path) -> Element:
    """The root of an XML file; every element has its line as attribute `line`, for error messages."""
    parser, builder = expat.ParserCreate(), TreeBuilder()
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, given: builder.start(tag, {**given, "line": str(parser.CurrentLineNumber)})
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise TaskError(f"{path}:{error.lineno}: not well-formed XML: {expat.ErrorString(error.code)}") from error
    except (ValueError, LookupError) as error:  # an encoding that the parser does not know
        raise TaskError(f"{path}:1: XML that cannot be read: {error}") from error
    return builder.close()


def read_json(path: Path, skip: bool = False) -> Iterator[Pair | TaskError]:
    """One pair per record `{tripleset: [[s, p, o], ...], annotations: [{text}, ...]}` of DART's JSON; TaskError names file
    and line of broken JSON and of a record that has another shape, and is yielded in the record's place where `skip` is set."""
    text, records = load(path)
    if not isinstance(records, list):
        raise TaskError(f"{path}:1: found a JSON {type(records).__name__}; expected a list of records")

    def pair(entry: tuple[int, Any]) -> Pair:
        try:
            return _json_pair(entry[1])
        except TaskError as error:
            raise TaskError(f"{path}:{_line_of(text, entry[0])}{error}") from error

    return each(enumerate(records), pair, skip)


def _json_pair(record: Any) -> Pair:
    """The pair of a record; the TaskError of a malformed one begins with the place within it."""
    triples = [as_triple(one, "") for one in as_list(field(record, "tripleset", ""), "tripleset", "")]
    notes = as_list(field(record, "annotations", ""), "annotations", "")
    texts = [single_spaced(as_text(field(one, "text", ""), "an annotation's text", "", blank=True)) for one in notes]
    if not triples or not any(texts):
        raise TaskError(f": a record without {'text' if triples else 'triples'}")
    return Pair(linearise(triples), tuple(filter(None, texts)))


def as_triple(value: Any, place: str) -> Triple:
    """A list of subject, property and object, each a text; TaskError at `place` for anything else."""
    parts = as_list(value, "a triple", place)
    if len(parts) != 3:
        raise TaskError(f"{place}: triple {shown(value)} has {len(parts)} parts; expected subject, property, object")
    subject, relation, thing = (as_text(part, f"a part of the triple {shown(value)}", place) for part in parts)
    return subject, relation, thing


def _line_of(text: str, number: int) -> int:
    """The line on which the record `number` (from 0) of a JSON list begins: looked for only when it is malformed."""
    gap, decoder = re.compile(r"[\s,]*"), json.JSONDecoder()

    def skip(at: int) -> int:
        found = gap.match(text, at)
        return found.end() if found else at

    at = skip(text.index("[") + 1)
    for _ in range(number):
        at = skip(decoder.raw_decode(text, at)[1])
    return text.count("\n", 0, at) + 1


def _place(path: Path, element: Element) -> str:
    return f"{path}:{element.get('line')}"
