"""`prunebench list`: plugins as text."""

from benchmark.catalogue import Entry, catalogue


def catalogue_lines(kind: str) -> list[str]:
    """A heading, then each plugin with its claim and its options."""
    lines = [f"{kind}:"]
    for entry in catalogue(kind):
        lines += _entry_lines(entry)
    return lines


def _entry_lines(entry: Entry) -> list[str]:
    owner = "" if entry.owner == "prunebench" else f"  [{entry.owner}]"
    names = f"{entry.name}/{{{','.join(entry.variants)}}}" if entry.variants else entry.name
    lines = [f"  {names}{owner}", f"      {entry.claim}"]
    width = max((len(option.name) + len(option.default) + 1 for option in entry.options), default=0)
    lines += [
        f"        {option.name + '=' + option.default:<{width}}  {option.about}".rstrip() for option in entry.options
    ]
    return lines
