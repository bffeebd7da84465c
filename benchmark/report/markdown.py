"""The table in GitHub's Markdown: best in bold, second underlined (`<ins>`), notes as superscripts, details in a fold."""

from tabulate import tabulate

from benchmark.report.escape import for_markdown
from benchmark.report.sheet import Sheet, Words, sheets
from benchmark.report.show import LEGEND, Shown, caption, remarks, show, symbols_of, trace_lines
from benchmark.report.table import Table


def write_markdown(table: Table, trace: bool = False) -> str:
    """Heading, table, caption, notes and facts; every string escaped."""
    (sheet,) = sheets(table)
    parts = [f"# {for_markdown(table.title)}" if table.title else "", _body(table, sheet), _below(table, sheet)]
    if trace:
        parts.append("\n".join(["Records:", "", *(f"- {for_markdown(line)}" for line in trace_lines(table))]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _body(table: Table, sheet: Sheet) -> str:
    levels = [[word for word, span in level for _ in range(span)] for level in sheet.heads]
    heads = ["<br>".join(_words(table, word) for word in column if word.text) for column in zip(*levels, strict=True)]
    if len(table.column_fields) > 1:
        heads = [head.replace("<br>", " ") for head in heads]
    body = []
    for block in sheet.blocks:
        if block.label.text:
            body.append([f"**{_words(table, block.label)}**"])
        for row in block.rows:
            body.append(
                [*(_words(table, word) for word in row.words), *(_cell(show(cell, table)) for cell in row.cells)]
            )
    align = ["left"] * len(sheet.fields) + ["right"] * len(heads)
    headers = [*map(for_markdown, sheet.fields), *heads]
    return tabulate(
        [line + [""] * (len(headers) - len(line)) for line in body],
        headers=headers,
        tablefmt="pipe",
        disable_numparse=True,
        colalign=align,
    )


def _words(table: Table, words: Words) -> str:
    symbols = symbols_of(words.marks, table)
    return for_markdown(words.text) + (f"<sup>{symbols}</sup>" if symbols else "")


def _cell(shown: Shown) -> str:
    value = for_markdown(shown.value)
    value = {1: f"**{value}**", 2: f"<ins>{value}</ins>"}.get(shown.rank, value)
    notes = f"<sup>{shown.symbols}</sup>" if shown.symbols else ""
    return " ".join(part for part in (value, for_markdown(shown.spread), shown.count) if part) + notes


def _below(table: Table, sheet: Sheet) -> str:
    facts = [f"- {for_markdown(name)}: {for_markdown(text)}" for name, text in table.facts.items()]
    said = [
        f"<sup>{symbol}</sup> {for_markdown(text)}." if symbol else f"{for_markdown(text)}."
        for symbol, text in remarks(table, sheet)
    ]
    sentences = caption(table, "in bold", "underlined")
    if not sentences:
        legend = LEGEND.format(best="**bold**", second="<ins>underlined</ins>")
        marks = [f"- Marks: {legend}"] if table.ranked else []
        return "\n".join([*facts, *marks, *(f"- {line}" for line in said)])
    fold = ["<details><summary>How these numbers were made</summary>", "", *facts, "", "</details>"]
    return "\n\n".join([for_markdown(" ".join(sentences)), *said, "\n".join(fold)])
