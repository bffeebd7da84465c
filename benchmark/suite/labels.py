"""What a suite's `labels` may name, and how records spell it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins.spelling import canonical
from benchmark.suite.spec import DENSE, portable, spelled


def spelled_as_recorded(labels: Mapping[str, str], suite: Mapping[str, Any]) -> dict[str, str]:
    """The labels by the names in records; ValueError for one that names nothing in the validated fields of `suite`."""
    known = _named(suite)
    found: dict[str, str] = {}
    for key, text in labels.items():
        name = next((name for name in _spellings(key) if name in known), None)
        if name is None:
            raise ValueError(f"'{key}' is nothing of this suite; {choices(key, known)}")
        if name in found:
            raise ValueError(f"'{name}' is named twice")
        found[name] = text
    return found


def _named(suite: Mapping[str, Any]) -> set[str]:
    """What labels may name: the suite's model, tasks, rows and their parts, as records spell them."""
    rows = [row.partition(" + ") for row in suite["criteria"]]
    regularizers = {regularizer for *_, regularizer in rows if regularizer} | set(suite["regularizers"])
    whole = {
        f"{criterion} + {r}"
        for criterion, _, own in rows
        for r in ([own] if own else suite["regularizers"])
        if r != "none"
    }
    named = {criterion for criterion, *_ in rows} | whole | regularizers - {"none"} | set(suite["tasks"])
    return {spelled(name) for name in named} | {portable(suite["model"]), DENSE}


def _spellings(key: str) -> Iterator[str]:
    """What `key` may mean: itself, or a configured plugin in its canonical spelling."""
    yield key
    yield spelled(key)
    criterion, plus, regularizer = key.partition(" + ")
    for kind in ("criteria", "regularizers", "tasks"):
        with suppress(PrunebenchError):
            yield spelled(canonical(kind, criterion) + (plus and f" + {canonical('regularizers', regularizer)}"))
