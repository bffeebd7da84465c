"""The canonical spelling of a configured plugin: options in the order of the fields, without defaults."""

import dataclasses
import re

from benchmark.plugins.broken import BrokenPluginError
from benchmark.plugins.catalogue import Option, entry_of, literal
from benchmark.plugins.classes import KINDS
from benchmark.plugins.files import files_run, is_file, plugin_file
from benchmark.plugins.registry import configure, parse, spell


def canonical(kind: str, text: str) -> str:
    """`text` in its canonical spelling: options in the order of the fields, without defaults."""
    if is_file(text) and not files_run():
        return _from_source(kind, text)
    plugin = configure(kind, text)
    name, _ = parse(text)
    options = [
        f"{field.name}={spell(getattr(plugin, field.name))}"
        for field in dataclasses.fields(plugin)
        if field.init and field.name != "variant" and getattr(plugin, field.name) != _default(field)
    ]
    return f"{name}[{','.join(options)}]" if options else name


def _default(field: "dataclasses.Field[object]") -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def spaced(text: str) -> str:
    """`criterion+regularizer`, as cells are named, in the spelling of a suite: `criterion + regularizer`.

    A + inside brackets is part of a number, and one in a file's name part of the name.
    """
    if " + " in text or ".py" in text:
        return text
    return re.sub(r"\s*\+\s*(?![^\[]*\])", " + ", text.strip(), count=1)


def _from_source(kind: str, text: str) -> str:
    """`canonical` for a plugin that is named by its file, read from the source without running it."""
    name, given = parse(text)
    location, _, cls = name.partition(":")
    path = plugin_file(location)
    options = entry_of(KINDS[kind], name, path, "", cls).options if path else ()
    if unknown := given.keys() - {option.name for option in options}:
        raise BrokenPluginError(f"{text}: no option {', '.join(sorted(unknown))} in {location}")
    values = {option.name: _value(given[option.name], option) for option in options if option.name in given}
    kept = [f"{key}={value}" for key, (value, default) in values.items() if value != default]
    return f"{name}[{','.join(kept)}]" if kept else name


TYPES = {"bool": bool, "int": int, "float": float, "str": str}
"""Types of options by their names in a source; all others are spelled like their default."""


def _value(text: str, option: Option) -> tuple[str, str]:
    """An option's text and its default in the source, both in their canonical spelling: that of the type that the source names."""
    from pydantic import TypeAdapter, ValidationError

    try:
        known = literal(option.default)
    except ValueError:
        return text, option.default
    kind = TYPES.get(option.kind.removesuffix(" | None"), type(known))
    if text == "none" or kind is type(None):
        return text, spell(known)
    try:
        return spell(TypeAdapter(kind).validate_python(text)), spell(known)
    except ValidationError:
        return text, spell(known)
