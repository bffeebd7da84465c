"""The dependency rule: criteria <- benchmark -> tasks. The outer two know neither each other nor the harness."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmark", "criteria", "tasks")
FORBIDDEN = {
    "benchmark": {"tests"},
    "criteria": {"benchmark", "tasks", "tests"},
    "tasks": {"benchmark", "criteria", "tests"},
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str, int]]:
    """(line, module, level of a relative import), inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", node.level


def broken(path: Path, package: str) -> list[str]:
    """The imports of a file that break the rule."""
    return [
        f"{path}:{line} imports {'.' * level}{module}"
        for line, module, level in imports(ast.parse(path.read_text(encoding="utf-8")))
        if level or module.partition(".")[0] in FORBIDDEN[package]
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_outer_packages_know_nothing_of_the_harness_and_everything_is_absolute(package: str) -> None:
    files = [path for path in FILES if path.relative_to(ROOT).parts[0] == package]
    assert files
    assert [line for path in files for line in broken(path, package)] == []


def test_the_rule_finds_what_breaks_it(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "import torch\nfrom . import y\ndef f():\n    import benchmark.run\n    from tasks.base import Task\n"
    )
    assert broken(path, "criteria") == [
        f"{path}:2 imports .",
        f"{path}:4 imports benchmark.run",
        f"{path}:5 imports tasks.base",
    ]


def test_the_command_line_is_light() -> None:
    code = "import sys, benchmark.cli; print(sorted({'torch', 'transformers', 'numpy', 'datasets'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["criteria", "criteria.regularizers", "tasks", "benchmark.schedules"])
def test_package_files_are_nearly_empty(package: str) -> None:
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body)
