"""The table for a terminal: `*` before the best, `+` before the second; where there are colours, bold and underlined too.

A table that is wider than the terminal is cut between families of tasks, never in the middle of a line.
"""

from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len

from benchmark.report.escape import clean
from benchmark.report.sheet import Sheet, Span, Words, sheets
from benchmark.report.show import LEGEND, Shown, caption, lettered, remarks, show, symbols_of, trace_lines
from benchmark.report.table import Table

MARKS = {0: "", 1: "*", 2: "+"}
BOLD, BEST, SECOND, FAINT, PLAIN = "\x1b[1m", "\x1b[1;32m", "\x1b[4m", "\x1b[2m", "\x1b[0m"
GAP = 2
"""Spaces between columns."""
SHORTEST = 12
"""Fewest letters of a method's name that are kept where the terminal is narrow."""


def write_text(table: Table, trace: bool = False, width: int | None = None, colors: bool = False) -> str:
    """Title, tables, caption and notes, cleaned of control characters; no line of a table is longer than `width` characters."""
    cut = sheets(table, None if width is None else lambda sheet: _Lines(table, sheet).least(width) <= width)
    table = lettered(table, cut)
    made = [_Lines(table, sheet, width) for sheet in cut]
    parts = [clean(table.title), *(lines.text(colors) for lines in made), _below(table, cut, width)]
    if trace:
        parts.append("\n".join(["Records:", *(f"  {clean(line)}" for line in trace_lines(table))]))
    return "\n\n".join(part for part in parts if part) + "\n"


class _Lines:
    """One sheet as lines of characters."""

    def __init__(self, table: Table, sheet: Sheet, limit: int | None = None) -> None:
        self.table, self.sheet = table, sheet
        self.rows = [(row, [show(cell, table) for cell in row.cells]) for block in sheet.blocks for row in block.rows]
        named = range(len(sheet.fields))
        self.words = [
            max(cell_len(text) for text in (sheet.fields[k], *(self._words(row.words[k]) for row, _ in self.rows)))
            for k in named
        ]
        self.columns = [self._widest(j) for j in range(len(sheet.columns))]
        for level in reversed(sheet.heads):
            self._widen(level)
        if limit is not None and self.width > limit and self.words:
            longest = self.words.index(max(self.words))
            self.words[longest] = max(SHORTEST, self.words[longest] - (self.width - limit))
        if limit is not None and self.width > limit and len(self.columns) == 1:
            self.columns[0] = max(self._widest(0), self.columns[0] - (self.width - limit))

    def _widest(self, j: int) -> int:
        return max([1, *(cell_len(_plain(shown[j])) for _, shown in self.rows)])

    @property
    def width(self) -> int:
        """Characters of a line."""
        widths = [*self.words, *self.columns]
        return sum(widths) + GAP * (len(widths) - 1)

    def least(self, limit: int) -> int:
        """Characters of a line where no label takes more than a third of `limit`, beyond which it is shortened."""
        most = max(SHORTEST, limit // 3)
        return self.width - sum(max(0, width - most) for width in self.words)

    def text(self, colors: bool) -> str:
        """Head, rules, rows."""
        last = len(self.sheet.heads) - 1
        lines = []
        for k, level in enumerate(self.sheet.heads):
            words = self.sheet.fields if k == last else [""] * len(self.sheet.fields)
            lines.append(self._line(words, self._spanned(level)))
            if k < last and any(span > 1 for _, span in level):
                lines.append(self._line([""] * len(self.words), self._rules(level)))
        rule = "-" * self.width
        lines.append(rule)
        shown = iter(self.rows)
        for number, block in enumerate(self.sheet.blocks):
            if number:
                lines.append(rule)
            if block.label.text:
                lines.append(_styled(self._words(block.label), BOLD, colors))
            for k, rows in enumerate(block.parts):
                if k:
                    lines.append(rule)
                for row in rows:
                    cells = [_padded(cell, w, colors) for cell, w in zip(next(shown)[1], self.columns, strict=True)]
                    lines.append(self._line([self._words(word) for word in row.words], cells))
        return "\n".join(line.rstrip() for line in lines)

    def _line(self, words: Sequence[str], cells: Sequence[str]) -> str:
        return (" " * GAP).join([*(_fit(word, w) for word, w in zip(words, self.words, strict=True)), *cells])

    def _words(self, words: Words) -> str:
        symbols = symbols_of(words.marks, self.table)
        return clean(words.text) + (f" [{symbols}]" if symbols else "")

    def _spanned(self, level: Sequence[Span]) -> list[str]:
        found, at = [], 0
        for word, span in level:
            room = self._room(at, span)
            text = _fit(self._words(word), room).rstrip() if cell_len(self._words(word)) > room else self._words(word)
            pad = room - cell_len(text)
            left = pad // 2 if span > 1 else pad
            found.append(" " * left + text + " " * (pad - left))
            at += span
        return found

    def _rules(self, level: Sequence[Span]) -> list[str]:
        found, at = [], 0
        for word, span in level:
            found.append(("-" if clean(word.text).strip() else " ") * self._room(at, span))
            at += span
        return found

    def _room(self, at: int, span: int) -> int:
        return sum(self.columns[at : at + span]) + GAP * (span - 1)

    def _widen(self, level: Sequence[Span]) -> None:
        at = 0
        for word, span in level:
            self.columns[at] += max(0, cell_len(self._words(word)) - self._room(at, span))
            at += span


def _fit(word: str, width: int) -> str:
    if cell_len(word) > width:
        while word and cell_len(word) > width - 1:
            word = word[:-1]
        word += "…"
    return word + " " * (width - cell_len(word))


def _plain(shown: Shown) -> str:
    notes = f" [{shown.symbols}]" if shown.symbols else ""
    return f"{MARKS[shown.rank]}{clean(shown.plain)}{notes}"


def _padded(shown: Shown, width: int, colors: bool) -> str:
    """A cell to the right of its column; only its letters are styled."""
    text = _plain(shown)
    style = FAINT if shown.trivial else {1: BEST, 2: SECOND}.get(shown.rank, "")
    return " " * (width - cell_len(text)) + _styled(text, style, colors)


def _styled(text: str, style: str, colors: bool) -> str:
    return f"{style}{text}{PLAIN}" if colors and style and text else text


def _below(table: Table, made: Sequence[Sheet], width: int | None) -> str:
    said = list(dict.fromkeys(found for sheet in made for found in remarks(table, sheet)))
    notes = [f"[{symbol}] {text}" if symbol else text for symbol, text in said]
    sentences = caption(table, "marked *", "+")
    facts = [f"{name}: {text}" for name, text in table.facts.items()]
    if not sentences:
        legend = [f"Marks: {LEGEND.format(best='*', second='+')}"] if table.ranked else []
        return "\n".join(_wrapped([*facts, *legend, *notes], width, "  "))
    runs = [f"Runs: {table.facts['Runs']}"] if "Runs" in table.facts else []
    shown = ("Left out", "Without this metric", "Dense runs", "Other settings", "Gates", "Published", "Significance")
    left = [f"{name}: {table.facts[name]}" for name in shown if name in table.facts]
    more = ["How these numbers were made: prunebench table BOARD --notes"]
    lines = [" ".join(sentences), *notes, *runs, *left, *more]
    return "\n".join(_wrapped(lines, width))


def _wrapped(lines: Sequence[str], width: int | None, indent: str = "") -> list[str]:
    """The lines, cleaned, and broken at `width` characters where there is one."""
    if not width:
        return [clean(line) for line in lines]
    return [part for line in lines for part in wrap(clean(line), max(20, width), subsequent_indent=indent)]
