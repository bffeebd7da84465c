"""The documentation tells the truth: its commands exist, its suites are valid, its code runs, its site builds."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark import cli
from benchmark.suite.spec import Training
from benchmark.suite.suite import Suite
from benchmark.suite.yaml import load_yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tests" / "example_plugin" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
WRITTEN = {"results/mini/table.md", "results/bert-glue/suite.yaml"}
"""Files that a command in the text writes, or its reader."""


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """(words after the language, content) of the fenced blocks of a page."""
    found = re.findall(
        rf"^```{language}([^\n]*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [(words.strip(), content) for words, content in found]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every prunebench command in a page's console blocks."""
    for _, content in blocks(page, "console"):
        for line in content.splitlines():
            if line.startswith("$ "):
                for part in re.split(r"&&|(?<!2>)&(?!&)|;|(?<=\s)\|(?=\s)", line.removeprefix("$ ")):
                    words = shlex.split(part, comments=True)
                    if "prunebench" in words:
                        yield words[words.index("prunebench") + 1 :]


def inline(page: Path) -> list[str]:
    """`prunebench ...` in running text."""
    return re.findall(r"`prunebench ([^`]+)`", page.read_text(encoding="utf-8"))


def click_commands() -> dict[str, Any]:
    from typer.main import get_command

    return get_command(cli.app).commands  # type: ignore[attr-defined,no-any-return]


ALL = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(("page", "words"), ALL, ids=[f"{page.name}: {' '.join(words)}" for page, words in ALL])
def test_every_command_parses(page: Path, words: list[str]) -> None:
    found = click_commands()
    assert words[0] in found, f"{page.name}: no command {words[0]}"
    found[words[0]].make_context(words[0], words[1:])


def test_every_command_in_running_text_exists() -> None:
    found = click_commands()
    for page in PAGES:
        for text in inline(page):
            name, *rest = text.split()
            if name.startswith("--"):
                continue
            if name == "COMMAND":
                continue
            assert name in found, f"{page.name}: `prunebench {text}`"
            options = {option for parameter in found[name].params for option in parameter.opts} | {"--help"}
            assert {word for word in rest if word.startswith("--")} <= options, f"{page.name}: `prunebench {text}`"


def test_every_command_is_documented_somewhere() -> None:
    told = {words[0] for _, words in ALL} | {text.split()[0] for page in PAGES for text in inline(page)}
    assert set(click_commands()) <= told


def test_the_security_page_names_the_commands_that_may_run_a_models_own_code() -> None:
    (row,) = re.findall(
        r"^.*only with `--trust-remote-code` \((.+)\);.*$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE
    )
    having = {
        name
        for name, command in click_commands().items()
        if any("--trust-remote-code" in parameter.opts for parameter in command.params)
    }
    assert set(re.findall(r"`(\w+)`", row)) == having


def test_every_suite_is_valid() -> None:
    suites = [
        load_yaml(content, name=page.name)
        for page in PAGES
        for _, content in blocks(page, "yaml")
        if "sparsities:" in content
    ]
    assert len(suites) >= 2
    for suite in suites:
        assert Suite.model_validate(suite).cells()


def test_links_between_pages_lead_somewhere() -> None:
    generated = {
        f"reference/{name}.md" for name in ("criteria", "regularizers", "schedules", "tasks", "commands", "api")
    }
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", page.read_text(encoding="utf-8")):
            assert link in generated or (page.parent / link).is_file(), f"{page.name}: {link}"


