"""Writes a table in any of the formats."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmark.report.table import Table

FORMATS = {
    "text": "text.write_text",
    "markdown": "markdown.write_markdown",
    "latex": "latex.write_latex",
    "html": "html.write_html",
    "csv": "data.write_csv",
    "json": "data.write_json",
}


def render(table: Table, format: str = "text", *, trace: bool = False, **options: Any) -> str:
    """The table in one format; `trace` adds the ids of the records behind each cell in formats that do not have them anyway.

    `options` are the writer's own: `width` in characters and `colors` of text, `width` ("column" or "page") of LaTeX.
    """
    module, name = FORMATS[format].split(".")
    write: Callable[..., str] = getattr(import_module(f"benchmark.report.{module}"), name)
    return write(table, trace, **options)
