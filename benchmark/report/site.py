"""A leaderboard of many boards as static files: an index, a page for each board, a page for each method across boards.

    index.html               model x task x sparsity: the methods that are best, seeds, cost, date
    boards/NAME.html         the page of a board
    methods/NAME.html        where a method stands, board by board
    records/NAME/ID.json     the records that the pages link to
    site.json                the files of the site, so that files of others are never overwritten

Links are relative and nothing is fetched, so the site opens from disk as from any web server.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_text
from benchmark.report.cells import Cell
from benchmark.report.escape import for_html
from benchmark.report.filenames import file_names
from benchmark.report.layout import Line
from benchmark.report.page.board import PageBoard
from benchmark.report.page.lead import Column, columns_of, lead
from benchmark.report.page.write import document, page
from benchmark.report.show import show, sparsity_of, task_of
from benchmark.report.table import Table

MANIFEST = "site.json"


@dataclass(frozen=True)
class SiteBoard:
    """A board of the site: its name below the folder, that of its files, and what its page is made of."""

    name: str
    file: str
    board: PageBoard
    records: Mapping[str, str]
    """The text of each record's file, by id."""

    @property
    def table(self) -> Table:
        """The board's table."""
        return self.board.table

    @cached_property
    def dense(self) -> tuple[Cell, ...]:
        """The dense model's cells; none where the board has no such row."""
        rows = zip(self.table.rows, self.table.cells, strict=True)
        return next((cells for line, cells in rows if line.dense), ())

    @cached_property
    def models(self) -> str:
        """The names of its models."""
        return ", ".join(self.table.word("model", model) for model in self.board.models)

    @cached_property
    def columns(self) -> dict[int, Column]:
        """What the tests say of the columns that were tested, by position."""
        return columns_of(self.board.comparisons)


def write_site(boards: Sequence[SiteBoard], folder: Path, left_out: Mapping[str, str]) -> Path:
    """Write the site into `folder`, new or a site's own; `left_out` names boards that could not be read, with the reason.

    Returns the index. PrunebenchError where the folder holds files that no site wrote there.
    """
    old = own_files(folder)
    pages = dict(_files(boards, left_out))
    _remember(folder, {*old, *pages})
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != text.encode(errors="replace"):
            write_text(path, text)
    for name in old - set(pages):
        (folder / name).unlink(missing_ok=True)
    _remember(folder, set(pages))
    return folder / "index.html"


def own_files(folder: Path) -> set[str]:
    """The site's files that lie in `folder`; PrunebenchError where there are others, or links."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise PrunebenchError(f"{folder}: the site needs a folder, and this is a file")
    paths = list(folder.rglob("*"))
    found = {path.relative_to(folder).as_posix() for path in paths if path.is_symlink() or not path.is_dir()}
    listed = _listed(folder / MANIFEST) if found else set()
    links = {path.relative_to(folder).as_posix() for path in paths if path.is_symlink()}
    strange = sorted((found - listed - {MANIFEST}) | links)
    if strange:
        raise PrunebenchError(
            f"{folder}: holds {strange[0]}, which is not of a site that was written there; choose a new folder"
        )
    return found - {MANIFEST}


def _listed(manifest: Path) -> set[str]:
    try:
        return {str(name) for name in json.loads(manifest.read_text("utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remember(folder: Path, names: Iterable[str]) -> None:
    write_text(folder / MANIFEST, json.dumps({"files": sorted(names)}, indent=1) + "\n")


def _files(boards: Sequence[SiteBoard], left_out: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Name and text of every file, the index last."""
    methods = _methods(boards)
    method_files = file_names(methods)
    for one in boards:
        for id_, text in one.records.items():
            yield f"records/{one.file}/{id_}.json", text
        yield f"boards/{one.file}.html", page([one.board], home="../index.html")
    for name, places in methods.items():
        yield f"methods/{method_files[name]}.html", _method_page(places)
    yield "index.html", _index(boards, methods, method_files, left_out)


