"""Plugins by name: one string names a configured plugin everywhere, `sensitivity[beta1=0.85,window=5]`.

A name is, in this order: a file of the package (`criteria/<name>.py`), an entry point of an installed distribution (group
`prunebench.criteria`, ...), or a path to a file (`my/criterion.py`, `my/criterion.py:Class`). A name claimed twice is an error
that names both owners.
"""

import dataclasses
import importlib
import pkgutil
import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from benchmark.errors import PrunebenchError, choices, pydantic_reason
from benchmark.plugins.broken import BrokenPluginError, broken
from benchmark.plugins.classes import (
    KINDS,
    Kind,
    checked,
    class_at,
    class_in,
    defines_plugin,
    leaves_surroundings,
    package_folder,
)
from benchmark.plugins.files import file_called, is_file
from benchmark.plugins.labels import labelled
from criteria.common.slips import untyped

NOT_PLUGINS = {"base", "checks"}

REFUSALS = (PrunebenchError, ValueError, TypeError, AssertionError)
"""Errors by which a plugin refuses an option. Any other is a fault of the plugin, and only its own cells fail."""

LONGEST = 2000
"""Longest text of a configured plugin, in characters, since patterns are matched against it."""


def configure(kind: str, text: str) -> Any:
    """The plugin named by `text` with its options set; PrunebenchError says what is wrong and what the choices are."""
    if kind not in KINDS:
        raise PrunebenchError(f"unknown kind of plugin {kind!r}; {choices(str(kind), KINDS)}")
    found = KINDS[kind]
    if not isinstance(text, str):
        raise PrunebenchError(f"{found.singular} {text!r}: expected a name, with its options where it has any")
    name, options = parse(text)
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
        return class_at(found, name)
    owners: list[str | EntryPoint] = [*foreign(kind, name)]
    if name in builtin_names(kind):
        owners.insert(0, f"{found.package}.{name}")
    if not owners:
        raise PrunebenchError(f"unknown {found.singular} '{name}'; {_hint(kind, name)}")
    if len(owners) > 1:
        raise PrunebenchError(f"{found.singular} '{name}' is claimed by {' and by '.join(map(owner_of, owners))}")
    owner = owners[0]
    try:
        if isinstance(owner, EntryPoint):
            with leaves_surroundings(f"{found.singular} '{name}' ({owner_of(owner)})"):
                cls = owner.load()
            return checked(found, cls, owner_of(owner))
        return class_in(found, importlib.import_module(owner), name)
    except (PrunebenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise broken(f"{found.singular} '{name}' ({owner_of(owner)})", error) from error


def _hint(kind: str, name: str) -> str:
    """What an unknown name may have been meant for, and the choices."""
    if kind == "regularizers" and " + " in name:
        return "a row has one regularizer at most"
    if (kind, name) == ("criteria", "dense"):
        return "the dense row is on every board: leave it out"
    if kind == "criteria" and " + " in name:
        return "name a criterion and a regularizer one at a time"
    known = sorted(names(kind))
    if other := next((one.singular for one in KINDS.values() if name in names(one.name)), ""):
        return f"'{name}' is a {other}, not a {KINDS[kind].singular}; choices: {', '.join(known)}"
    if meant := labelled(kind, name):
        return f"'{name}' is the label of '{meant}': name it so. choices: {', '.join(known)}"
    if meant := file_called(name) or _family_of(kind, name):
        return f"did you mean '{meant}'? choices: {', '.join(known)}"
    return choices(name, known)


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
    """The letters and digits of a name in lower case, without the v of a version and the century of a year."""
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


def owner_of(owner: str | EntryPoint) -> str:
    """Who provides a plugin, for messages."""
    if isinstance(owner, str):
        return f"prunebench ({owner})"
    dist = f"{owner.dist.name} {owner.dist.version}" if owner.dist else "an unknown distribution"
    return f"{dist} ({owner.value})"


def foreign(kind: str, name: str) -> list[EntryPoint]:
    """Entry points of installed distributions that are called `name`."""
    return list(entry_points(group=KINDS[kind].group, name=name))


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
        expected = choices(given, full) if known else f"'{family}' has no variants; {choices(given, names(kind.name))}"
        raise PrunebenchError(f"unknown {kind.singular} '{given}'; {expected}")


def _convert(kind: Kind, name: str, cls: type[Any], options: dict[str, str]) -> dict[str, Any]:
    """Option texts as values of their fields' types."""
    from pydantic import TypeAdapter, ValidationError

    fields = {field.name for field in dataclasses.fields(cls) if field.init and field.name != "variant"}
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, text in options.items():
        if key not in fields:
            meant = untyped(cls, key)
            hint = f"give it a type in {cls.__name__}, {meant}" if meant else choices(key, fields)
            raise PrunebenchError(f"{kind.singular} '{name}' has no option '{key}'; {hint}")
        try:
            values[key] = TypeAdapter(hints[key]).validate_python(None if text == "none" else text)
        except ValidationError as error:
            reason = pydantic_reason(error.errors()[0])
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
