"""What plugins there are: name, one-line claim, options with defaults. Read from their source, so that nothing is imported."""

import ast
import importlib.util
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from benchmark.registry import KINDS, Kind, builtin_names, class_names, package_folder


@dataclass(frozen=True)
class Option:
    """One field of a plugin: its default as written, and its one-line description."""

    name: str
    default: str
    about: str


@dataclass(frozen=True)
class Entry:
    """A plugin as `prunebench list` shows it."""

    name: str
    claim: str
    options: tuple[Option, ...]
    variants: tuple[str, ...]
    owner: str


def catalogue(kind: str) -> list[Entry]:
    """All plugins of a kind, built-in ones first; one that cannot be read says so in its claim."""
    found = KINDS[kind]
    folder = package_folder(found)
    entries = [_entry(found, name, folder / f"{name}.py", "prunebench") for name in builtin_names(kind)]
    return entries + [_foreign(found, point) for point in entry_points(group=found.group)]


def _foreign(kind: Kind, point: EntryPoint) -> Entry:
    owner = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        spec = importlib.util.find_spec(point.module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        return Entry(point.name, f"cannot be found: {point.value}", (), (), owner)
    return _entry(kind, point.name, Path(spec.origin), owner, point.attr)


def _entry(kind: Kind, name: str, path: Path, owner: str, cls: str = "") -> Entry:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        return Entry(name, f"cannot be read: {error}", (), (), owner)
    claim = (ast.get_docstring(tree) or "").partition("\n")[0]
    body = _class(tree, {cls.lower()} if cls else class_names(path.stem, kind))
    if body is None:
        return Entry(name, claim, (), (), owner)
    variants = _variants(body)
    return Entry(name, claim, tuple(_options(body, tree).values()), variants, owner)


def _class(tree: ast.Module, names: set[str]) -> ast.ClassDef | None:
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.lower() in names), None)


def _options(cls: ast.ClassDef, tree: ast.Module) -> dict[str, Option]:
    """Fields of the class, inherited ones first, as dataclasses order them."""
    options: dict[str, Option] = {}
    for base in cls.bases:
        found = _resolve(base, tree)
        if found:
            options |= _options(*found)
    for at, node in enumerate(cls.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not _is_class_variable(node):
            name = node.target.id
            default = ast.unparse(node.value) if node.value else ""
            options[name] = Option(name, default, _string_after(cls.body, at))
    options.pop("variant", None)
    return {name: option for name, option in options.items() if not name.startswith("_")}


def _resolve(base: ast.expr, tree: ast.Module) -> tuple[ast.ClassDef, ast.Module] | None:
    """The class that a base's name stands for: in the same file, or in a module it is imported from."""
    if not isinstance(base, ast.Name):
        return None
    here = _class(tree, {base.id.lower()})
    if here:
        return here, tree
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == base.id for alias in node.names):
            spec = importlib.util.find_spec(node.module)
            if spec and spec.origin and spec.origin.endswith(".py"):
                other = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
                found = _class(other, {base.id.lower()})
                return (found, other) if found else None
    return None


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


def _variants(cls: ast.ClassDef) -> tuple[str, ...]:
    """The variants of a task family, where they are written out."""
    for node in cls.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "variants"
            and node.value
        ):
            try:
                return tuple(ast.literal_eval(node.value))
            except ValueError:
                return ()
    return ()