def _methods(boards: Sequence[SiteBoard]) -> dict[str, list[tuple[SiteBoard, int]]]:
    """The boards and rows of every method, by its full spelling."""
    found: dict[str, list[tuple[SiteBoard, int]]] = {}
    for one in boards:
        for i, line in enumerate(one.table.rows):
            if not line.dense:
                found.setdefault(line.method, []).append((one, i))
    return dict(sorted(found.items()))


def _index(
    boards: Sequence[SiteBoard],
    methods: Mapping[str, list[tuple[SiteBoard, int]]],
    method_files: Mapping[str, str],
    left_out: Mapping[str, str],
) -> str:
    rows = [row for one in boards for row in _standings(one, method_files)]
    rows.sort(key=lambda row: row[0])
    heads = ["Task", "Sparsity", "Best methods", "Best score", "Dense", "Seeds", "Model", "Board", "Hours", "Date"]
    dated = "; the date is that of the last of them, where its record holds one"
    if all(cells[-1] == "<td></td>" for _, cells in rows):  # records of versions up to 0.1 hold no date
        heads, dated = heads[:-1], ""
        rows = [(key, cells[:-1]) for key, cells in rows]
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for _, cells in rows)
    head = _head(*heads)
    listed = "".join(_listed_board(one) for one in boards)
    every = ", ".join(
        f'<a href="methods/{method_files[name]}.html">{for_html(places[0][0].table.called.method(name))}</a>'
        for name, places in methods.items()
    )
    gone = "".join(f"<li>{for_html(name)}: {for_html(reason)}</li>" for name, reason in left_out.items())
    missing = f"<h2>Boards left out</h2>\n<ul>{gone}</ul>\n" if gone else ""
    return document(
        "Leaderboard of pruning criteria",
        "<p>One line for each model, task and sparsity. Methods that stand together cannot be told apart by a test over "
        "the test items, corrected over the whole board; the first has the best mean score, which stands beside them. "
        f"Hours are those of all runs of the line, by the wall clock{dated}.</p>\n"
        f"{_scrolling('Leaderboard', head, body)}"
        f"<h2>Boards</h2>\n<ul>{listed}</ul>\n<h2>Methods</h2>\n<p>{every}</p>\n{missing}",
    )


def _listed_board(one: SiteBoard) -> str:
    sentence, _ = lead(one.table, one.board.comparisons, one.board.summary)
    return f'<li><a href="boards/{one.file}.html">{for_html(one.board.title)}</a>: {for_html(sentence)}</li>'


Key = tuple[str, str, float, str]
"""What rows are sorted by: models, task, sparsity, board."""


def _key(one: SiteBoard, column: Line) -> Key:
    """The key of a column of a board."""
    task, sparsity = column.key
    return one.models, str(task), sparsity if isinstance(sparsity, float) else 0.0, one.name


def _standings(one: SiteBoard, method_files: Mapping[str, str]) -> Iterable[tuple[Key, list[str]]]:
    """A sorting key and the cells of a row for every column that has scores."""
    table = one.table
    for j, line in enumerate(table.columns):
        cells = {i: row[j] for i, row in enumerate(table.cells) if not table.rows[i].dense and row[j].runs}
        if line.average or not cells:
            continue
        best, score = _best(one, j, cells, method_files)
        seeds = sorted({cell.n for cell in cells.values()})
        shown = {id_ for cell in cells.values() for id_ in cell.ids}
        records = [record for record in one.board.records if record.id in shown]
        hours = sum(record.cost.total_seconds for record in records) / 3600
        date = max((record.environment.get("date", "") for record in records), default="")
        yield (
            _key(one, line),
            [
                f'<th scope="row"><span>{for_html(task_of(table, line))}</span></th>',
                f"<td>{for_html(sparsity_of(line))}</td>",
                f'<td class="words">{best}</td><td>{score}</td>',
                f"<td>{_dense(one, j)}</td>",
                f"<td>{seeds[0] if len(seeds) == 1 else f'{seeds[0]} to {seeds[-1]}'}</td>",
                f'<td class="name">{for_html(one.models)}</td>',
                f'<td class="name"><a href="boards/{one.file}.html">{for_html(one.name)}</a></td>',
                f"<td>{hours:.2f}</td>",
                f"<td>{for_html(date)}</td>",
            ],
        )


