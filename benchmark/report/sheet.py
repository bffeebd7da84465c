"""A table as it is printed: names, head, blocks of rows, in as many tables as the width requires.

Every writer prints sheets and adds nothing but its own markup, so that all formats show one arrangement.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

from benchmark.report.cells import Cell
from benchmark.report.layout import Line
from benchmark.report.names import distinct, family
from benchmark.report.table import Table
from benchmark.suite.spec import DENSE


@dataclass(frozen=True)
class Words:
    """The text of a head or of a label, and the kinds of the notes that hold for all that it heads."""

    text: str
    marks: tuple[str, ...] = ()


Span = tuple[Words, int]
"""A head, and the columns it stands over."""
GATED = ("gate",)

HEADS = {
    "method": "Method",
    "criterion": "Method",
    "row": "Method",
    "our method": "Our method",
    "source": "Source",
    "model": "Model",
    "matrix": "Matrix",
    "regularizer": "Regularizer",
    "sparsity": "Sparsity",
    "task": "Task",
}


@dataclass(frozen=True)
class Row:
    """Labels of a row and its cells, one for each column of the sheet."""

    line: Line
    words: tuple[Words, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    """Rows under one label (`80 % sparsity`, or none)."""

    label: Words
    rows: tuple[Row, ...]

    @property
    def parts(self) -> list[list[Row]]:
        """Its rows, cut where a rule stands: after the dense model, and before averages."""
        return [list(rows) for _, rows in groupby(self.rows, lambda row: (row.line.dense, bool(row.line.average)))]


@dataclass(frozen=True)
class Sheet:
    """One printed table."""

    fields: tuple[str, ...]
    """Heads of the columns of words."""
    heads: tuple[tuple[Span, ...], ...]
    """Levels of the head, from the top down; each spans all columns."""
    columns: tuple[Line, ...]
    blocks: tuple[Block, ...]


def sheets(table: Table, fits: Callable[[Sheet], bool] | None = None) -> list[Sheet]:
    """The whole table where it `fits`; else several, cut between families of tasks, and within one only where it must be."""
    whole = list(range(len(table.columns)))
    cut = [whole]
    if fits is None:
        return [_sheet(table, whole)]
    families = [_family(table, line) for line in table.columns]
    tasks = [(line.key[:1], line.average) for line in table.columns]
    for kinds in (families, tasks, whole):  # columns of one kind stay together
        cut = [
            smaller
            for part in cut
            for smaller in ([part] if fits(_sheet(table, part)) else _packed(table, _grouped(part, kinds), fits))
        ]
    return [_sheet(table, part) for part in cut]


def _packed(table: Table, groups: list[list[int]], fits: Callable[[Sheet], bool]) -> list[list[int]]:
    """Neighbouring groups put together while they fit."""
    packed = groups[:1]
    for group in groups[1:]:
        together = packed[-1] + group
        if fits(_sheet(table, together)):
            packed[-1] = together
        else:
            packed.append(group)
    return packed


def _grouped(part: list[int], kinds: Sequence[Hashable]) -> list[list[int]]:
    """Columns by their kind, in the order in which kinds come."""
    groups: dict[Hashable, list[int]] = {}
    for j in part:
        groups.setdefault(kinds[j], []).append(j)
    return list(groups.values())


def _family(table: Table, line: Line) -> str:
    """The family of a column's task; GLUE's average stands with GLUE."""
    if "task" not in table.column_fields:
        return str(line.key[0])
    if line.average:
        return "glue" if line.average.startswith("GLUE") else "average"
    return family(str(line.key[table.column_fields.index("task")]))


def _sheet(table: Table, part: Sequence[int]) -> Sheet:
    columns = tuple(table.columns[j] for j in part)
    hidden = shared(table)
    shown = [k for k, name in enumerate(table.row_fields) if k >= table.blocks and name not in hidden]
    rows = [
        Row(line, words, tuple(cells[j] for j in part))
        for line, words, cells in zip(table.rows, _row_words(table, shown), table.cells, strict=True)
        if any(cells[j].text or cells[j].state != "blank" for j in part)
    ]
    blocks = [Block(label, _unrepeated(group)) for label, group in groupby(rows, lambda row: _block(table, row.line))]
    fields = tuple(HEADS.get(table.row_fields[k], table.row_fields[k]) for k in shown)
    return Sheet(fields, _heads(table, part), columns, tuple(blocks))


def _unrepeated(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows without the first words that the row above has too; the last word is always there."""
    found: list[Row] = []
    above: tuple[Words, ...] = ()
    for row in rows:
        pairs = zip(row.words[:-1], above, strict=False)
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        found.append(replace(row, words=(*[Words("")] * same, *row.words[same:])))
        above = row.words
    return tuple(found)


