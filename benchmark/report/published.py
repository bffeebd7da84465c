"""Published figures beside our own, with the difference and what keeps the two from being comparable.

The figures come from results/published/figures.csv and nowhere else. A published figure is never ranked with ours.
"""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import isfinite
from pathlib import Path

from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.report.cells import Cell, Run
from benchmark.report.layout import Line, Value
from benchmark.report.marks import TEXTS, notes
from benchmark.report.names import Names, percent
from benchmark.report.sheet import metric_of
from benchmark.report.table import PAPER, Table, build_table
from benchmark.suite.labels import method_of
from benchmark.suite.spec import DENSE, GATE, RunSpec

COLUMNS = ("source", "table", "method", "model", "task", "metric", "sparsity", "value", "distillation", "runs", "note")
OURS = {"platon": "sensitivity"}
"""Published methods that are criteria here under another name."""
UNKNOWN = ("budget", "selection", "sparsity basis")
"""Facts that the file has no column for; a note may tell the budget."""
FIELDS = ("source", "method", "model", "task", "sparsity", "our method")
SHOWN = ("reported", "reproduced", "difference", "comparable?")
UNSAID = ("Cells", "Gate", "Left out")
"""Facts of a comparison table that do not apply where nothing is ranked."""


class PublishedError(PrunebenchError):
    """A file of published figures that cannot be read."""


@dataclass(frozen=True)
class Published:
    """One figure as printed; `value` in percent, `sparsity` the fraction removed, `runs` 0 where it is not said."""

    source: str
    table: str
    method: str
    model: str
    task: str
    metric: str
    sparsity: float
    value: float
    printed: str
    """The value with the digits of the source."""
    distillation: bool
    runs: int
    note: str

    @property
    def criterion(self) -> str:
        """The name of this method's criterion here, if there is one."""
        return OURS.get(self.method, self.method)

    @property
    def regularizer(self) -> str:
        """The name of its regularizer here."""
        return "distillation" if self.distillation else "none"

    @property
    def row(self) -> str:
        """The row that it would be here."""
        return method_of(self.criterion, self.regularizer)


def default_path() -> Path:
    """Where a checkout keeps the file; an installed wheel has it beside this module."""
    checkout = Path(__file__).resolve().parents[2] / "results" / "published" / "figures.csv"
    return checkout if checkout.is_file() else Path(__file__).with_name("figures.csv")


