"""Options of criteria and of tasks are checked in two places, since neither package imports the other: they agree."""

from dataclasses import dataclass
from typing import Any

import pytest

from criteria.common import options as of_criteria
from tasks import base as of_tasks


@dataclass(frozen=True)
class Options:
    """One option of each type."""

    yes: bool = True
    count: int = 1
    share: float = 0.5
    name: str = "a"
    many: tuple[int, ...] = ()


@pytest.mark.parametrize("field", ["yes", "count", "share", "name", "many"])
@pytest.mark.parametrize(
    "value", [True, False, 0, 1, -1, 0.5, 1.0, float("nan"), float("inf"), "1", "", None, (), [1], 10**400]
)
def test_both_say_the_same(field: str, value: Any) -> None:
    said = []
    for require in (of_criteria.require_types, of_tasks.require_types):
        try:
            require(Options(**{field: value}))
        except ValueError as error:
            said.append(str(error))
        else:
            said.append("")
    assert said[0] == said[1]
