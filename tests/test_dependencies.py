"""Who may import whom: criteria <- benchmark -> tasks, where the outer two know neither each other nor the harness; and inside
`benchmark` the wings import downward only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.plugins.registry import builtin_names

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmark", "criteria", "tasks")
FORBIDDEN = {
    "benchmark": {"tests"},
    "criteria": {"benchmark", "tasks", "tests"},
    "tasks": {"benchmark", "criteria", "tests"},
}
WINGS = (
    *("cli", "commands", "tracking", "diagnose", "tune", "bench", "engine", "report"),
    *("training", "board", "suite", "pruning", "plugins", "machine", "errors"),
)
"""The wings of `benchmark` from the top down: each may import those after it."""
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
        "import torch\nfrom . import y\ndef f():\n    import benchmark.training.run\n    from tasks.base import Task\n"
    )
    assert broken(path, "criteria") == [
        f"{path}:2 imports .",
        f"{path}:4 imports benchmark.training.run",
        f"{path}:5 imports tasks.base",
    ]


def upward(path: Path, wing: str) -> list[str]:
    """The imports of a file of `wing` that lead into a wing above it, or into none."""
    below = WINGS[WINGS.index(wing) :]
    return [
        f"{path}:{line} imports {module}"
        for line, module, _ in imports(ast.parse(path.read_text(encoding="utf-8")))
        if module.startswith("benchmark.") and module.split(".")[1] not in below
    ]


def test_the_root_of_the_harness_holds_wings_and_nothing_else() -> None:
    found = {path.name for path in (ROOT / "benchmark").iterdir() if path.name != "__pycache__"}
    assert found == {"__init__.py", "__main__.py", "errors.py", "py.typed", *WINGS} - {"errors"}


@pytest.mark.parametrize("wing", WINGS)
def test_wings_import_downward_only(wing: str) -> None:
    place = ROOT / "benchmark" / wing
    files = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
    assert [line for path in files for line in upward(path, wing)] == []


def test_the_order_of_the_wings_finds_what_breaks_it(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import torch\nfrom benchmark.errors import choices\ndef f():\n    from benchmark.cli import app\n")
    assert upward(path, "board") == [f"{path}:4 imports benchmark.cli"]


def test_criteria_and_tasks_show_plugins_and_their_base() -> None:
    for package in ("criteria", "tasks"):
        files = {path.stem for path in (ROOT / package).glob("*.py")}
        assert files == {"__init__", "base", *builtin_names(package)}


@pytest.mark.parametrize("package", ["criteria", "criteria.regularizers", "tasks", "benchmark.pruning.schedules"])
def test_package_files_are_nearly_empty(package: str) -> None:
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body)
