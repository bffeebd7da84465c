"""The words of a table's lines in sentences and on the page, under the names that its board gives them."""

from benchmark.report.layout import Line
from benchmark.report.names import Names, percent
from benchmark.report.sheet import average_name
from benchmark.report.table import Table
from benchmark.suite.labels import method_of


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
    return names.method(method_of(criterion, regularizer))


def column(table: Table, line: Line) -> str:
    """`SST-2 (Acc.) at 80 %`: what a column of the table is, whatever its fields are."""
    said = []
    for name, value in zip(table.column_fields, line.key, strict=True):
        if name == "task":
            said.append(task(table.called, Line(line.key[table.column_fields.index(name) :], line.labels)))
        elif name == "sparsity":
            said.append(f"at {percent(value) if isinstance(value, float) else value}")
        else:
            said.append(table.called.word(name, value))
    return " ".join(filter(None, said))
