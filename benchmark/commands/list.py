"""`prunebench list`: plugins as text."""

from benchmark.plugins.catalogue import Entry, catalogue, literal
from benchmark.plugins.registry import spell


def catalogue_lines(kind: str) -> list[str]:
    """A heading, then each plugin with its summary and its options."""
    lines = [f"{kind}:"]
    for entry in catalogue(kind):
        lines += _entry_lines(entry)
    return lines


def _entry_lines(entry: Entry) -> list[str]:
    owner = "" if entry.owner == "prunebench" else f"  [{entry.owner}]"
    variants = [variant for variant in entry.variants if variant]
    names = f"{entry.name}/{{{','.join(variants)}}}" if len(variants) > 1 else ", ".join(entry.full_names)
    names = f"{entry.name}, {names}" if len(variants) < len(entry.variants) else names
    lines = [f"  {names}{owner}", f"      {entry.summary}"]
    options = [(f"{option.name}={spelt(option.default)}", option.about) for option in entry.options]
    width = max((len(option) for option, _ in options), default=0)
    return lines + [f"        {option:<{width}}  {about}".rstrip() for option, about in options]


def spelt(default: str) -> str:
    """A default as it is written in a plugin's name: true, not True, and text without quotes."""
    try:
        return spell(literal(default))
    except ValueError:
        return default
