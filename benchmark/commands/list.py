"""`prunebench list`: plugins as text."""

from collections.abc import Collection
from textwrap import wrap

from benchmark.plugins.catalogue import Entry, Option, catalogue, literal
from benchmark.plugins.registry import spell

WIDEST = 24
"""Characters of an option with its default up to which the words beside it stand in one column."""


def catalogue_lines(kind: str, width: int | None = None) -> list[str]:
    """A heading, then each plugin with its summary and its options; those that all plugins of a kind have are told once.

    Lines are broken at `width` characters, if it is given.
    """
    entries = catalogue(kind)
    shared = [option for option in entries[0].options if all(option in entry.options for entry in entries)]
    lines = [f"{kind}:"]
    if shared:
        lines += ["  all of them", *_option_lines(shared, width)]
    for entry in entries:
        lines += _entry_lines(entry, shared, width)
    return lines


def _entry_lines(entry: Entry, shared: Collection[Option], width: int | None) -> list[str]:
    owner = "" if entry.owner == "prunebench" else f"  [{entry.owner}]"
    variants = [variant for variant in entry.variants if variant]
    names = f"{entry.name}/{{{','.join(variants)}}}" if len(variants) > 1 else ", ".join(entry.full_names)
    names = f"{entry.name}, {names}" if len(variants) < len(entry.variants) else names
    own = [option for option in entry.options if option not in shared]
    return [f"  {names}{owner}", *_broken(" " * 6, entry.summary, width, 6), *_option_lines(own, width)]


def _option_lines(options: Collection[Option], width: int | None) -> list[str]:
    spelled = [f"{option.name}={spelt(option.default)}" for option in options]
    column = max((len(text) for text in spelled if len(text) <= WIDEST), default=0)
    return [
        line
        for text, option in zip(spelled, options, strict=True)
        for line in _broken(f"        {text:<{column}}  ", option.about, width, column + 10)
    ]


def _broken(head: str, text: str, width: int | None, indent: int) -> list[str]:
    """`head` and `text`, broken at `width` characters; the lines after the first begin `indent` characters in."""
    if width is None:
        return [f"{head}{text}".rstrip()]
    room = max(width, indent + 20)
    return wrap(f"{head}{text}", room, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def spelt(default: str) -> str:
    """A default as it is written in a plugin's name: true, not True, and text without quotes."""
    try:
        return spell(literal(default))
    except ValueError:
        return default
