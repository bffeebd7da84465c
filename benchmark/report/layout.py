"""Rows and columns out of planned runs, and where the dense model goes.

The dense model is one line of its own, first on the side that holds the criterion. It has no sparsity, so its one value
per task stands under every sparsity of that task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.report.fields import METHOD, Slot, Value, key, label, ranks
from benchmark.suite.labels import method_of

Key = tuple[Value, ...]


@dataclass(frozen=True)
class Line:
    """A row or a column: the values it stands for, and their words."""

    key: Key
    labels: tuple[str, ...]
    dense: bool = False
    average: str = ""
    """`GLUE avg.` where the line is an average over tasks, `Perplexity avg.` where it is one of errors."""
    quoted: bool = False
    """Figures printed in a paper, which stand beside ours and are never ranked with them."""
    over: tuple[str, ...] = ()
    """The tasks that an average is over."""
    mark: str = ""
    """Stands before the words, so that the row is easy to find."""

    @property
    def text(self) -> str:
        """Its labels on one line."""
        return " ".join(filter(None, self.labels))

    @property
    def method(self) -> str:
        """`criterion + regularizer`, where the labels are these."""
        return method_of(*self.labels)


@dataclass(frozen=True)
class Layout:
    """Lines in order, and the slots of every place (row, column) that was planned."""

    rows: tuple[Line, ...]
    columns: tuple[Line, ...]
    places: dict[tuple[int, int], list[Slot]]


def lay_out(
    groups: Sequence[Sequence[Slot]], rows: tuple[str, ...], columns: tuple[str, ...], headline: dict[str, str]
) -> Layout:
    """Place every slot of `groups`, each of which belongs to one row and column; dense slots go to all lines of the other side
    that agree in what is not the method.
    """
    order = ranks([group[0] for group in groups], (*rows, *columns))
    upright = dense_on_rows(rows, columns)
    own, other = (rows, columns) if upright else (columns, rows)
    placed: dict[tuple[Key, Key], list[Slot]] = {}
    for group in groups:
        slot = group[0]
        if not slot.spec.is_dense:
            placed.setdefault((key(slot, own), key(slot, other)), []).extend(group)
    lines = {across for _, across in placed}
    dense_keys: set[Key] = set()
    for group in groups:
        slot = group[0]
        if slot.spec.is_dense:
            dense_keys.add(key(slot, own))
            for across in _agreeing(slot, other, lines):
                placed.setdefault((key(slot, own), across), []).extend(group)
    own_keys = _ordered({mine for mine, _ in placed}, own, order)
    other_keys = _ordered({across for _, across in placed}, other, order)
    at = {mine: i for i, mine in enumerate(own_keys)}, {across: i for i, across in enumerate(other_keys)}
    places = {(at[0][mine], at[1][across]): found for (mine, across), found in placed.items()}
    own_lines = tuple(line_of(mine, own, mine in dense_keys, headline) for mine in own_keys)
    other_lines = tuple(line_of(across, other, False, headline) for across in other_keys)
    if upright:
        return Layout(own_lines, other_lines, places)
    return Layout(other_lines, own_lines, {(j, i): found for (i, j), found in places.items()})


def dense_on_rows(rows: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Whether the dense model is a row: where the criterion stands, else any other method field, else the rows."""
    for field in METHOD:
        if field in rows:
            return True
        if field in columns:
            return False
    return True


def _agreeing(slot: Slot, fields: tuple[str, ...], lines: set[Key]) -> list[Key]:
    mine = key(slot, fields)
    fixed = [i for i, field in enumerate(fields) if field not in METHOD]
    found = [line for line in lines if all(line[i] == mine[i] for i in fixed)]
    return found or [mine]


def _ordered(keys: set[Key], fields: tuple[str, ...], order: dict[tuple[str, Value], float]) -> list[Key]:
    return sorted(keys, key=lambda k: [order[field, content] for field, content in zip(fields, k, strict=True)])


def line_of(values: Key, fields: tuple[str, ...], dense: bool, headline: Mapping[str, str] | None = None) -> Line:
    """A line and its labels; `headline` has the metrics that stand beside tasks."""
    labels = tuple(label(field, value, headline or {}) for field, value in zip(fields, values, strict=True))
    return Line(values, labels, dense)
