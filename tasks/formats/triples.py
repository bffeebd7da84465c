"""Sets of (subject, property, object) triples with their texts: WebNLG's XML and DART's JSON, and how triples become a source.

subject : property : object | subject : property : object | ...
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tasks.base import TaskError
from tasks.families.data_to_text import Pair
from tasks.formats.sources import read_text

Triple = tuple[str, str, str]


def linearise(triples: Sequence[Triple]) -> str:
    """The source of a triple set, in the order given."""
    return " | ".join(" : ".join(triple) for triple in triples)


def plain(term: str) -> str:
    """A WebNLG subject or object as text: underscores are spaces, the quotes around a literal are left out."""
    term = " ".join(term.replace("_", " ").split())
    return term[1:-1] if len(term) > 1 and term[0] == term[-1] == '"' else term


def parse_triple(text: str, place: str) -> Triple:
    """`subject | property | object`; TaskError at `place` where it does not have three parts."""
    parts = [part.strip() for part in text.split(" | ")]
    if len(parts) != 3 or not all(parts):
        raise TaskError(f"{place}: triple {text!r} has {len(parts)} parts; expected subject | property | object")
    return parts[0], parts[1], parts[2]


def read_xml(path: Path, clean: bool) -> Iterator[Pair]:
    """One pair per `entry` with its `lex` texts and category; `clean` makes terms `plain`. Triples are the `mtriple`s of
    `modifiedtripleset`. TaskError names file and line of broken XML, a malformed triple, an entry without triples or texts."""
    for entry in parse_xml(path).iter("entry"):
        triples = [
            parse_triple(one.text or "", _place(path, one)) for one in entry.iterfind("modifiedtripleset/mtriple")
        ]
        texts = [" ".join((lex.text or "").split()) for lex in entry.iter("lex")]
        if not triples or not any(texts):
            missing = "triples (modifiedtripleset/mtriple)" if not triples else "text (lex)"
            raise TaskError(f"{_place(path, entry)}: entry {entry.get('eid', '')!r} has no {missing}")
        if clean:
            triples = [(plain(subject), relation, plain(value)) for subject, relation, value in triples]
        yield Pair(linearise(triples), tuple(filter(None, texts)), entry.get("category", ""))


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
    return builder.close()


def read_json(path: Path) -> Iterator[Pair]:
    """One pair per record `{tripleset: [[s, p, o], ...], annotations: [{text}, ...]}` of DART's JSON; TaskError names file
    and line of broken JSON and of a record that has another shape."""
    text = read_text(path)
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise TaskError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(records, list):
        raise TaskError(f"{path}:1: found a JSON {type(records).__name__}; expected a list of records")
    for number, record in enumerate(records):
        try:
            yield _json_pair(record)
        except TaskError as error:
            raise TaskError(f"{path}:{_line_of(text, number)}: {error}") from error


def _json_pair(record: Any) -> Pair:
    try:
        triples = [(str(s), str(p), str(o)) for s, p, o in record["tripleset"]]
        texts = [" ".join(one["text"].split()) for one in record["annotations"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        shape = '{"tripleset": [[subject, property, object], ...], "annotations": [{"text": ...}, ...]}'
        raise TaskError(f"not of the form {shape}: {type(error).__name__}: {error}") from error
    if not triples or not any(texts):
        raise TaskError(f"a record without {'text' if triples else 'triples'}")
    return Pair(linearise(triples), tuple(filter(None, texts)))


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
