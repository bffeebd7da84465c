"""docs/criteria.md names every plugin, and every check that it names exists."""

import ast
import re
from pathlib import Path

from benchmark.plugins import registry

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "criteria.md").read_text(encoding="utf-8")
FOUND = re.findall(r"^\| `(\w+)` \|(.*)$", TEXT, flags=re.MULTILINE)
ROWS = dict(FOUND)
"""The last row of each plugin: that of its checks."""


def test_every_plugin_has_a_row_in_its_table_and_one_among_the_checks() -> None:
    plugins = [*registry.builtin_names("criteria"), *registry.builtin_names("regularizers")]
    assert sorted(name for name, _ in FOUND) == sorted(2 * plugins)


def test_every_row_names_a_check_that_exists() -> None:
    for name, row in ROWS.items():
        checks = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
        assert checks, f"{name} is checked by nothing"
        for file, test in checks:
            functions = {
                node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef)
            }
            assert test in functions, f"{name}: {file} has no {test}"
