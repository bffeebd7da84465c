"""Names of files, and keys of LaTeX labels, made from names of tasks, rows, boards and devices: small letters, digits and dashes."""

import re
from collections.abc import Iterable


def slug(text: str, nothing: str = "unnamed") -> str:
    """`text` in small letters, digits and dashes: `glue-sst2`; `nothing` where none of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or nothing


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file's name without ending for each of `names`, none twice and none longer than some 80 characters."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        base = slug(name)[:80]
        chosen, k = base, 2
        while chosen in taken:
            chosen, k = f"{base}-{k}", k + 1
        taken.add(chosen)
        found[name] = chosen
    return found
