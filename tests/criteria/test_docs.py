"""docs/criteria.md names every plugin, every check that it names exists, and the criterion it teaches keeps the contract."""

import ast
import re
from pathlib import Path

from benchmark.plugins import registry
from criteria.checks.criterion import check_criterion

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "criteria.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \|(.*)$", TEXT, flags=re.MULTILINE))


def test_every_plugin_has_a_row_and_every_row_a_plugin() -> None:
    assert set(ROWS) == {*registry.builtin_names("criteria"), *registry.builtin_names("regularizers")}


def test_every_row_names_a_check_that_exists() -> None:
    for name, row in ROWS.items():
        checks = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
        assert checks, f"{name} is checked by nothing"
        for file, test in checks:
            functions = {
                node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef)
            }
            assert test in functions, f"{name}: {file} has no {test}"


def test_the_criterion_of_the_documentation_keeps_the_contract(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    path = tmp_path / "agreement.py"
    path.write_text(code)
    assert check_criterion(registry.configure("criteria", str(path)))
