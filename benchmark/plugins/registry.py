"""Plugins by name: one string names a configured plugin everywhere, `sensitivity[beta1=0.85,window=5]`.

A name is, in this order: a file of the package (`criteria/<name>.py`), an entry point of an installed distribution (group
`prunebench.criteria`, ...), or a path to a file (`my/criterion.py`, `my/criterion.py:Class`). A name claimed twice is an error
that names both owners.
"""

import dataclasses
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins.broken import BrokenPluginError, SlipError, broken
from benchmark.plugins.files import VARIABLE, file_called, files_run, is_file, plugin_file
from benchmark.plugins.labels import labelled
from criteria.common.slips import slips

NOT_PLUGINS = {"base", "checks"}

REFUSALS = (PrunebenchError, ValueError, TypeError, AssertionError)
"""Errors by which a plugin refuses an option. Any other is a fault of the plugin, and only its own cells fail."""

LONGEST = 2000
"""Longest text of a configured plugin, in characters, since patterns are matched against it."""


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: the package its files lie in and the base class they share."""

    name: str
    package: str
    base: str

    @property
    def group(self) -> str:
        """The entry-point group of third parties."""
        return f"prunebench.{self.name}"

    @property
    def singular(self) -> str:
        """Its name in messages."""
        return self.base.lower()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("criteria", "criteria", "Criterion"),
        Kind("regularizers", "criteria.regularizers", "Regularizer"),
        Kind("schedules", "benchmark.pruning.schedules", "Schedule"),
        Kind("tasks", "tasks", "Task"),
    )
}


def configure(kind: str, text: str) -> Any:
    """The plugin named by `text` with its options set; PrunebenchError says what is wrong and what the choices are."""
    name, options = parse(text)
    found = KINDS[kind]
    family, variant = _variant(found, name)
    cls = load(kind, family)
    values = _convert(found, family, cls, options)
    if variant:
        values["variant"] = variant
    _check_variant(found, cls, family, variant)
    try:
        return cls(**values)
    except KeyboardInterrupt:
        raise
    except REFUSALS as error:
        raise PrunebenchError(f"{found.singular} '{text}': {error or type(error).__name__}") from error
    except BaseException as error:
        raise broken(f"{found.singular} '{text}'", error, "set up") from error


def asks(regularizer: str, need: str) -> bool:
    """Whether a configured regularizer sets `need` (`needs_teacher`, `needs_score`); a broken one asks for nothing."""
    try:
        plugin = configure("regularizers", regularizer)
    except BrokenPluginError:
        return False
    try:
        return bool(getattr(plugin, need))
    except KeyboardInterrupt:
        raise
    except BaseException:  # its cells meet it and say so
        return False


def parse(text: str) -> tuple[str, dict[str, str]]:
    """`name[key=value,...]` as name and options; PrunebenchError where it is not of that form."""
    if len(text) > LONGEST:
        raise PrunebenchError(f"'{text[:40]}...': {len(text)} characters, expected {LONGEST} at most")
    match = re.fullmatch(r"([^\[\]]+)(?:\[(.*)\])?", text.strip(), flags=re.DOTALL)
    if not match or not match[1].strip():
        raise PrunebenchError(f"'{text}' is not of the form name or name[option=value,...]")
    options: dict[str, str] = {}
    for part in re.split(r",(?![^\[]*\])", match[2]) if (match[2] or "").strip() else []:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise PrunebenchError(f"'{text}': option '{part.strip()}' is not of the form option=value")
        if key.strip() in options:
            raise PrunebenchError(f"'{text}': option '{key.strip()}' is given twice")
        options[key.strip()] = value.strip()
    return match[1].strip(), options


@cache
def load(kind: str, name: str) -> type[Any]:
    """The plugin class called `name`, imported now; PrunebenchError where it is unknown, claimed twice or broken."""
    found = KINDS[kind]
    if is_file(name):
        return _from_path(found, name)
    owners: list[str | EntryPoint] = [*foreign(kind, name)]
    if name in builtin_names(kind):
        owners.insert(0, f"{found.package}.{name}")
    if not owners:
        known, meant = names(kind), file_called(name) or _family_of(kind, name)
        hint = f"did you mean '{meant}'? choices: {', '.join(sorted(known))}" if meant else choices(name, known)
        if meant := labelled(kind, name):
            hint = f"'{name}' is the label of '{meant}': name it so. choices: {', '.join(sorted(known))}"
        raise PrunebenchError(f"unknown {found.singular} '{name}'; {hint}")
    if len(owners) > 1:
        raise PrunebenchError(f"{found.singular} '{name}' is claimed by {' and by '.join(map(owner_of, owners))}")
    owner = owners[0]
    try:
        if isinstance(owner, EntryPoint):
            return _checked(found, owner.load(), owner_of(owner))
        return _class_in(found, importlib.import_module(owner), name)
    except (PrunebenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise broken(f"{found.singular} '{name}' ({owner_of(owner)})", error) from error


def names(kind: str) -> list[str]:
    """All known names, built-in ones first."""
    foreign = sorted({point.name for point in entry_points(group=KINDS[kind].group)})
    return builtin_names(kind) + [name for name in foreign if name not in builtin_names(kind)]


def _family_of(kind: str, name: str) -> str:
    """The task that a name of the benchmark's own stands for: `sst2`, `SST-2` and `STS-B` are GLUE's; "" where there is none."""
    if kind != "tasks":
        return ""
    for family in builtin_names(kind):
        for variant in getattr(load(kind, family), "variants", ()) or ("",):
            full = f"{family}/{variant}" if variant else family
            if _letters(name) in {_letters(variant), _letters(full)} - {""}:
                return full
    begun = [family for family in builtin_names(kind) if _letters(name).startswith(_letters(family))]
    return max(begun, key=len, default="")


def _letters(name: str) -> str:
    """Its letters and digits, in lower case; without the v of a version and the century of a year."""
    return re.sub(r"[\W_]|v(?=\d)|20(?=\d\d$)", "", name.lower())


@cache
def builtin_names(kind: str) -> list[str]:
    """Names of the package's own plugins: its files that define a class of the file's name."""
    folder = package_folder(KINDS[kind])
    modules = sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.ispkg)
    stems = [stem for stem in modules if stem not in NOT_PLUGINS and not stem.startswith("_")]
    return [stem for stem in stems if defines_plugin(folder / f"{stem}.py", KINDS[kind])]


def is_builtin(kind: str, text: str) -> bool:
    """Whether the configured plugin `text` is one of the package's own."""
    name = parse(text)[0]
    return not is_file(name) and (name.partition("/")[0] if kind == "tasks" else name) in builtin_names(kind)


