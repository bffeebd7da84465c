r"""The table for a paper: booktabs alone, everything escaped, set in the widths of a two-column article.

A column is 219 pt wide and a page 455 pt (ACL's style). What is too wide even in small print is cut into several tables, each
whole, between families of tasks; what is too long, between blocks of sparsity.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from benchmark.report.cells import Cell
from benchmark.report.escape import as_seen, for_latex, no_argument
from benchmark.report.filenames import slug
from benchmark.report.layout import TableError
from benchmark.report.sheet import Row, Sheet, Span, Words, cut_long, sheets
from benchmark.report.show import LEGEND, Shown, caption, lettered, merged, remarks, show, symbols_of, trace_lines
from benchmark.report.table import Table
from benchmark.suite.labels import in_pairs

WIDTHS = {"column": 219.0, "page": 455.0}
"""Points that a table may be wide."""
SIZES = {r"\small": (10.0, 8.0), r"\footnotesize": (9.3, 7.4), r"\scriptsize": (8.5, 7.4)}
"""Points of letters and of subscripts in an article of 11 pt (one of 10 pt has smaller ones), as wide as they look: Computer
Modern at 6 pt is as wide as 7.4 pt of its 10 pt letters."""
TINY = 7.0
"""Points of the letters of a cell that shows the score of each seed."""
GAPS = (6.0, 4.0, 3.0, 2.0)
r"""\tabcolsep: half the space between two columns, in points."""
LONGEST = 44
"""Lines of rows that a page holds beside head and caption."""

_CLASSES = {
    0.28: "iljI.,:;'!|[]",
    0.34: " ft()-r",
    0.4: "s",
    0.45: "cez/",
    0.53: "abdghkopqunvxy0123456789?*_\N{EN DASH}",
    0.75: "ABCDEFGHJKLNOPQRSTUVXYZw&\N{DAGGER}",
    0.78: "+<>=",
    0.86: "mMW%@\N{MINUS SIGN}±",
}
_EMS = {letter: width for width, letters in _CLASSES.items() for letter in letters}
WRAPPED = 0.4
"""Share of a table's width from which on a label is broken into lines, where the table is too wide otherwise."""
BOLDER = 1.15
"""How much wider bold digits are."""


@dataclass(frozen=True)
class Fit:
    r"""How a sheet is set: its size and \tabcolsep."""

    size: str
    gap: float
    wrap: float = inf
    """Points from which on labels of rows are broken into lines."""


def write_latex(
    table: Table,
    trace: bool = False,
    width: str | None = None,
    wording: str | None = None,
    label: str | None = None,
) -> str:
    r"""`table` environments (`table*` for `width="page"`) that compile with \usepackage{booktabs}. TableError: words or a
    label that LaTeX cannot set.

    Without a width, the table takes a column if it fits there whole and above the smallest print, else a page. `wording` is LaTeX
    that stands in place of the caption's own sentences, `label` is the key of \label; of several tables, each adds its number.
    """
    _require_latex(wording, label)
    in_column = fit(table, sheets(table)[0], WIDTHS["column"])
    easily = in_column and in_column.size != r"\scriptsize" and in_column.wrap == inf
    chosen = width or ("column" if easily else "page")
    limit = WIDTHS[chosen]
    made = [
        part
        for sheet in sheets(table, lambda sheet: fit(table, sheet, limit) is not None)
        for part in cut_long(sheet, LONGEST)
    ]
    head = [r"% needs \usepackage{booktabs}", *(f"% {line}" for line in _comments(table, trace))]
    key = label or f"tab:{slug(table.title, 'results')}"
    floats = []
    for number, sheet in enumerate(made, 1):
        own_key, part = (f"{key}-{number}", f" ({number} of {len(made)})") if len(made) > 1 else (key, "")
        own = lettered(table, [sheet])
        floats.append(_float(own, sheet, chosen, _caption(own, wording, part), own_key))
    return "\n".join(head) + "\n" + "\n".join(floats)


