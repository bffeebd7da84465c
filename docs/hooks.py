"""Generates the reference pages of the documentation from docstrings: every plugin with formula, options and reference; commands; API.

Sources are read as text, so nothing heavy is imported.
"""

import ast
import re
import sys
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from formulas import GREEK, typeset  # noqa: E402 (beside this file, which is in no package)

INTRODUCTIONS = {
    "criteria": "Higher scores are kept. How each is tested, and where it differs from published code: "
    "[Criteria and regularizers](../criteria.md).",
    "regularizers": "Each makes the scalar that is minimised out of the task's losses.",
    "schedules": "Sparsity over time, and when masks are made. Lengths are shares of the run below 1, else steps.",
    "tasks": "Files, metrics and families of models: [Tasks](../tasks.md).",
}

SHARED = {
    "criteria": ("common/smoothing", "common/score_optimizer"),
    "regularizers": ("soft_targets",),
}
"""Files beside the plugins of a kind whose formulas several of them use."""

API = {
    "Running": (
        "benchmark/suite/spec.py",
        ("RunSpec", "Training"),
        "benchmark/training/run.py",
        ("run", "Options", "Result"),
        "benchmark/plugins/registry.py",
        ("configure",),
        "benchmark/errors.py",
        ("PrunebenchError",),
    ),
    "Pruning": (
        "benchmark/pruning/pruner.py",
        ("Pruner",),
        "benchmark/training/trainer_callback.py",
        ("PruningCallback",),
    ),
    "Boards": (
        "benchmark/suite/suite.py",
        ("Suite",),
        "benchmark/suite/parts.py",
        ("Override",),
        "benchmark/board/board.py",
        ("Board",),
        "benchmark/board/record.py",
        ("Record",),
    ),
    "Contracts": (
        "criteria/base.py",
        ("Criterion", "Step"),
        "criteria/regularizers/base.py",
        ("Regularizer",),
        "benchmark/pruning/schedules/base.py",
        ("Schedule",),
        "tasks/base.py",
        ("Task", "Prepared", "Setting", "Evaluation"),
    ),
    "Checks": (
        "criteria/checks/criterion.py",
        ("check_criterion",),
        "criteria/checks/regularizer.py",
        ("check_regularizer",),
        "benchmark/pruning/schedules/checks.py",
        ("check_schedule",),
        "tasks/checks/task.py",
        ("check_task",),
    ),
}
"""Section: file, its public names, file, its public names, ..."""


def on_files(files: Any, config: Any) -> Any:
    """MkDocs asks for the list of pages: add the generated ones."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs shows a page: its blocks of the language `formula` are set as such."""
    return re.sub(r"^```formula\n(.*?)\n```$", lambda found: typeset(found[1]), markdown, flags=re.M | re.S)


def pages() -> dict[str, str]:
    """Every generated page by name, in Markdown."""
    plugins = {kind: plugin_page(kind, introduction) for kind, introduction in INTRODUCTIONS.items()}
    return plugins | {"commands": commands_page(), "api": api_page()}


def plugin_page(kind: str, introduction: str) -> str:
    """All built-in plugins of a kind."""
    from benchmark.plugins.catalogue import catalogue
    from benchmark.plugins.registry import KINDS, package_folder

    folder = package_folder(KINDS[kind])
    parts = [f"# {kind.capitalize()}", introduction]
    for entry in catalogue(kind):
        if entry.owner == "prunebench":
            parts += plugin_part(entry, docstring_of(folder / f"{entry.name}.py"))
    for name in SHARED.get(kind, ()):
        claim, _, rest = docstring_of(folder / f"{name}.py").partition("\n")
        parts += [f"## Shared: {Path(name).name.replace('_', ' ')}", f"**{escaped(claim)}**", *prose(rest)]
    return "\n\n".join(parts) + "\n"