def _best(one: SiteBoard, j: int, cells: Mapping[int, Cell], method_files: Mapping[str, str]) -> tuple[str, str]:
    """The best methods of a column as links, and the best score; where no test was made, that is said."""
    rows = {one.table.rows[i].method: i for i in cells}
    column = one.columns.get(j)
    if column is None:
        ranked = [name for name, i in rows.items() if cells[i].rank == 1]
        reason = "no test" if ranked else "not ranked"
        score = _score(one.table, cells[rows[ranked[0]]]) if ranked else ""
        return f"{_links(one, ranked, method_files)} <small>({reason})</small>", score
    if not column.decided:
        said = f"none told apart <small>({len(column.best)} methods)</small>"
    else:
        said = _links(one, column.best, method_files)
    return said, _score(one.table, cells[rows[column.best[0]]])


def _links(one: SiteBoard, names: Sequence[str], method_files: Mapping[str, str]) -> str:
    called = one.table.called
    return ", ".join(
        f'<a href="methods/{method_files[name]}.html">{for_html(called.method(name))}</a>' for name in names
    )


def _score(table: Table, cell: Cell) -> str:
    return for_html(show(cell, table).plain)


def _dense(one: SiteBoard, j: int) -> str:
    """The dense model's score in a column."""
    return _score(one.table, one.dense[j]) if one.dense else ""


def _method_page(places: Sequence[tuple[SiteBoard, int]]) -> str:
    rows = [row for one, i in places for row in _where(one, i)]
    rows.sort(key=lambda row: row[0])
    first, i = places[0]
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for _, cells in rows)
    head = _head("Task", "Sparsity", "Score", "Dense", "Against the best", "Seeds", "Model", "Board")
    spelling = for_html(first.table.rows[i].method)
    return document(
        first.table.called.method(first.table.rows[i].method),
        f"<p>Written <code>{spelling}</code> in suites, records and CSV files.</p>\n{_scrolling('Results', head, body)}",
        "../index.html",
    )


def _where(one: SiteBoard, i: int) -> Iterable[tuple[Key, list[str]]]:
    """A sorting key and the cells of a row for every column that was planned for a method."""
    table, name = one.table, one.table.rows[i].method
    for j, line in enumerate(table.columns):
        cell = table.cells[i][j]
        if line.average or cell.state == "blank":
            continue
        yield (
            _key(one, line),
            [
                f'<th scope="row"><span>{for_html(task_of(table, line))}</span></th>',
                f"<td>{for_html(sparsity_of(line))}</td><td>{_score(table, cell)}</td>",
                f"<td>{_dense(one, j)}</td>",
                f'<td class="words">{_standing(one.columns.get(j), name)}</td><td>{cell.n}</td>',
                f'<td class="name">{for_html(one.models)}</td>',
                f'<td class="name"><a href="../boards/{one.file}.html">{for_html(one.name)}</a></td>',
            ],
        )


def _standing(column: Column | None, name: str) -> str:
    if column is None or name not in column.tested:
        return "not tested"
    if name in column.behind:
        return "falls behind"
    if not column.decided:
        return "none told apart"
    return "not told apart from the best" if len(column.best) > 1 else "best"


CLASS = ' class="left"'
LEFT = ("Best methods", "Against the best", "Model", "Board")


def _head(*names: str) -> str:
    first, *others = names
    heads = (f'<th scope="col"{CLASS if name in LEFT else ""}>{name}</th>' for name in others)
    return f'<th scope="col" class="field">{first}</th>{"".join(heads)}'


def _scrolling(label: str, head: str, body: str) -> str:
    return (
        '<p class="sideways narrow">More columns to the right: scroll the table sideways <span>&rarr;</span></p>\n'
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table class="site"><thead><tr>{head}</tr>'
        f"</thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )
