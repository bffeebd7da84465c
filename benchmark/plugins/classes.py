"""The class of a plugin: which one a file or a module means, and whether it can be one."""

import dataclasses
import importlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import PrunebenchError
from benchmark.plugins.broken import BrokenPluginError, SlipError, broken
from benchmark.plugins.files import VARIABLE, files_run, plugin_file
from criteria.common.slips import slips


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


def class_at(kind: Kind, text: str) -> type[Any]:
    """The class in a file that the user named by its path. Importing runs the file."""
    location, _, cls = text.partition(":")
    module = module_at(location, f"{kind.singular} '{text}'")
    if cls:
        if not hasattr(module, cls):
            raise BrokenPluginError(f"{kind.singular} '{text}': {module.__file__} defines no {cls}")
        return checked(kind, getattr(module, cls), location)
    return class_in(kind, module, Path(location).stem)


def module_at(location: str, what: str) -> ModuleType:
    """The module in the file at `location`, run now; PrunebenchError, with `what` it should have been, where that fails."""
    path = plugin_file(location)
    if path is None:
        hint = "; name a criterion and a regularizer one at a time" if " + " in location else ""
        raise PrunebenchError(f"{what}: no file {location}{hint}")
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
        with leaves_surroundings(what):
            spec.loader.exec_module(module)
    except (BrokenPluginError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise broken(what, error) from error
    return module


@contextmanager
def leaves_surroundings(what: str) -> Iterator[None]:
    """Puts back what an import changes for the whole process; BrokenPluginError where it changed a setting.

    Random states are put back without a word: otherwise the rows beside a plugin would depend on when it is imported.
    """
    from criteria.checks.surroundings import put_back, settings

    with put_back():
        before = settings()
        yield
        moved = [name for name, value in settings().items() if value != before[name]]
    if moved:
        raise BrokenPluginError(
            f"{what} changes {' and '.join(moved)} for the whole process when it is imported: set nothing global in a plugin"
        )


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


def class_in(kind: Kind, module: ModuleType, stem: str) -> type[Any]:
    """The class that `module` defines, and not just imports, named after its file."""
    own, names, where = own_classes(module), class_names(stem, kind), str(module.__file__)
    named = [one for one in dict.fromkeys(own) if one.__name__.lower() in names]
    if len(named) > 1:
        both = " and ".join(one.__name__ for one in named)
        raise BrokenPluginError(
            f"{where}: {both} are both named after the file; say which, as {Path(where).name}:{named[0].__name__}"
        )
    if named:
        return checked(kind, named[0], module.__name__.removeprefix("prunebench_plugin_"))
    derived = [one for one in own if _kind_of_class(one) == kind]
    raise BrokenPluginError(_no_class(where, expected_class(stem), derived or own))


def checked(kind: Kind, cls: Any, owner: str) -> type[Any]:
    """`cls`, if it can be a plugin of this kind; else BrokenPluginError says what it lacks. `owner` is for the message."""
    base = getattr(importlib.import_module(f"{kind.package}.base"), kind.base)
    if not isinstance(cls, type):
        raise BrokenPluginError(
            f"{kind.singular} {cls!r} of {owner} is no class: expected one derived from {kind.base}"
        )
    if not issubclass(cls, base):
        if other := _kind_of_class(cls):
            raise BrokenPluginError(f"{cls.__name__} of {owner} is a {other.singular}, not a {kind.singular}")
        raise BrokenPluginError(
            f"{kind.singular} {cls.__name__} of {owner} lacks its base class: write class {cls.__name__}({kind.base}), "
            f"with {kind.base} from {kind.package}.base"
        )
    if not dataclasses.is_dataclass(cls):
        frozen = "@dataclass" if kind.name == "regularizers" else "@dataclass(frozen=True)"
        raise BrokenPluginError(
            f"{kind.singular} {cls.__name__} of {owner} is no dataclass: write {frozen} above class {cls.__name__}"
        )
    for field in dataclasses.fields(cls):
        default = field.default
        if isinstance(default, float) and math.isnan(default):  # equal to nothing, so no spelling leaves it out
            raise BrokenPluginError(
                f"{kind.singular} {cls.__name__} of {owner}: the default of {field.name} is nan: expected a number"
            )
    for name in dir(base):
        default, found = (getattr(one, name, None) for one in (base, cls))
        if isinstance(default, property) and inspect.isfunction(found):  # such a method is true, whatever it returns
            raise BrokenPluginError(
                f"{kind.singular} {cls.__name__} of {owner}: {name} is read, not called: write @property above def {name}"
            )
        method = inspect.isfunction(found) or inspect.ismethod(found)
        computed = hasattr(found, "__get__") and not method  # a property, cached or not, or the slot of an option
        if isinstance(default, bool) and not isinstance(found, bool) and not computed:
            shown = f"the method {name}" if method else repr(found)
            raise BrokenPluginError(
                f"{kind.singular} {cls.__name__} of {owner}: {name} is {shown}: expected True or False"
            )
    for name, meant in slips(cls, base):
        raise SlipError(
            f"{kind.singular} {cls.__name__} of {owner}: {name} is no part of the contract: did you mean {meant}? "
            f"Call what is your own _{name}, or an option otherwise"
        )
    return cls