def _require_latex(wording: str | None, label: str | None) -> None:
    """TableError for words or a label that LaTeX cannot set."""
    if wording is not None and not in_pairs(wording):
        raise TableError("caption: its braces or dollars do not come in pairs")
    if wording is not None and (bare := re.search("[%#&]", re.sub(r"\\.", "", wording))):
        raise TableError(f"caption: '{bare[0]}' is a command of LaTeX: write \\{bare[0]}")
    if label is not None and not re.fullmatch(r"[\w:.,+/-]+", label):
        raise TableError(f"label: found {label!r}; expected letters, digits and : . , + / - _, as in tab:glue")


def fit(table: Table, sheet: Sheet, limit: float) -> Fit | None:
    """The largest print in which a sheet is at most `limit` points wide, first with labels on one line; None where none is."""
    for wrap in (inf, WRAPPED * limit):
        for size, (letters, subscripts) in SIZES.items():
            for gap in GAPS:
                if _width(table, sheet, letters, subscripts, gap, wrap) <= limit:
                    return Fit(size, gap, wrap)
    return None


def _comments(table: Table, trace: bool) -> list[str]:
    facts = [f"{name}: {text}" for name, text in table.facts.items()] if table.subject or table.sentence else []
    return [_tex(table, line) for line in [*facts, *(trace_lines(table) if trace else [])]]


def _tex(table: Table, text: str) -> str:
    """`text` escaped, with the LaTeX of the labels that have it."""
    placeholders = table.called.placeholders
    parts = re.split(f"([{''.join(placeholders)}])", text) if placeholders else [text]
    made = "".join(placeholders[part] if part in placeholders else for_latex(part) for part in parts)
    return no_argument(made)


def _words(table: Table, words: Words) -> str:
    return _tex(table, words.text) + _raised(symbols_of(words.marks, table))


def _raised(symbols: str) -> str:
    return rf"\textsuperscript{{{for_latex(symbols)}}}" if symbols else ""


def _float(table: Table, sheet: Sheet, width: str, captioned: str, key: str) -> str:
    found = fit(table, sheet, WIDTHS[width]) or Fit(list(SIZES)[-1], GAPS[-1], WRAPPED * WIDTHS[width])
    environment = "table*" if width == "page" else "table"
    words = "l" * len(sheet.fields)
    return "\n".join(
        [
            rf"\begin{{{environment}}}[t]",
            r"\centering",
            found.size,
            rf"\setlength{{\tabcolsep}}{{{found.gap:g}pt}}",
            rf"\begin{{tabular}}{{@{{}}{words}{'r' * len(sheet.columns)}@{{}}}}",
            r"\toprule",
            *_head(table, sheet),
            *_body(table, sheet, found),
            r"\bottomrule",
            r"\end{tabular}",
            *_below(table, sheet, width),
            captioned,
            rf"\label{{{key}}}",
            rf"\end{{{environment}}}",
            "",
        ]
    )


def _caption(table: Table, wording: str | None, part: str) -> str:
    """The caption of one of several tables, `part` of them; `wording` is LaTeX."""
    if wording is not None:
        return rf"\caption{{{wording}{part}}}"
    short, title = _tex(table, table.title + part), table.title + part
    sentences = caption(table, "in bold", "underlined", subscript=True) or [table.sentence]
    if title and table.subject:
        title, sentences[0] = _joined(title, table.subject, sentences[0])
    if not any(sentences):
        facts = [f"{name}: {text}." for name, text in table.facts.items()]
        legend = LEGEND.format(best="in bold", second="underlined")
        sentences = [*facts, *([f"Marks: {legend}."] if table.ranked else [])]
    if title and not title.endswith((".", "?", "!", ":")):
        title += "."
    return rf"\caption[{{{short}}}]{{{_tex(table, ' '.join(filter(None, [title, *sentences])))}}}"


def _joined(title: str, subject: str, sentence: str) -> tuple[str, str]:
    """Title and first sentence of a caption, the sentence without the model or the tasks that the title names; the title has the
    model's name in full."""
    model, _, tasks = subject.partition(" on ")
    named = re.sub(r" \([^()]*\)", "", model)
    left = [] if _holds(title, named) else [model]
    left += [] if all(_holds(title, task) for task in re.split(", | and ", tasks)) else [tasks]
    if len(left) == 2 or title.endswith((".", "?", "!")):
        return title, sentence
    if model not in title:
        title = title.replace(named, model, 1)
    return f"{title}:", ", ".join([*left, sentence.removeprefix(f"{subject}: ")])


def _holds(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _below(table: Table, sheet: Sheet, width: str) -> list[str]:
    said = [
        rf"\textsuperscript{{{for_latex(symbol)}}}\,{_tex(table, text)}." if symbol else f"{_tex(table, text)}."
        for symbol, text in [*remarks(table, sheet), ("", table.facts.get("Significance", ""))]
        if text
    ]
    room = r"\textwidth" if width == "page" else r"\columnwidth"
    return [rf"\par\vspace{{3pt}}\parbox{{{room}}}{{\footnotesize\raggedright {' '.join(said)}}}"] if said else []


def _head(table: Table, sheet: Sheet) -> list[str]:
    lines: list[str] = []
    first = len(sheet.fields) + 1
    for k, level in enumerate(sheet.heads):
        last = k == len(sheet.heads) - 1
        words = [_tex(table, word) if last else "" for word in sheet.fields]
        lines.append(" & ".join([*words, *(_spanning(_words(table, word), span) for word, span in level)]) + r" \\")
        if not last and any(span > 1 for _, span in level):
            lines.append(_rules(level, first))
    return [*lines, r"\midrule"]


def _rules(level: Sequence[Span], column: int) -> str:
    rules = []
    for _, span in level:
        rules.append(rf"\cmidrule(lr){{{column}-{column + span - 1}}}")
        column += span
    return "".join(rules)


def _body(table: Table, sheet: Sheet, fitted: Fit) -> list[str]:
    lines: list[str] = []
    columns = len(sheet.fields) + len(sheet.columns)
    pads = [_Pad.of([show(row.cells[j], table) for block in sheet.blocks for row in block.rows], table)
            for j in range(len(sheet.columns))]  # fmt: skip
    for number, block in enumerate(sheet.blocks):
        if number:
            lines.append(r"\midrule")
        if block.label.text:
            lines.append(rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\textit{{{_words(table, block.label)}}}}} \\")
        for k, rows in enumerate(block.parts):
            if k:
                lines.append(r"\midrule")
            lines += [_row(table, row, pads, fitted) for row in rows]
    return lines


@dataclass(frozen=True)
class _Pad:
    """The widest text behind the numbers of a column. Each cell leaves that much room, so that decimal points align."""

    spread: str = ""
    symbols: str = ""

    @classmethod
    def of(cls, shown: Sequence[Shown], table: Table) -> "_Pad":
        """The widest texts among a column's cells."""
        deviations = [_subscript(cell) for cell in shown] if table.spread == "sd" else []
        return cls(max(deviations, key=len, default=""), max((cell.symbols for cell in shown), key=_ems, default=""))


def _row(table: Table, row: Row, pads: Sequence[_Pad], fitted: Fit) -> str:
    cells, at = [], 0
    for cell, span in merged(table, row):
        cells.append(_spanning(_cell(show(cell, table), pads[at] if span == 1 else _Pad()), span))
        at += span
    return " & ".join([*(_label(table, word, fitted) for word in row.words), *cells]) + r" \\"


def _label(table: Table, words: Words, fitted: Fit) -> str:
    """The label of a row, on several lines where it is too long for one."""
    text = _words(table, words)
    if _long(table, words, *SIZES[fitted.size]) <= fitted.wrap:
        return text
    text = re.sub(r"(\\_|/|\])", r"\1\\allowbreak{}", text)
    return rf"\parbox[t]{{{fitted.wrap:g}pt}}{{\raggedright\strut {text}\strut}}"


def _spanning(text: str, span: int) -> str:
    return rf"\multicolumn{{{span}}}{{c}}{{{text}}}" if span > 1 else text


def _cell(shown: Shown, pad: _Pad) -> str:
    value = _stacked(shown.runs) if shown.runs else for_latex(shown.value)
    value = {1: rf"\textbf{{{value}}}", 2: rf"\underline{{{value}}}"}.get(shown.rank, value)
    notes, widest = map(_raised, (shown.symbols, pad.symbols))
    if notes != widest:
        notes = (rf"\rlap{{{notes}}}" if notes else "") + rf"\hphantom{{{widest}}}"
    spread, room = _subscript(shown), pad.spread
    if spread and len(spread) < len(room):
        spread += rf"\phantom{{{'0' * (len(room) - len(spread))}}}"
    if not spread and room and not shown.runs:
        spread = rf"\phantom{{{room}}}"
    spread = rf"$_{{{spread}}}$".replace("e", r"\mathrm{e}") if spread else ""  # of 8.6e6: not a variable
    return value + spread + notes + (f" {shown.count}" if shown.count else "")


def _lines(runs: Sequence[str]) -> list[str]:
    """Scores of seeds two by two: as wide as a mean with its spread."""
    return [" ".join(runs[k : k + 2]) for k in range(0, len(runs), 2)]


def _stacked(runs: Sequence[str]) -> str:
    """The scores of seeds in tiny print, a pair on each line of 7 pt."""
    lines = [rf"\tiny {for_latex(line)}" for line in _lines(runs)]
    stack, count = r" \\ ".join(lines), len(lines)
    apart = rf"\rule[-{3.5 * count - 2.6:.1f}pt]{{0pt}}{{{7 * count - 0.6:.1f}pt}}"  # from the rows above and below
    return rf"$\vcenter{{\hbox{{\shortstack[r]{{{stack}}}}}}}${apart}\,"


def _subscript(shown: Shown) -> str:
    """The spread alone, as it stands in math."""
    return shown.spread.removeprefix("± ").replace("\N{MINUS SIGN}", "-").replace(", ", r",\,")


def _width(table: Table, sheet: Sheet, letters: float, subscripts: float, gap: float, wrap: float) -> float:
    """Points from the first column's left to the last one's right, by the widths of Computer Modern's letters."""
    rows = [row for block in sheet.blocks for row in block.rows]
    words = [
        max([letters * _ems(field), *(min(wrap, _long(table, row.words[k], letters, subscripts)) for row in rows)])
        for k, field in enumerate(sheet.fields)
    ]
    columns = [
        _column_width(table, [row.cells[j] for row in rows], letters, subscripts) for j in range(len(sheet.columns))
    ]
    for level in reversed(sheet.heads):
        at = 0
        for word, span in level:
            room = sum(columns[at : at + span]) + 2 * gap * (span - 1)
            columns[at] += max(0.0, _long(table, word, letters, subscripts) - room)
            at += span
    count = len(words) + len(columns)
    return sum(words) + sum(columns) + 2 * gap * (count - 1)


def _column_width(table: Table, cells: Sequence[Cell], letters: float, subscripts: float) -> float:
    """Points of the widest value with the widest spread, or of the widest stack of seeds, and of the widest symbols."""
    value = spread = stack = symbols = 0.0
    for shown in (show(cell, table) for cell in cells):
        bolder = BOLDER if shown.rank == 1 else 1
        count = _ems(f" {shown.count}" if shown.count else "") * letters
        if shown.runs:
            stack = max(stack, max(map(_ems, _lines(shown.runs))) * TINY * bolder + count)
        else:
            value = max(value, _ems(shown.value) * letters * bolder + count)
        spread = max(spread, (_ems(_subscript(shown).replace("\\,", " ")) + 0.1) * subscripts)
        symbols = max(symbols, 0.9 * _ems(shown.symbols) * subscripts)
    return max(value + spread, stack) + symbols


def _long(table: Table, words: Words, letters: float, subscripts: float) -> float:
    """Points of a head or a label with its notes."""
    return _ems(_seen(table, words.text)) * letters + 0.9 * _ems(symbols_of(words.marks, table)) * subscripts


def _seen(table: Table, text: str) -> str:
    """About what a reader sees of `text`: a citation as authors and year, other LaTeX of labels without its commands."""
    for letter, latex in table.called.placeholders.items():
        cited = re.sub(r"\\cite\w*\*?(\[[^\]]*\])*\{[^}]*\}", "(Author et al., 2000)", latex)
        text = text.replace(letter, re.sub(r"\\[a-zA-Z]+|[\\{}$^_]", "", cited))
    return text


def _ems(text: str) -> float:
    return sum(
        _EMS[letter] if letter in _EMS else _ems(seen) if len(seen := as_seen(letter)) > 1 else 1.0 for letter in text
    )