def docstring_of(path: Path) -> str:
    """As it stands in the file: its indented lines are formulas."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""


def plugin_part(entry: Any, docstring: str) -> list[str]:
    """Claim, formula and text as they stand in the file, options, links."""
    from benchmark.commands.list import spelt

    claim, _, rest = docstring.partition("\n")
    parts = [f"## `{entry.name}`", f"**{escaped(claim)}**"]
    parts += prose(rest)
    if entry.variants:
        parts.append("Variants: " + ", ".join(f"`{name}`" for name in entry.full_names))
    if entry.options:
        rows = [
            f"| `{option.name}` | `{spelt(option.default)}` | {escaped(option.about)} |" for option in entry.options
        ]
        parts.append("\n".join(["| option | default | |", "|---|---|---|", *rows]))
    return parts


def commands_page() -> str:
    """`prunebench --help` of every command."""
    from typer.main import get_command

    from benchmark.cli import app

    parts = [
        "# Commands",
        "`prunebench COMMAND --help` says the same. `prunebench --install-completion` completes them in your shell.",
    ]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        usage = " ".join(["prunebench", name, *map(placeholder, arguments)])
        parts += [f"## {name}", f"`{usage}`", escaped(command.help or "")]
        rows = [
            f"| {spelling(p)} | {default_of(p)} | {escaped(getattr(p, 'help', '') or '')} |"
            for p in arguments + options
        ]
        if rows:
            parts.append("\n".join(["| argument or option | default | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def spelling(parameter: Any) -> str:
    """How a parameter is written: an argument by its placeholder, an option with its placeholder or its choices."""
    if parameter.param_type_name == "argument":
        return f"`{placeholder(parameter)}`"
    words = ", ".join([*parameter.opts, *parameter.secondary_opts])
    found = re.search(r"Literal\[(.*?)\]", str(getattr(getattr(parameter, "type_descriptor", None), "annotation", "")))
    value = parameter.metavar or (found[1].replace("'", "") if found else "")
    return f"`{words}`" + (f" {escaped(value)}" if value else "")


def placeholder(argument: Any) -> str:
    """How an argument stands in a usage line: `BOARD...` where several may follow, `[BOARD]` where none has to."""
    name = (argument.metavar or argument.name.upper()) + "..." * (argument.nargs != 1)
    return name if argument.required else f"[{name}]"


def default_of(parameter: Any) -> str:
    """The default as it would be written; empty where there is none, or it is to do nothing."""
    value = parameter.default
    if value in (None, False, ()) or callable(value) or parameter.required:
        return ""
    return f"`{'on' if value is True else value}`"


def api_page() -> str:
    """Signatures and docstrings of the public names."""
    parts = ["# API", "How they are used together: [Python](../python.md), [Plugins](../plugins.md)."]
    for section, sources in API.items():
        parts.append(f"## {section}")
        for path, names in zip(sources[::2], sources[1::2], strict=True):
            tree = ast.parse((ROOT / str(path)).read_text(encoding="utf-8"))
            for name in names:
                node = next(node for node in tree.body if getattr(node, "name", None) == name)
                parts += described(node, f"{path}".removesuffix(".py").replace("/", "."))
    return "\n\n".join(parts) + "\n"


def described(node: Any, module: str) -> list[str]:
    """A function, or a class with its fields and public methods."""
    if isinstance(node, ast.FunctionDef):
        return [f"### `{module}.{node.name}`", code([signature(node)]), *prose(ast.get_docstring(node) or "")]
    lines = []
    for child, below in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            lines.append(ast.unparse(child))
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                lines += comment(str(below.value.value))
        elif isinstance(child, ast.FunctionDef) and (not child.name.startswith("_") or child.name == "__init__"):
            first = (ast.get_docstring(child) or "").partition("\n")[0]
            lines += [signature(child), *comment(first)]
    return [f"### `{module}.{node.name}`", *prose(ast.get_docstring(node) or ""), code(lines)]


def comment(text: str) -> list[str]:
    """What is said of the line above."""
    return wrap(" ".join(text.split()), 88, initial_indent="    # ", subsequent_indent="    # ")


def signature(node: ast.FunctionDef) -> str:
    """`def name(arguments) -> type`, self left out; a property without parentheses."""
    if any(ast.unparse(decorator) in ("property", "cached_property") for decorator in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns) if node.returns else 'Any'}"
    arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){returns}"


def prose(docstring: str) -> list[str]:
    """Markdown blocks of a docstring: indented lines are formulas, the rest is text; each reference has a line of its own."""
    blocks: list[str] = []
    for chunk in re.split(r"\n\s*\n", docstring.strip("\n")):
        for formula, lines in groupby(chunk.split("\n"), lambda line: line.startswith("    ")):
            text = "\n".join(lines)
            if formula and "http" in text and blocks:  # references that go on
                for line in text.split("\n"):
                    blocks[-1] += ("  \n" if blocks[-1].endswith(">") else " ") + escaped(line)
            elif formula:
                blocks.append(typeset(text))
            elif text.strip():
                blocks.append(escaped(text))
    return blocks


def escaped(text: str) -> str:
    """Text without accidental markup: code in backticks stays code, addresses become links, Greek is set in its letters."""
    parts = re.split(r"(`[^`]+`|https?://[^\s,;)\]]+[^\s,;)\].])", " ".join(text.split()))
    return "".join(
        f"<{part}>" if part.startswith("http") else part if part.startswith("`") else bare(part) for part in parts
    )


def bare(text: str) -> str:
    """Every character that Markdown might take for markup, as itself; then what was written above, below and in Greek."""
    for plain, shown in (("&", "&amp;"), ("<-", "←"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(plain, shown)
    text = re.sub(r"([|*_\[\]`#])", r"\\\1", text)
    text = re.sub(rf"\b({'|'.join(GREEK)})\b", r"&\1;", text)
    text = text.replace(r"sum\_", "&Sigma;\\_")
    text = re.sub(r"(?<=\S)\^(-?\w+)", r"<sup>\1</sup>", text)
    return re.sub(r"(?:(?<=\b\w)(?<![A-Za-z]{2})|(?<=[\];]))\\_(\w+)", r"<sub>\1</sub>", text)


def code(lines: list[str]) -> str:
    """Lines of Python."""
    return "```python\n" + "\n".join(lines) + "\n```"
