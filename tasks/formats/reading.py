"""Values from outside: a record's fields as what they must be, or a TaskError; and what becomes of a record that is malformed.

each(records, parse, skip)             parse(record) of every record; of a malformed one the TaskError, raised or (skip) yielded
each_row(rows, where, parse, skip)     the same of the hub's rows: parse(row, place), where messages name `place`
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tasks.base import TaskError
from tasks.formats.sources import Row

R = TypeVar("R")
E = TypeVar("E")

LINE, ENTRIES = 2**20, 2**16
"""The longest line or text, in characters, and the longest list within a record: more is no benchmark's, and takes minutes."""

SHOWN = 60
"""Characters of a value that a message shows."""


def each(records: Iterable[R | TaskError], parse: Callable[[R], E], skip: bool) -> Iterator[E | TaskError]:
    """What `parse` makes of every record. Its TaskError, or one that stands in a record's place already, is raised with the hint at
    `skip_malformed`; with `skip` it is yielded in the record's place."""
    for record in records:
        found: E | TaskError
        try:
            if isinstance(record, TaskError):
                raise record
            found = parse(record)
        except TaskError as error:
            if not skip:
                raise TaskError(f"{error} (skip_malformed=true passes over such records)") from error
            found = error
        yield found


def each_row(rows: Iterable[Row], where: str, parse: Callable[[Row, str], E], skip: bool) -> Iterator[E | TaskError]:
    """As `each`, of rows of the hub, which `parse` gets with their place: `where` and the row's number, from 0."""
    places = ((row, f"{where}, row {number}") for number, row in enumerate(rows))
    return each(places, lambda placed: parse(*placed), skip)


def field(holder: Any, name: str, place: str) -> Any:
    """The value of `name` in a JSON object or a row; TaskError where there is none."""
    if not isinstance(holder, Mapping):
        raise TaskError(f"{place}: found {shown(holder)}; expected an object with `{name}`")
    if name not in holder:
        raise TaskError(f"{place}: no {name!r}; it has {', '.join(map(str, holder)) or 'nothing'}")
    return holder[name]


def bounded(line: str, place: str) -> str:
    """A line or text as it is; TaskError where it is longer than `LINE`."""
    if len(line) > LINE:
        raise TaskError(f"{place}: {len(line):,} characters in one line or text; expected {LINE:,} at most")
    return line


def as_text(value: Any, what: str, place: str, blank: bool = False) -> str:
    """`value` as a text; TaskError where it is none, holds half a surrogate pair, is too long, or is blank and `blank` does not allow
    that."""
    if not isinstance(value, str) or not (blank or value.strip()):
        raise TaskError(f"{place}: {what} is {shown(value)}; expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise TaskError(f"{place}: {what} is no text: {error.reason} at character {error.start}") from error
    return bounded(value, place)


def as_integer(value: Any, what: str, place: str) -> int:
    """A whole number, also written as 16.0; TaskError for anything else, truth values among it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value != int(value):
        raise TaskError(f"{place}: {what} is {shown(value)}; expected a whole number")
    return int(value)


def as_list(value: Any, what: str, place: str) -> list[Any]:
    """A list (or a column's array) as a list; TaskError for anything else, and for one of more than `ENTRIES`."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise TaskError(f"{place}: {what} is {shown(value)}; expected a list")
    if len(value) > ENTRIES:
        raise TaskError(f"{place}: {what} has {len(value):,} entries; expected {ENTRIES:,} at most")
    return list(value)


def shown(value: Any) -> str:
    """A value as a message shows it, cut short; null, true and false as files spell them."""
    found = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return found if len(found) <= SHOWN else found[: SHOWN - 3] + "..."


def single_spaced(text: str) -> str:
    """A text with every run of white space as one space, and none at its ends."""
    return " ".join(text.split())