def package_folder(kind: Kind) -> Path:
    """Folder of the built-in plugins of a kind; only the package's empty `__init__` is imported."""
    spec = importlib.util.find_spec(kind.package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def class_names(stem: str, kind: Kind) -> set[str]:
    """Names that the class in `<stem>.py` may have, in lower case: the file's name, with or without the kind behind it."""
    plain = re.sub(r"[\W_]", "", stem).lower()
    return {plain, plain + kind.base.lower()}


def defines_plugin(path: Path, kind: Kind) -> bool:
    """Whether the file defines a class named after it (read as text: listing imports nothing)."""
    classes = re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return bool({name.lower() for name in classes} & class_names(path.stem, kind))


def owner_of(owner: str | EntryPoint) -> str:
    """Who provides a plugin, for messages."""
    if isinstance(owner, str):
        return f"prunebench ({owner})"
    dist = f"{owner.dist.name} {owner.dist.version}" if owner.dist else "an unknown distribution"
    return f"{dist} ({owner.value})"


def foreign(kind: str, name: str) -> list[EntryPoint]:
    """Entry points of installed distributions that are called `name`."""
    return list(entry_points(group=KINDS[kind].group, name=name))


def _from_path(kind: Kind, text: str) -> type[Any]:
    """The class in a file that the user named by its path. Importing runs the file."""
    location, _, cls = text.partition(":")
    module = module_at(location, f"{kind.singular} '{text}'")
    if cls:
        if not hasattr(module, cls):
            raise BrokenPluginError(f"{kind.singular} '{text}': {module.__file__} defines no {cls}")
        return _checked(kind, getattr(module, cls), location)
    return _class_in(kind, module, Path(location).stem)


def module_at(location: str, what: str) -> ModuleType:
    """The module in the file at `location`, run now; PrunebenchError, with `what` it should have been, where that fails."""
    path = plugin_file(location)
    if path is None:
        raise PrunebenchError(f"{what}: no file {location}")
    if not files_run():
        raise BrokenPluginError(
            f"{what}: {path} is not run by commands that only show a board; {VARIABLE}=yes lets them, where you trust it"
        )
    spec = importlib.util.spec_from_file_location(f"prunebench_plugin_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise broken(what, error) from error
    return module


def kind_in_file(name: str) -> str:
    """The kind of the plugin in the file `name` (`file.py` or `file.py:Class`), by its base class; PrunebenchError if none shows."""
    location, _, cls = name.partition(":")
    module, stem = module_at(location, f"plugin '{name}'"), Path(location).stem
    kinds = {own: kind for own in own_classes(module) if (kind := _kind_of_class(own)) is not None}
    wanted = {cls.lower()} if cls else set.union(*(class_names(stem, kind) for kind in KINDS.values()))
    for own, kind in kinds.items():
        if own.__name__.lower() in wanted:
            return kind.name
    bases = ", ".join(f"{kind.package}.base.{kind.base}" for kind in KINDS.values())
    for own in own_classes(module):
        if own.__name__.lower() in wanted:
            raise BrokenPluginError(
                f"{name}: class {own.__name__} has no base class that says its kind: derive it from one of {bases}"
            )
    raise BrokenPluginError(_no_class(name, cls or expected_class(stem), list(kinds) or own_classes(module)))


def own_classes(module: ModuleType) -> list[type[Any]]:
    """The classes that `module` defines, and not just imports."""
    return [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]


def expected_class(stem: str) -> str:
    """What the class in `<stem>.py` should be called: MyIdea in my_idea.py."""
    return re.sub(r"[^A-Za-z0-9]", "", stem.title())


def _kind_of_class(cls: type) -> Kind | None:
    """The kind whose base class `cls` derives from; that base is loaded already, or nothing could derive from it."""
    for kind in KINDS.values():
        base = getattr(sys.modules.get(f"{kind.package}.base"), kind.base, None)
        if base is not None and issubclass(cls, base):
            return kind
    return None


def _no_class(name: str, expected: str, found: Sequence[type]) -> str:
    others = ", ".join(one.__name__ for one in found)
    hint = (
        f"found {others}; rename the class, or name it as {Path(name).name}:{found[0].__name__}"
        if found
        else "found none"
    )
    return f"{name} defines no class named after the file; expected {expected}, {hint}"


def _class_in(kind: Kind, module: ModuleType, stem: str) -> type[Any]:
    """The class that `module` defines, and not just imports, named after its file."""
    own = {value.__name__.lower(): value for value in own_classes(module)}
    for candidate in class_names(stem, kind):
        if candidate in own:
            return _checked(kind, own[candidate], module.__name__.removeprefix("prunebench_plugin_"))
    derived = [one for one in own.values() if _kind_of_class(one) == kind]
    raise BrokenPluginError(_no_class(str(module.__file__), expected_class(stem), derived or list(own.values())))


def _checked(kind: Kind, cls: Any, owner: str) -> type[Any]:
    base = getattr(importlib.import_module(f"{kind.package}.base"), kind.base)
    if not isinstance(cls, type):
        raise BrokenPluginError(
            f"{kind.singular} {cls!r} of {owner} is no class: expected one derived from {kind.base}"
        )
    if not issubclass(cls, base):
        raise BrokenPluginError(
            f"{kind.singular} {cls.__name__} of {owner} lacks its base class: write class {cls.__name__}({kind.base}), "
            f"with {kind.base} from {kind.package}.base"
        )
    if not dataclasses.is_dataclass(cls):
        frozen = "@dataclass" if kind.name == "regularizers" else "@dataclass(frozen=True)"
        raise BrokenPluginError(
            f"{kind.singular} {cls.__name__} of {owner} is no dataclass: write {frozen} above class {cls.__name__}"
        )
    for name, meant in slips(cls, base):
        raise SlipError(
            f"{kind.singular} {cls.__name__} of {owner}: {name} is no part of the contract: did you mean {meant}? "
            f"Call what is your own _{name}, or an option otherwise"
        )
    return cls


def _variant(kind: Kind, name: str) -> tuple[str, str]:
    """`family/variant` of a task; paths to files keep their slashes."""
    if kind.name != "tasks" or ".py" in name:
        return name, ""
    family, _, variant = name.partition("/")
    return family, variant


def _check_variant(kind: Kind, cls: type[Any], family: str, variant: str) -> None:
    known: tuple[str, ...] = getattr(cls, "variants", ())
    if (variant or known) and variant not in known and not (variant and "*" in known):
        given = f"{family}/{variant}" if variant else family
        full = [f"{family}/{name}" if name else family for name in known]
        expected = choices(given, full) if known else f"it is called '{family}'"
        raise PrunebenchError(f"unknown {kind.singular} '{given}'; {expected}")


def _convert(kind: Kind, name: str, cls: type[Any], options: dict[str, str]) -> dict[str, Any]:
    """Option texts as values of their fields' types."""
    from pydantic import TypeAdapter, ValidationError

    fields = {field.name for field in dataclasses.fields(cls) if field.init and field.name != "variant"}
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, text in options.items():
        if key not in fields:
            raise PrunebenchError(f"{kind.singular} '{name}' has no option '{key}'; {choices(key, fields)}")
        try:
            values[key] = TypeAdapter(hints[key]).validate_python(None if text == "none" else text)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise PrunebenchError(f"{kind.singular} '{name}', option '{key}': found '{text}': {reason}") from error
    return values


def spell(value: object) -> str:
    """An option's value as it is written in a plugin's name."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
