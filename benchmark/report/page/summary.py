"""The statistics of a board in HTML."""

from tabulate import tabulate

from benchmark.report.escape import clean, for_html
from benchmark.report.summary import Summary, method_rows, pair_rows, remarks_of


def summary_html(summary: Summary) -> str:
    """Ranks and aggregates, what the tests say, and what stays open; the pairs folded away."""
    head, methods = method_rows(summary)
    pair_head, pairs = pair_rows(summary)
    remarks = "".join(f"<li>{for_html(line)}</li>" for line in remarks_of(summary))
    return (
        f'<div class="scroll" role="region" aria-label="Ranks" tabindex="0">{_table(head, methods)}</div>\n'
        f"<ul>{remarks}</ul>\n"
        f"<details><summary>All pairs of methods</summary>"
        f'<div class="scroll" role="region" aria-label="Pairs" tabindex="0">{_table(pair_head, pairs)}</div></details>\n'
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    cleaned = [[clean(word) for word in row] for row in rows]
    return str(tabulate(cleaned, head, tablefmt="html", disable_numparse=True))
