"""The page: boards, filters, figures and details in one HTML file that opens from disk without a network.

Data is embedded as JSON that cannot end its element; the script builds text, never markup; and the page's own policy
allows no other script and no fetching, whatever the names in a record hold.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from benchmark.machine.atomic import write_text
from benchmark.report.efficiency import efficiency_table
from benchmark.report.escape import clean, for_html, tied
from benchmark.report.figures.plot import figures
from benchmark.report.figures.style import inline_svg, lettering
from benchmark.report.html import fragment
from benchmark.report.numbers import count_of
from benchmark.report.page.board import PageBoard, board_data, embedded
from benchmark.report.page.lead import lead
from benchmark.report.page.table import headline
from benchmark.report.published import Published, published_table
from benchmark.report.show import sparsity_of, task_of
from benchmark.report.summary import Summary, method_rows, pair_rows, remarks_of

HERE = Path(__file__).parent
NOTHING = "<p>No column is complete for two methods, so no methods are compared.</p>\n"
FILTERS = ("task", "sparsity", "criterion", "regularizer", "model")


def write_page(boards: Sequence[PageBoard], path: Path, *, published: Sequence[Published] = ()) -> Path:
    """Write the page of `boards` to `path`, atomically; `published` figures get a table of their own where they apply."""
    write_text(path, page(boards, published=published))
    return path


def page(boards: Sequence[PageBoard], *, published: Sequence[Published] = (), home: str = "") -> str:
    """The whole document; `home` is where all boards are listed, for a link."""
    sections = "\n".join(_section(board, i, published, len(boards) > 1) for i, board in enumerate(boards))
    return document(
        " and ".join(board.title for board in boards),
        f"{_filters(boards)}\n{sections}\n",
        home,
        below=f"<p>{_counted(boards)}</p>",
        data=embedded([board_data(board) for board in boards]),
    )


def document(title: str, body: str, home: str = "", below: str = "", data: str = "") -> str:
    """A whole page that fetches nothing: `below` stands under its heading. Only with `data` (JSON) may a script run, our own."""
    style, script = (HERE / "page.css").read_text("utf-8"), (HERE / "page.js").read_text("utf-8") if data else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    back = f'<nav><a href="{for_html(home)}">All boards</a></nav>\n' if home else ""
    under = f"\n{below}\n" if below else ""
    details = (
        '<dialog id="detail" aria-labelledby="detail-title"></dialog>\n'
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n'
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<title>{for_html(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>{back}<h1>{for_html(title)}</h1>{under}</header>
<main>
{body}</main>
{details if data else ""}</body>
</html>
"""


def _counted(boards: Sequence[PageBoard]) -> str:
    done = sum(len({record.id for record in board.records} & set(board.specs_by_id)) for board in boards)
    planned = sum(len(board.specs_by_id) for board in boards)
    return f"{done} of {count_of(planned, 'run')} finished, on {count_of(len(boards), 'board')}."


def _filters(boards: Sequence[PageBoard]) -> str:
    found: dict[str, dict[str, str]] = {name: {} for name in FILTERS}
    for board in boards:
        table = board.table
        for line in table.columns:
            found["task"][str(line.key[0])] = task_of(table, line)
            if line.key[1] != "dense":
                found["sparsity"][line.labels[1]] = sparsity_of(line)
        for line in table.rows:
            if not line.dense:
                found["criterion"][str(line.key[0])] = table.called.method(str(line.key[0]))
                found["regularizer"][str(line.key[1])] = table.called.regularizer(str(line.key[1]))
        found["model"] |= {model: table.word("model", model) for model in board.models}
    groups = "".join(_choices(name, values) for name, values in found.items())
    return (
        f'<form id="filters" aria-label="Filter the tables">{groups}'
        '<button type="button" id="all">Show all</button><output id="shown" aria-live="polite"></output></form>'
    )


def _choices(name: str, values: Mapping[str, str]) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" name="{name}" value="{for_html(value)}" checked> {for_html(word)}</label>'
        for value, word in values.items()
    )
    return (
        f'<details{"" if len(values) > 1 else " hidden"}><summary>{name.capitalize()} <span class="count"></span></summary>'
        f"<fieldset><legend>{name.capitalize()}</legend>{boxes}</fieldset></details>"
    )


def _section(board: PageBoard, number: int, published: Sequence[Published], titled: bool) -> str:
    problems = "".join(f"<li>{for_html(problem)}</li>" for problem in board.problems)
    unread = f'<p class="problem">Records that could not be read:</p><ul>{problems}</ul>' if problems else ""
    said = _concluded(board.summary) if board.summary is not None else NOTHING
    models = for_html("\n".join(board.models))
    name = for_html(board.title)
    head = f'<section class="board" id="board-{number}" data-models="{models}" aria-label="{name}">\n'
    sentence, basis = lead(board.table, board.comparisons, board.summary)
    parts = [
        head,
        f"<h2>{name}</h2>\n" if titled else "",
        f'<p class="lead">{tied(for_html(sentence))}</p>\n<p class="basis">{tied(for_html(basis))}</p>\n',
        unread,
        headline(board.table, number),
        f"<h3>What can be concluded</h3>\n{said}",
        _drawn(board, number),
        _folded(board, published),
        "</section>",
    ]
    return "".join(parts)


def _concluded(summary: Summary) -> str:
    """Ranks and aggregates, what the tests say, and what stays open; the pairs folded away."""
    head, methods = method_rows(summary)
    pair_head, pairs = pair_rows(summary)
    remarks = "".join(f"<li>{for_html(line)}</li>" for line in remarks_of(summary))
    return (
        f'<div class="scroll" role="region" aria-label="Ranks" tabindex="0">{_plain(head, methods)}</div>\n'
        f"<ul>{remarks}</ul>\n"
        f"<details><summary>All pairs of methods</summary>"
        f'<div class="scroll" role="region" aria-label="Pairs" tabindex="0">{_plain(pair_head, pairs)}</div></details>\n'
    )


def _plain(head: list[str], rows: list[list[str]]) -> str:
    cleaned = [[clean(word) for word in row] for row in rows]
    return str(tabulate(cleaned, head, tablefmt="html", disable_numparse=True))


def _drawn(board: PageBoard, number: int) -> str:
    made = figures(
        board.records, board.specs, training=False, summary=board.summary, gate=board.gate, names=board.names
    )
    with lettering("sans"):
        found = [
            f"<figure>{inline_svg(draw(), f'b{number}f{k}', clean(title))}<figcaption>{for_html(title)}</figcaption></figure>"
            for k, (_, title, draw) in enumerate(made)
        ]
    return f'<h3>Figures</h3>\n<div class="figures">{"".join(found)}</div>\n' if found else ""


def _folded(board: PageBoard, published: Sequence[Published]) -> str:
    known = set(board.specs_by_id)
    records = [record for record in board.records if record.id in known]
    parts = []
    if records:
        cost = efficiency_table(records, board.specs, title="Cost and size", names=board.names)
        parts.append(("Cost and size", fragment(cost)))
        title = "Published beside reproduced"
        beside = published_table(published, records, board.specs, title=title, gate=board.gate, names=board.names)
        if beside.rows:
            parts.append(("Published figures beside ours", fragment(beside)))
    return "".join(
        f'<details class="more"><summary>{name}</summary><div class="scroll" role="region" aria-label="{name}" '
        f'tabindex="0">{content}</div></details>\n'
        for name, content in parts
    )
