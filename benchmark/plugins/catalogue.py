"""Lists plugins: name, one-line summary, options with defaults. It reads their source, so that nothing is imported."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from benchmark.machine.safe_read import read_regular_file
from benchmark.plugins.classes import KINDS, Kind, class_names, package_folder
from benchmark.plugins.files import file_of, plugin_file
from benchmark.plugins.locate import LARGEST, find_module
from benchmark.plugins.registry import builtin_names

LONGEST_NUMBER = 10**100
"""Larger numbers are shown as they are written in the source."""


@dataclass(frozen=True)
class Option:
    """One field of a plugin: its type and its default as written, and its one-line description."""

    name: str
    kind: str
    default: str
    about: str


@dataclass(frozen=True)
class Entry:
    """A plugin as `prunebench list` shows it."""

    name: str
    summary: str
    options: tuple[Option, ...]
    variants: tuple[str, ...]
    owner: str

    @property
    def full_names(self) -> list[str]:
        """What it may be called, a variant behind a slash; `*` stands for any."""
        return [f"{self.name}/{variant}" if variant else self.name for variant in self.variants or ("",)]


def catalogue(kind: str) -> list[Entry]:
    """All plugins of a kind, built-in ones first; the summary of one that cannot be read says so."""
    found = KINDS[kind]
    folder = package_folder(found)
    entries = [entry_of(found, name, folder / f"{name}.py", "prunebench") for name in builtin_names(kind)]
    return entries + [_foreign(found, point) for point in entry_points(group=found.group)]


def label_of(kind: str, name: str) -> str:
    """Display name of a plugin: the `label` of its class, else the class's name in words; empty if there is no such file.

    It is read from the source, so that making a table runs no plugin.
    """
    found, family = KINDS[kind], name.partition("/")[0]
    location, wanted = file_of(name), name.partition(":")[2]
    path: Path | None = plugin_file(location) if location else None
    if path is None and family in builtin_names(kind):
        path = package_folder(found) / f"{family}.py"
    if path is None:
        for point in entry_points(group=found.group, name=family):
            spec = find_module(point.module)
            path, wanted = Path(spec.origin) if spec and spec.origin else None, point.attr
    try:
        tree = parsed(path) if path else ast.Module([], [])
    except (OSError, ValueError):
        return ""
    body = _class(tree, {wanted.lower()} if wanted else class_names(path.stem if path else "", found))
    return (_label(body) or _in_words(body.name, found)) if body else ""


def _label(cls: ast.ClassDef) -> str:
    """The text that a class gives as its `label`, annotated or not."""
    value = _assigned(cls.body, "label")
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _in_words(name: str, kind: Kind) -> str:
    """`WeightTimesGradCriterion` is Weight times grad."""
    plain = name.removesuffix(kind.base) or name
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", plain)
    return " ".join(words).capitalize() if words else plain


def _foreign(kind: Kind, point: EntryPoint) -> Entry:
    owner = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    spec = find_module(point.module)
    if spec is None or not spec.origin:
        return Entry(point.name, f"cannot be found: {point.value}", (), (), owner)
    return entry_of(kind, point.name, Path(spec.origin), owner, point.attr)


def entry_of(kind: Kind, name: str, path: Path, owner: str, cls: str = "") -> Entry:
    """The plugin `name` in the file at `path`, where its class is called `cls` or like the file."""
    try:
        return _read(kind, name, path, owner, cls)
    except (OSError, ValueError, RecursionError) as error:
        return Entry(name, f"cannot be read: {error}", (), (), owner)


def _read(kind: Kind, name: str, path: Path, owner: str, cls: str) -> Entry:
    tree = parsed(path)
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    body = _class(tree, {cls.lower()} if cls else class_names(path.stem, kind))
    if body is None:
        return Entry(name, summary, (), (), owner)
    variants = _variants(body, tree)
    return Entry(name, summary, tuple(_options(body, tree).values()), variants, owner)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file; OSError, or ValueError (also for what is no Python, or nested too deeply)."""
    try:
        return ast.parse(read_regular_file(path, LARGEST))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no Python source ({error or type(error).__name__})") from error


