"""Generates the reference pages of the documentation from docstrings: every plugin with formula, options and reference; commands; API.

Sources are read as text, so nothing heavy is imported.
"""

import ast
import re
import sys
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

INTRODUCTIONS = {
    "criteria": "Higher scores are kept. What each is held against, and where it departs from published code: "
    "[Criteria and regularizers](../criteria.md).",
    "regularizers": "Each makes the scalar that is minimised out of the task's losses.",
    "schedules": "Sparsity over time, and when masks are made. Lengths are shares of the run below 1, else steps.",
    "tasks": "Files, metrics and families of models: [Tasks](../tasks.md).",
}

API = {
    "Running": ("benchmark/spec.py", ("RunSpec", "Training"), "benchmark/run.py", ("run", "Options", "Result")),
    "Pruning": ("benchmark/pruner.py", ("Pruner",), "benchmark/trainer_callback.py", ("PruningCallback",)),
    "Boards": ("benchmark/board.py", ("Board",), "benchmark/record.py", ("Record",)),
    "Contracts": (
        "criteria/base.py",
        ("Criterion", "Step"),
        "criteria/regularizers/base.py",
        ("Regularizer",),
        "benchmark/schedules/base.py",
        ("Schedule",),
        "tasks/base.py",
        ("Task", "Prepared", "Setting", "Evaluation"),
    ),
    "Checks": (
        "criteria/checks.py",
        ("check_criterion",),
        "criteria/regularizers/checks.py",
        ("check_regularizer",),
        "benchmark/schedules/checks.py",
        ("check_schedule",),
        "tasks/checks.py",
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


def pages() -> dict[str, str]:
    """Every generated page by name, in Markdown."""
    plugins = {kind: plugin_page(kind, introduction) for kind, introduction in INTRODUCTIONS.items()}
    return plugins | {"commands": commands_page(), "api": api_page()}


def plugin_page(kind: str, introduction: str) -> str:
    """All built-in plugins of a kind."""
    from benchmark.catalogue import catalogue
    from benchmark.registry import KINDS, package_folder

    folder = package_folder(KINDS[kind])
    parts = [f"# {kind.capitalize()}", introduction]
    for entry in catalogue(kind):
        if entry.owner == "prunebench":
            docstring = ast.get_docstring(ast.parse((folder / f"{entry.name}.py").read_text(encoding="utf-8"))) or ""
            parts += plugin_part(entry, docstring)
    return "\n\n".join(parts) + "\n"


def plugin_part(entry: Any, docstring: str) -> list[str]:
    """Claim, formula and text as they stand in the file, options, links."""
    claim, _, rest = docstring.partition("\n")
    parts = [f"## `{entry.name}`", f"**{escaped(claim)}**"]
    parts += prose(rest)
    if entry.variants:
        parts.append("Variants: " + ", ".join(f"`{entry.name}/{variant}`" for variant in entry.variants))
    if entry.options:
        rows = [f"| `{option.name}` | `{option.default}` | {escaped(option.about)} |" for option in entry.options]
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
        usage = " ".join(["prunebench", name, *(p.metavar or (p.name or "").upper() for p in arguments)])
        parts += [f"## {name}", f"`{usage}`", escaped(command.help or "")]
        rows = [f"| `{', '.join(p.opts)}` | {escaped(getattr(p, 'help', '') or '')} |" for p in options]
        if rows:
            parts.append("\n".join(["| option | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


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
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            lines.append(ast.unparse(child))
        elif isinstance(child, ast.FunctionDef) and (not child.name.startswith("_") or child.name == "__init__"):
            first = (ast.get_docstring(child) or "").partition("\n")[0]
            lines += [signature(child)] + [f"    # {first}"] * bool(first)
    return [f"### `{module}.{node.name}`", *prose(ast.get_docstring(node) or ""), code(lines)]


def signature(node: ast.FunctionDef) -> str:
    """`def name(arguments) -> type`, self left out; a property without parentheses."""
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns) if node.returns else 'Any'}"
    arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){returns}"


def prose(docstring: str) -> list[str]:
    """Markdown blocks of a docstring: indented lines are formulas, set as they stand; the rest is text."""
    blocks: list[str] = []
    for chunk in re.split(r"\n\s*\n", docstring.strip("\n")):
        for formula, lines in groupby(chunk.split("\n"), lambda line: line.startswith("    ")):
            text = "\n".join(lines)
            if formula and "http" in text and blocks:  # a reference that goes on
                blocks[-1] += "\n" + escaped(text)
            elif formula:
                blocks.append(f"```text\n{narrow(text)}\n```")
            elif text.strip():
                blocks.append(escaped(text))
    return blocks


def narrow(formula: str) -> str:
    """Without the docstring's indentation, and with wide gaps made small."""
    return "\n".join(re.sub(r"(?<=\S) {4,}", "    ", line) for line in dedent(formula).split("\n"))


def escaped(text: str) -> str:
    """Text without accidental markup: code in backticks stays code, addresses become links."""
    parts = re.split(r"(`[^`]+`|https?://[^\s,;)\]]+[^\s,;)\].])", " ".join(text.split()))
    return "".join(
        f"<{part}>" if part.startswith("http") else part if part.startswith("`") else bare(part) for part in parts
    )


def bare(text: str) -> str:
    """Every character that Markdown might take for markup, as itself."""
    return re.sub(r"([|*_<>\[\]`#])", r"\\\1", text)


def code(lines: list[str]) -> str:
    """Lines of Python."""
    return "```python\n" + "\n".join(lines) + "\n```"