def test_paths_in_the_text_exist() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:benchmark|criteria|tasks|tests|docs|results)/[\w/.-]+)`", text):
            assert (ROOT / path).exists() or path in WRITTEN, f"{page.name}: {path}"


@pytest.mark.slow
def test_the_code_of_the_python_page_runs_and_prints_the_sparsities_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its code, block after block; what it prints are sparsities, behind a score."""
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(content for _, content in blocks(ROOT / "docs" / "python.md", "python"))
    printed: list[float] = []
    exec(compile(code, "python.md", "exec"), {"print": lambda *values: printed.extend(values)})
    assert printed[1:] == pytest.approx([0.5, 0.8, 0.8], abs=1e-3)


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/tuning.md", "docs/schedule.md"])
def test_the_plugin_of_a_page_passes_every_check(name: str, tmp_path: Path) -> None:
    from benchmark.commands.check import verdicts

    plugin = r"class (\w+)\((?:Criterion|Schedule)\):"
    ((code, cls),) = [
        (content, found[1])
        for _, content in blocks(ROOT / name, "python")
        if (found := re.search(plugin, content)) is not None
    ]
    path = tmp_path / f"{re.sub('(?<!^)(?=[A-Z])', '_', cls).lower()}.py"
    path.write_text(code)
    assert [f"{one.name}: {one.words}" for one in verdicts(str(path))[1] if not one.passed] == []


LENGTH = 150
"""Lines of the README at most: more is for docs/."""


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LENGTH


def test_the_readme_marks_the_best_and_the_second_of_each_column() -> None:
    """Its table is a command's, so all rows are there and the marks are those of the numbers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if re.match(r"\| \w", line)]
    header, dense, *methods = rows
    assert (header[0], dense[0]) == ("Method", "Dense")
    assert {row[0] for row in methods} >= {"Magnitude", "Taylor", "PLATON", "PINS"}
    for column in range(1, len(header)):
        cells = [row[column] for row in methods]
        scores = [float(re.sub(r"<[^>]*>|[*]", "", cell).split()[0]) for cell in cells]
        best, second, *_ = sorted(set(scores), reverse=True)
        assert {score for score, cell in zip(scores, cells, strict=True) if cell.startswith("**")} == {best}, header[
            column
        ]
        underlined = {score for score, cell in zip(scores, cells, strict=True) if cell.startswith("<ins>")}
        assert underlined == ({second} if scores.count(best) == 1 else set()), header[column]


def test_the_readme_says_which_name_of_a_suite_is_which_paper() -> None:
    """At the first use, before any suite."""
    from benchmark.report.names import CRITERIA

    start = (ROOT / "README.md").read_text(encoding="utf-8").partition("```")[0]
    for name in ("sensitivity", "principled"):
        assert f"{CRITERIA[name]} as `{name}`" in start


def test_what_the_readme_installs_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"'\.\[(\w+)\]'", text)) == {"trainer"} <= set(declared)


def test_what_the_readmes_tables_write_git_leaves_alone() -> None:
    """The commands on a board of the clone add nothing to what would be committed."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no clone")
    written = [word for words in commands(ROOT / "README.md") for word in after(words, "--output")]
    assert written
    for path in (*written, "results/mini/report.html", "results/mini/records/0.json", "results/mini/table.md"):
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0, path


def after(words: list[str], option: str) -> list[str]:
    """The values that a command gives to `option`."""
    return [value for name, value in pairwise(words) if name == option]


# The site.


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """docs/hooks.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_plugin_with_its_formula_and_options(hooks: ModuleType) -> None:
    pytest.importorskip("latex2mathml")
    from benchmark.plugins.classes import KINDS
    from benchmark.plugins.registry import builtin_names

    pages = hooks.pages()
    for kind in KINDS:
        for name in builtin_names(kind):
            assert f"## `{name}`" in pages[kind]
    criteria = pages["criteria"]
    assert '<div class="formula">' in criteria
    assert "&#x003B7;</mi><msup><mi>g</mi>" in criteria  # eta g^2
    assert "| `beta1` | `0.85` |" in criteria
    assert "<https://arxiv.org/abs/2305.12394>" in criteria
    assert all(f"## {name}\n" in pages["commands"] for name in click_commands())
    assert "### `criteria.base.Criterion`" in pages["api"]
    assert "run(spec: RunSpec, options: Options | None=None) -> Result" in pages["api"]
    import benchmark

    assert [name for name in benchmark.__all__ if f".{name}`\n" not in pages["api"]] == []


def test_every_key_of_a_suite_is_documented_with_its_default() -> None:
    rows = re.findall(
        r"^\| (`[^|]+) \|\s*([^|]*?)\s*\|", (ROOT / "docs" / "suite.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    said = {key: default.strip(" `") for keys, default in rows for key in re.findall(r"`(\w+)`", keys)}
    for model in (Suite, Training):
        for key, field in model.model_fields.items():
            assert key in said
            if isinstance(field.default, (str, int, float)) and field.default != "":
                assert said[key] == str(field.default), key
    assert set(said) == {*Suite.model_fields, *Training.model_fields}


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("material")
    pytest.importorskip("latex2mathml")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "criteria" / "index.html").is_file()