def _row_words(table: Table, shown: Sequence[int]) -> list[tuple[Words, ...]]:
    """The words of each row in the fields `shown`. Figures of a paper have their label alone, and so has the dense model where it is
    one row of the table."""
    fields = [distinct([line.key[k] for line in table.rows], _spelling(table, table.row_fields[k])) for k in shown]
    one_dense = table.named and "task" not in table.row_fields and "model" not in table.row_fields[table.blocks :]
    found = []
    for line in table.rows:
        texts = [words[line.key[k]] for k, words in zip(shown, fields, strict=True)]
        if line.quoted or (line.dense and one_dense):
            alone = line.labels[-1] if line.quoted else table.called.method(DENSE)
            texts = [alone, *("" for _ in texts[1:])]
        texts[0] = line.mark + texts[0]
        marks = GATED if not table.by_columns and table.gated(line) else ()
        tasks = [table.row_fields[k] == "task" for k in shown]
        found.append(tuple(Words(text, marks if task else ()) for text, task in zip(texts, tasks, strict=True)))
    return found


def _spelling(table: Table, name: str) -> Callable[[object], str]:
    """How rows spell the values of a field: methods without the regularizer that all of them share."""
    if name == "method" and "regularizer" in shared(table):
        return lambda value: table.word(name, str(value).partition(" + ")[0])
    return lambda value: table.word(name, value)


def _block(table: Table, line: Line) -> Words:
    """The label of the block that a row stands in; the dense model has no sparsity."""
    fields = table.row_fields[: table.blocks]
    parts = [
        table.word(name, value) + " sparsity" * (name == "sparsity")
        for name, value in zip(fields, line.key, strict=False)
        if name != "sparsity" or isinstance(value, float)
    ]
    return Words(", ".join(filter(None, parts)), GATED if "task" in fields and table.gated(line) else ())


SHARED = ("regularizer", "schedule", "scope", "call_point")
"""Fields that are no column of words where they are the same in every row."""


def shared(table: Table) -> dict[str, str]:
    """What is the same in every row and left out of its words, by field: a column, if another is left, or the regularizer of all
    methods, if none of them has a label as a whole."""
    found: dict[str, str] = {}
    lines = [line for line in table.rows if not (line.dense or line.average or line.quoted)]
    for k, name in enumerate(table.row_fields if table.named else ()):
        values = {str(line.key[k]) for line in lines}
        if k >= table.blocks and name in SHARED and len(values) == 1:
            found[name] = values.pop()
        if name == "method" and len(values) > 1 and not any(map(table.called.label, values)):
            regularizers = {value.partition(" + ")[2] for value in values}
            if len(regularizers) == 1 and "" not in regularizers:
                found["regularizer"] = regularizers.pop()
    if found and found.keys() >= set(table.row_fields[table.blocks :]):
        found.popitem()
    return found


def _heads(table: Table, part: Sequence[int]) -> tuple[tuple[Span, ...], ...]:
    """Levels of the head; under tasks alone, a level with their metrics. A task that does not count is marked at its name."""
    columns = [table.columns[j] for j in part]
    if table.named:
        levels = [_level(table, part, k) for k in range(len(table.column_fields))]
    else:
        levels = [[line.labels[k] for line in columns] for k in range(len(table.column_fields))]
    gated = [table.by_columns and table.gated(line) for line in columns]
    at = table.column_fields.index("task") if "task" in table.column_fields else 0
    heads = [_spans(levels[: k + 1], gated if k == at else [False] * len(part)) for k in range(len(levels))]
    if table.named and table.column_fields == ("task",):
        heads.append(tuple((Words(table.called.metric(metric_of(table, j))), 1) for j in part))
    return tuple(heads)


def _level(table: Table, part: Sequence[int], k: int) -> list[str]:
    name = table.column_fields[k]
    if name != "task":
        return [table.word(name, table.columns[j].key[k]) for j in part]
    tasks = [str(line.key[k]) for line in table.columns]
    words = distinct(tasks, lambda task: table.called.task(str(task)))
    found = []
    for j in part:
        line, metric = table.columns[j], metric_of(table, j)
        word = words[tasks[j]]
        if line.average:
            word = line.average if len(table.column_fields) > 1 else line.average.removesuffix(" avg.")
        elif word == table.called.task(tasks[j]):
            word = table.called.scored(tasks[j], metric)
        if len(table.column_fields) > 1 and "metric" not in table.column_fields and metric and not line.average:
            word = f"{word} ({table.called.metric(metric)})"
        found.append(word)
    return found


def metric_of(table: Table, j: int) -> str:
    """The metric of a column; empty where nothing ran."""
    return next((row[j].metric for row in table.cells if row[j].metric), "")


def _spans(levels: Sequence[Sequence[str]], gated: Sequence[bool]) -> tuple[Span, ...]:
    """Equal neighbours of the last level joined, where those above are equal too, and where all or none of them are gated."""
    columns = list(zip(zip(*levels, strict=True), gated, strict=True))
    return tuple(
        (Words(texts[-1], GATED if marked else ()), len(list(group))) for (texts, marked), group in groupby(columns)
    )


def cut_long(sheet: Sheet, rows: int) -> list[Sheet]:
    """The sheet cut between blocks into sheets of at most `rows` lines of text, a block alone where it is longer."""
    parts: list[list[Block]] = [[]]
    for block in sheet.blocks:
        count = sum(_height(other) for other in parts[-1])
        if parts[-1] and count + _height(block) > rows:
            parts.append([])
        parts[-1].append(block)
    return [replace(sheet, blocks=tuple(part)) for part in parts]


def _height(block: Block) -> int:
    return len(block.rows) + bool(block.label.text)
