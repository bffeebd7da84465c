"""Every option of every built-in plugin refuses what it cannot mean, given in a suite or to the constructor."""

import dataclasses
import math
from typing import Any, get_type_hints

import pytest

from benchmark.errors import PrunebenchError
from benchmark.plugins import classes, registry

WRONG: dict[type, list[object]] = {
    bool: ["yes", 0, 1, 2.5, math.nan, None],
    int: [math.inf, -math.inf, math.nan, -1, -(2**70), 2.5, True, False, "3", None],
    float: [math.inf, -math.inf, math.nan, True, False, "0.5", None],
    str: [1, 2.5, True, None],
}
"""What no option of such a type takes."""
NEGATIVE = {"length_penalty", "threshold"}
"""Numbers that may be below zero."""
OPTIONS = [
    (kind, name, field)
    for kind in classes.KINDS
    for name in registry.builtin_names(kind)
    for field in dataclasses.fields(registry.load(kind, name))
    if field.init and field.name != "variant"
]


def made(kind: str, name: str, **options: Any) -> Any:
    cls = registry.load(kind, name)
    if variants := getattr(cls, "variants", ()):
        options["variant"] = variants[0]
    return cls(**options)


@pytest.mark.parametrize(("kind", "name", "field"), OPTIONS, ids=[f"{name}-{one.name}" for _, name, one in OPTIONS])
def test_options_refuse_what_they_cannot_mean(kind: str, name: str, field: "dataclasses.Field[Any]") -> None:
    hint = get_type_hints(registry.load(kind, name))[field.name]
    wrong = [*WRONG[hint], *[-0.5] * (hint is float and field.name not in NEGATIVE)]
    made(kind, name, **{field.name: field.default})
    for value in wrong:
        with pytest.raises(ValueError, match=field.name):
            made(kind, name, **{field.name: value})


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [one for one in OPTIONS if one[2].type in (int, float)],
    ids=[f"{name}-{one.name}" for _, name, one in OPTIONS if one.type in (int, float)],
)
def test_so_do_options_in_a_name(kind: str, name: str, field: "dataclasses.Field[Any]") -> None:
    variants = getattr(registry.load(kind, name), "variants", ())
    full = f"{name}/{variants[0]}" if variants else name
    for text in ("nan", "inf", "-inf", "true", "0x10", "1e999"):
        with pytest.raises(PrunebenchError, match=field.name):
            registry.configure(kind, f"{full}[{field.name}={text}]")
