"""The words of a column in sentences and on the page, under the names that its board gives them; tables have the layout TASKS."""

from benchmark.report.layout import Line
from benchmark.report.names import Names, percent


def task(names: Names, column: Line) -> str:
    """`SST-2 (Acc.)`, or what the average of a column is called."""
    if column.average:
        return column.average
    text, label = str(column.key[0]), column.labels[0]
    metric = label.removeprefix(f"{text} (").removesuffix(")") if label != text else ""
    name = names.scored(text, metric)
    return f"{name} ({names.metric(metric)})" if metric else name


def sparsity(column: Line) -> str:
    """`90 %`; `dense` where nothing is pruned."""
    value = column.key[1]
    return percent(value) if isinstance(value, float) else str(value)