def _class(tree: ast.Module, names: set[str]) -> ast.ClassDef | None:
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.lower() in names), None)


def _options(cls: ast.ClassDef, tree: ast.Module, seen: set[tuple[object, ...]] | None = None) -> dict[str, Option]:
    """Fields of the class, inherited ones first, as dataclasses order them; each class above it is read once."""
    options: dict[str, Option] = {}
    seen = set() if seen is None else seen  # a source that was never run may derive a class from itself
    seen.add((cls.name, cls.lineno, cls.end_lineno))
    for base in cls.bases:
        found = _resolve(base, tree)
        if found and (found[0].name, found[0].lineno, found[0].end_lineno) not in seen:
            options |= _options(*found, seen)
    for at, node in enumerate(cls.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not _is_class_variable(node):
            name = node.target.id
            default = _default(node.value, tree)
            kind = ast.unparse(node.annotation).strip("'")
            options[name] = Option(name, kind, default, _string_after(cls.body, at))
    options.pop("variant", None)
    return {name: option for name, option in options.items() if not name.startswith("_")}


def _resolve(base: ast.expr, tree: ast.Module) -> tuple[ast.ClassDef, ast.Module] | None:
    """The class of this name, in the same file or in the module that it is imported from."""
    if not isinstance(base, ast.Name):
        return None
    here = _class(tree, {base.id.lower()})
    if here:
        return here, tree
    for other in _sources(base.id, tree):
        found = _class(other, {base.id.lower()})
        return (found, other) if found else None
    return None


def _sources(name: str, tree: ast.Module) -> Iterator[ast.Module]:
    """The modules that a file imports `name` from, if their source can be read."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == name for alias in node.names):
            spec = find_module(node.module)
            if spec and spec.origin and spec.origin.endswith(".py"):
                with suppress(OSError, ValueError):
                    yield parsed(Path(spec.origin))


def _default(value: ast.expr | None, tree: ast.Module) -> str:
    """A default as it is written; if it is the name of a constant, that constant's value."""
    if isinstance(value, ast.Name):
        found = _constant(value.id, tree)
        return ast.unparse(found or value)
    return ast.unparse(value) if value else ""


def _constant(name: str, tree: ast.Module) -> ast.expr | None:
    """What `name` is set to at the top of a file, or of the module that it is imported from."""
    if (here := _assigned(tree.body, name)) is not None:
        return here
    for other in _sources(name, tree):
        return _assigned(other.body, name)
    return None


def literal(default: str) -> Any:
    """The value of a default as written in the source; ValueError where that is no plain value."""
    try:
        value = ast.literal_eval(default)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if isinstance(value, int) and abs(value) > LONGEST_NUMBER:
        raise ValueError("a number too long to be written out")
    return value


def _is_class_variable(node: ast.AnnAssign) -> bool:
    return "ClassVar" in ast.unparse(node.annotation) or "init=False" in ast.unparse(node)


def _string_after(body: list[ast.stmt], at: int) -> str:
    """The docstring of a field: the string literal that follows it."""
    following = body[at + 1] if at + 1 < len(body) else None
    if (
        isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    ):
        return " ".join(following.value.value.split())
    return ""


def _variants(cls: ast.ClassDef, tree: ast.Module) -> tuple[str, ...]:
    """The variants of a task family: written out, or as tuple(TABLE) of a table in the same file."""
    written = _assigned(cls.body, "variants")
    if isinstance(written, ast.Call) and written.args and isinstance(written.args[0], ast.Name):
        written = _assigned(tree.body, written.args[0].id)
    keys = written.keys if isinstance(written, ast.Dict) else getattr(written, "elts", [])
    return tuple(key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _assigned(body: list[ast.stmt], name: str) -> ast.expr | None:
    """What `name` is set to in a class or a file."""
    for node in body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            for target, value in zip(node.targets[0].elts, node.value.elts, strict=False):
                if isinstance(target, ast.Name) and target.id == name:
                    return value
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value  # type: ignore[attr-defined,no-any-return]
    return None