def load_published(path: Path | None = None) -> list[Published]:
    """Read the file, by default that of `default_path`; PublishedError names file, line and what is wrong."""
    path = path or default_path()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise PublishedError(f"{path}: expected the columns {', '.join(COLUMNS)}; found {reader.fieldnames}")
            return [_figure(row, f"{path}:{reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PublishedError(f"{path}: cannot read published figures ({error})") from error


def _figure(row: dict[str, str], where: str) -> Published:
    if None in row or None in row.values():
        raise PublishedError(f"{where}: expected {len(COLUMNS)} fields")
    try:
        sparsity, value, runs = float(row["sparsity"]), float(row["value"]), int(row["runs"] or 0)
    except ValueError as error:
        raise PublishedError(f"{where}: {error}") from error
    if not (0 <= sparsity < 1 and isfinite(value) and row["distillation"] in ("yes", "no")):
        raise PublishedError(f"{where}: sparsity in [0, 1), a finite value and distillation yes or no were expected")
    words = {name: row[name] for name in ("source", "table", "method", "model", "task", "metric", "note")}
    return Published(
        **words,
        sparsity=sparsity,
        value=value,
        printed=row["value"],
        distillation=row["distillation"] == "yes",
        runs=runs,
    )


def published_table(
    published: Sequence[Published],
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    *,
    title: str = "",
    gate: float = GATE,
    names: Names | None = None,
) -> Table:
    """One row per figure of a task, metric and sparsity that the board has, and per method of ours it can stand beside.

    Cells of which the board's own table, at its `gate`, gives no mean are shown as there. With `names` the table is for readers, and
    fits a page or a terminal: what is said of a figure is a note.
    """
    own = build_table(records, specs, metric="all", gate=gate) if records else None
    cells = chain.from_iterable(own.cells) if own else ()
    apart = {(cell.metric, id_) for cell in cells if "bimodal" in cell.marks for id_ in cell.ids}
    figures = [figure for figure in published if any(_same_cell(figure, record) for record in records)]
    pairs = [
        (figure, name, runs)
        for figure in sorted(figures, key=lambda f: (f.task, f.metric, f.sparsity, f.method, f.source))
        for name, runs in (_ours(figure, records) or {"": []}).items()
    ]
    rows = [_row(figure, name, runs, apart) for figure, name, runs in pairs]
    facts = own.facts if own else {}
    ours = {f"Ours, {name[0].lower()}{name[1:]}": text for name, text in facts.items() if name not in UNSAID}
    table = Table(
        title=title,
        row_fields=FIELDS,
        column_fields=("figure",),
        rows=tuple(line for line, _ in rows),
        columns=tuple(Line((name,), (name,)) for name in SHOWN),
        cells=tuple(cells for _, cells in rows),
        notes=notes([cell for _, cells in rows for cell in cells]),
        facts={
            "Reported": "as printed in the source, in percent; sources differ among themselves in dense baseline, budget, "
            "selection and what sparsity counts",
            "Reproduced": "mean ± standard deviation over our seeds, in percent",
            "Difference": "reproduced minus reported, in points",
            **ours,
        },
    )
    return table if names is None else _in_print(table, [(figure, name) for figure, name, _ in pairs], names)


def _in_print(table: Table, pairs: Sequence[tuple[Published, str]], names: Names) -> Table:
    """The table for readers; `pairs` are the figure and our method of each row."""
    rows: list[Line] = []
    cells: list[tuple[Cell, ...]] = []
    for (figure, name), (reported, ours, gap, verdict) in zip(pairs, table.cells, strict=True):
        scored = f"{names.scored(figure.task, figure.metric)} ({names.metric(figure.metric)})"
        amount = percent(figure.sparsity) if figure.sparsity else DENSE
        labels = (names.method(figure.row), scored, amount, names.method(name) if name else "")
        source = f"{figure.source}, {figure.table}: {figure.model}"
        said = "; ".join(filter(None, [source, verdict.text.replace("no: ", "differs from ours in ", 1)]))
        rows.append(Line(labels, labels))
        cells.append(
            (replace(reported, marks=(said,)), ours, replace(gap, text=gap.text.replace("-", "\N{MINUS SIGN}")))
        )
    return replace(
        table,
        row_fields=("method", "task", "sparsity", "our method"),
        rows=tuple(rows),
        columns=tuple(Line(column.key, (column.labels[0].capitalize(),)) for column in table.columns[:-1]),
        cells=tuple(cells),
        notes=notes([cell for row in cells for cell in row], {cell.marks[0]: cell.marks[0] for cell, *_ in cells}),
        sentence="Figures as printed in their sources, in percent; ours, mean over seeds with the standard deviation as "
        "subscript; and the difference, ours minus theirs, in points.",
    )


def quoted(table: Table, published: Sequence[Published], records: Sequence[Record]) -> Table:
    """A table in the paper's layout with the figures that concern it above our rows in each block, never ranked with them.

    A lettered note for each source, model and remark on the figures (such as the budget) says what they are and why they differ.
    PublishedError: another layout.
    """
    if table.row_fields != PAPER["rows"] or table.column_fields != PAPER["columns"]:
        raise PublishedError(
            "published figures stand in the paper's layout of one model, or in `--layout tasks` in a table of their own; this "
            f"table has {', '.join(table.row_fields)} in its rows and {', '.join(table.column_fields)} in its columns"
        )
    groups = _grouped(table, published, records)
    if not groups:
        return replace(
            table, facts={**table.facts, "Published": "no figure is of a task, metric and sparsity of this table"}
        )
    by_source: dict[str, list[Published]] = {}
    for (_, _, source), figures in groups.items():
        by_source.setdefault(source, []).extend(figures)
    kinds = {source: f"quoted {number}" for number, source in enumerate(by_source, 1)}
    rows: list[tuple[Line, tuple[Cell, ...]]] = []
    seen: set[Value] = set()
    for line, cells in zip(table.rows, table.cells, strict=True):
        block = line.key[0]
        if block not in seen:
            seen.add(block)
            for (where, name, source), figures in groups.items():
                if where == block:
                    words = f"{table.called.method(name)}, quoted"
                    quoted_line = Line((block, name), (f"{block}", words), line.dense, quoted=True)
                    rows.append((quoted_line, tuple(_quoted_cell(c, figures, kinds[source]) for c in table.columns)))
        rows.append((line, cells))
    kept = {note.kind: note.text for note in table.notes if note.kind not in TEXTS}
    whys = {kinds[source]: _why(source, figures, records) for source, figures in by_source.items()}
    return replace(
        table,
        rows=tuple(line for line, _ in rows),
        cells=tuple(cells for _, cells in rows),
        notes=notes([cell for _, cells in rows for cell in cells], kept | whys),
    )


def _grouped(
    table: Table, published: Sequence[Published], records: Sequence[Record]
) -> dict[tuple[Value, str, str], list[Published]]:
    """The figures that concern the table by the row they make: its block, its method, and their source with its model and remark."""
    shown = {(line.key[0], metric_of(table, j)) for j, line in enumerate(table.columns) if not line.average}
    groups: dict[tuple[Value, str, str], list[Published]] = {}
    for figure in published:
        if (figure.task, figure.metric) in shown and any(_same_cell(figure, record) for record in records):
            said = f" ({figure.note})" if figure.note else ""
            source = f"{figure.source}, {figure.table}: {figure.model}{said}"
            groups.setdefault((figure.sparsity or DENSE, figure.row, source), []).append(figure)
    return groups


def _quoted_cell(column: Line, figures: Sequence[Published], kind: str) -> Cell:
    """The printed figure of a column's task, with the letter of its source."""
    for figure in figures:
        if figure.task == column.key[0] and not column.average:
            return Cell(metric=figure.metric, text=figure.printed, marks=(kind,))
    return Cell()


def _why(source: str, figures: Sequence[Published], records: Sequence[Record]) -> str:
    """Where figures are quoted from, and what keeps them from being compared with ours."""
    known = dict.fromkeys(
        text for figure in figures for record in _nearest(figure, records) for text in differs(figure, record)
    )
    said = f"differing from our runs in {', '.join(known)}; " if known else ""
    return f"quoted from {source}, {said}not known of it: {', '.join(UNKNOWN)}; not ranked"


def _nearest(figure: Published, records: Sequence[Record]) -> list[Record]:
    """Our runs at the figure's task and sparsity, those of its own regularizer alone where there are any."""
    ours = [record for record in records if _same_cell(figure, record)]
    return [
        record for record in ours if record.spec.is_dense or _stem(record.spec.regularizer) == figure.regularizer
    ] or ours


def differs(figure: Published, record: Record) -> list[str]:
    """What is known to differ between a figure and one of our runs."""
    spec = record.spec
    known = {
        f"model ({spec.model}, not {figure.model})": spec.model != figure.model,
        "distillation": not spec.is_dense and _stem(spec.regularizer).endswith("distillation") != figure.distillation,
        "another regularizer": _stem(spec.regularizer) not in ("none", "distillation"),
        "start of training (upstream pruning)": "upstream" in figure.note,
        "split sampled": spec.training.eval_examples is not None,
        "training data sampled": spec.training.train_examples is not None,
        "optimistic selection here": record.selected.optimistic,
        f"achieved sparsity ({record.sparsity.measured:.3f})": not record.sparsity.met,
    }
    return [name for name, is_so in known.items() if is_so]


def _same_cell(figure: Published, record: Record) -> bool:
    """Whether one of our runs is of the figure's task, metric and sparsity."""
    same = record.spec.task == figure.task and abs(record.spec.sparsity - figure.sparsity) < 1e-9
    return same and figure.metric in record.metrics


def _ours(figure: Published, records: Sequence[Record]) -> dict[str, list[Record]]:
    """Our runs of the same method, task and sparsity, by criterion and regularizer as configured."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r.spec.criterion, r.spec.regularizer, r.spec.seed)):
        spec = record.spec
        if _same_cell(figure, record) and _stem(spec.criterion) == figure.criterion:
            found.setdefault(method_of(spec.row, spec.regularizer), []).append(record)
    return found


def _stem(name: str) -> str:
    return name.partition("[")[0]


def _row(
    figure: Published, name: str, records: list[Record], apart: Collection[tuple[str, str]]
) -> tuple[Line, tuple[Cell, ...]]:
    """A figure beside our runs; `apart` are metric and id of those of which no mean is given."""
    sparsity = DENSE if figure.sparsity == 0 else f"{figure.sparsity:g}"
    method = figure.method + (" + distillation" if figure.distillation else "")
    source = f"{figure.source}, {figure.table}"
    labels = (source, method, figure.model, f"{figure.task} ({figure.metric})", sparsity, name)
    count = f" (n = {figure.runs})" if figure.runs else ""
    reported = Cell(text=f"{figure.printed}{count}", metric=figure.metric)
    if not records:
        said = f"they note: {figure.note}" if figure.note else ""
        return Line(labels, labels), (reported, Cell(), Cell(), Cell(text=said))
    cell = Cell(
        metric=figure.metric,
        runs=tuple(Run(record.metrics[figure.metric], (record.id,), record.spec.seed) for record in records),
        planned=len(records),
        dense=figure.sparsity == 0,
        marks=("bimodal",) if any((figure.metric, record.id) in apart for record in records) else (),
    )
    gap = "" if cell.marks else f"{(cell.mean or 0.0) - figure.value:+.1f}"
    return Line(labels, labels), (reported, cell, Cell(text=gap), Cell(text=_verdict(figure, records)))


def _verdict(figure: Published, records: Sequence[Record]) -> str:
    """`no: model, distillation`, or what remains unknown."""
    known = list(dict.fromkeys(text for record in records for text in differs(figure, record)))
    unknown = [name for name in UNKNOWN if not (figure.sparsity == 0 and name == "sparsity basis")]
    said = f"not known: {', '.join(unknown)}"
    if figure.note:
        said += f"; they note: {figure.note}"
    return f"no: {', '.join(known)}; {said}" if known else said
