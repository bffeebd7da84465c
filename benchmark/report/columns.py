"""What a column of the layout TASKS, which has a task and a sparsity, is called in sentences and on the page."""

from benchmark.report.layout import Line
from benchmark.report.names import percent
from benchmark.report.table import Table


def task_of(table: Table, column: Line) -> str:
    """`SST-2 (Acc.)`, or what the average of a column is called."""
    if column.average:
        return column.average
    text, label = str(column.key[0]), column.labels[0]
    metric = label.removeprefix(f"{text} (").removesuffix(")") if label != text else ""
    name = table.called.scored(text, metric)
    return f"{name} ({table.called.metric(metric)})" if metric else name


def sparsity_of(column: Line) -> str:
    """`90 %`; `dense` where nothing is pruned."""
    value = column.key[1]
    return percent(value) if isinstance(value, float) else str(value)
