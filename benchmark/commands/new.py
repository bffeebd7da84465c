"""`prunebench new`: writes a plugin's file, a package around it, or a board. It overwrites nothing."""

import keyword
import re
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from benchmark.board.board import require_outside
from benchmark.commands.check import CONTRACTS
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import WriteError, write_text
from benchmark.plugins import classes, registry

BOARD = "board"
PLURALS = {kind.singular: kind.name for kind in classes.KINDS.values()}
"""What can be written, and the kind of plugin that it is."""
USAGES = {
    "criterion": ": `criteria: [magnitude, {name}]` in a suite, or `prunebench compare BOARD --add {name}`",
    "regularizer": ": `regularizers: [none, {name}]` in a suite, or `criteria: [magnitude + {name}]`",
    "schedule": ": `schedule: {name}` in a suite",
    "task": ": `tasks: [{name}]` in a suite",
}


@dataclass(frozen=True)
class Written:
    """The written files, and the commands to run next."""

    paths: tuple[Path, ...]
    next_steps: tuple[str, ...]


def new(kind: str, name: str, folder: Path, package: Path | None = None, llm: bool = False) -> Written:
    """Write a `kind` called `name` into `folder`, or a package around it into `package`; PrunebenchError if that cannot be done.

    With `llm`, a board is one of decoders that are pruned once, without training.
    """
    if llm and kind != BOARD:
        raise PrunebenchError(f"--llm is for a board, not for a {kind}")
    if kind == BOARD:
        return _new_board(name, folder, package, "suite-llm.yaml.txt" if llm else "suite.yaml.txt")
    check_name(kind, name)
    if package is not None:
        return _new_package(kind, name, package)
    path = folder / f"{name}.py"
    _write({path: _plugin(kind, name, called=path.name)})
    return Written((path,), (f"prunebench check {shlex.quote(str(path))}", *_tries(kind, str(path))))


def check_name(kind: str, name: str) -> None:
    """PrunebenchError if a plugin of `kind` cannot be called `name`, or one already is."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise PrunebenchError(
            f"'{name}' cannot be the name of a {kind}: expected lower-case letters, digits and _, such as my_{kind}"
        )
    if name in registry.NOT_PLUGINS:
        raise PrunebenchError(f"'{name}' cannot be the name of a {kind}: files of that name hold no plugins")
    plural = PLURALS[kind]
    if name in registry.names(plural):
        owners = [f"{owner.dist.name} {owner.dist.version}" for owner in registry.foreign(plural, name) if owner.dist]
        raise PrunebenchError(
            f"there is a {kind} '{name}' already, in {owners[0] if owners else 'prunebench'}; choose another name"
        )


def class_name(name: str, template: str, base: str) -> str:
    """`my_idea` as MyIdea, with the kind behind it if Python or the template already uses that word."""
    plain = "".join(part.capitalize() for part in name.split("_"))
    taken = keyword.iskeyword(plain) or re.search(rf"\b{plain}\b", template)
    return plain + base if taken else plain


def _plugin(kind: str, name: str, called: str) -> str:
    """The text of a plugin's file; `called` is what a suite calls it, without options."""
    template = _template(f"{kind}.py.txt")
    return Template(template).substitute(called=called, cls=class_name(name, template, kind.capitalize()))


def _new_package(kind: str, name: str, folder: Path) -> Written:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PrunebenchError(f"{folder}: not empty; a package is written to a new folder")
    plural = PLURALS[kind]
    checks, check = CONTRACTS[plural]
    module = f"prunebench_{name}"
    fields = {
        "kind": kind,
        "plural": plural,
        "name": name,
        "dashed": name.replace("_", "-"),
        "module": module,
        "cls": class_name(name, _template(f"{kind}.py.txt"), kind.capitalize()),
        "group": classes.KINDS[plural].group,
        "checks": checks,
        "check": check,
        "usage": USAGES[kind].format(name=name),
    }
    files = {
        folder / "pyproject.toml": "pyproject.toml.txt",
        folder / "README.md": "README.md.txt",
        folder / f"test_{module}.py": "test.py.txt",
    }
    texts = {path: Template(_template(f"package/{source}")).substitute(fields) for path, source in files.items()}
    _write({folder / f"{module}.py": _plugin(kind, name, called=name), **texts})
    place = shlex.quote(str(folder))
    install = f"python -m pip install -e {place}"
    return Written(
        (folder / f"{module}.py", *texts),
        (install, f"prunebench check {name} --kind {plural}", *_tries(kind, name), f"python -m pytest {place}"),
    )


def _new_board(name: str, folder: Path, package: Path | None, template: str) -> Written:
    if package is not None:
        raise PrunebenchError("a board is a folder, not a package: leave --package out")
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise PrunebenchError(f"'{name}' cannot be the name of a board: expected letters, digits, _, . and -")
    path = folder / name / "suite.yaml"
    _write({path: Template(_template(template)).substitute(name=name)})
    return Written((path,), (f"prunebench run {shlex.quote(str(path.parent))}",))


def _tries(kind: str, name: str) -> tuple[str, ...]:
    """The command that runs the new plugin: on the mini board if it is at hand, else on a new board."""
    at_hand = Path("results/mini/suite.yaml").is_file()
    board = "results/mini" if at_hand else "try"
    first = () if at_hand else ("prunebench new board try",)
    if kind == "task":
        return (*first, f"prunebench run {board} --set {shlex.quote(f'tasks=[{name}]')}")
    if kind == "schedule":
        return (*first, f"prunebench run {board} --set {shlex.quote(f'schedule={name}')}")
    row = name if kind == "criterion" else f"magnitude + {name}"
    return (*first, f"prunebench run {board}", f"prunebench compare {board} --add {shlex.quote(row)}")


def _template(name: str) -> str:
    return files("benchmark").joinpath("commands", "templates", *name.split("/")).read_text(encoding="utf-8")


def _write(texts: dict[Path, str]) -> None:
    """Write all files or none; PrunebenchError if one exists."""
    for path in texts:
        require_outside(path)
    there = [str(path) for path in texts if path.exists()]
    if there:
        raise PrunebenchError(f"{', '.join(there)}: there already, and left as it is; choose another name or folder")
    done: list[Path] = []
    try:
        for path, text in texts.items():
            write_text(path, text)
            done.append(path)
    except WriteError:
        for path in done:
            path.unlink()
        raise
