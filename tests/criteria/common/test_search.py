"""Search spaces: what is no range, and that every declared one holds the default or the published values."""

import dataclasses
from collections.abc import Callable

import pytest

from benchmark.plugins import registry
from criteria.common.search import Choice, Linear, Log


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(1.0, 1.0), "low must be below high"),
        (lambda: Log(2.0, 1.0), "low must be below high"),
        (lambda: Log(0.0, 1.0), "low must be above 0"),
        (lambda: Choice((4, 4)), "leaves no choice"),
    ],
)
def test_what_is_no_range(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", registry.builtin_names("criteria"))
def test_defaults_lie_in_the_declared_spaces(name: str) -> None:
    criterion = registry.configure("criteria", name)
    options = {field.name: getattr(criterion, field.name) for field in dataclasses.fields(criterion)}
    for option, space in criterion.search.items():
        if isinstance(space, Choice):
            assert options[option] in space.values
        else:
            assert space.low <= options[option] <= space.high


def test_the_calibrated_and_the_learned_declare_one() -> None:
    declared = {name for name in registry.builtin_names("criteria") if registry.load("criteria", name).search}
    assert declared == {"sensitivity", "principled", "movement", "soft_movement", "l0", "obert", "sparsegpt"}
