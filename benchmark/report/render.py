"""One table, five writers and JSON."""

from collections.abc import Callable
from importlib import import_module

from benchmark.errors import choices
from benchmark.report.fields import TableError
from benchmark.report.table import Table

FORMATS = {
    "text": "text.write_text",
    "markdown": "markdown.write_markdown",
    "latex": "latex.write_latex",
    "html": "html.write_html",
    "csv": "data.write_csv",
    "json": "data.write_json",
}


def render(table: Table, format: str = "text", *, trace: bool = False, width: int | None = None) -> str:
    """The table in one format; `trace` adds the ids of the records behind each cell where they are not there anyway.

    `width`, in characters, cuts the text format into panels; the others do not need it.
    """
    if format not in FORMATS:
        raise TableError(f"format: found '{format}'; {choices(format, FORMATS)}")
    module, name = FORMATS[format].split(".")
    write: Callable[..., str] = getattr(import_module(f"benchmark.report.{module}"), name)
    return write(table, trace, width) if format == "text" else write(table, trace)
