"""The words of a table's lines on the page and the site, under the names that its board gives them."""

from benchmark.report.layout import Line
from benchmark.report.names import Names, percent
from benchmark.report.sheet import average_name


def task(names: Names, column: Line) -> str:
    """`SST-2 (Acc.)`, or what the average of a column is called."""
    if column.average:
        return average_name(column)
    text, label = str(column.key[0]), column.labels[0]
    metric = label.removeprefix(f"{text} (").removesuffix(")") if label != text else ""
    name = names.scored(text, metric)
    return f"{name} ({names.metric(metric)})" if metric else name


def sparsity(column: Line) -> str:
    """`90 %`; `dense` where nothing is pruned."""
    value = column.key[1]
    return percent(value) if isinstance(value, float) else str(value)


def method(names: Names, row: Line) -> str:
    """`PINS + self-reg.`"""
    criterion, regularizer = (str(part) for part in row.key)
    return names.method(f"{criterion} + {regularizer}" if regularizer not in ("", "none") else criterion)
