"""What a measurement leaves behind: tables, targets met or not, every raw number, and how it was made."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmark.errors import PrunebenchError


class Model(BaseModel):
    """Immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Model):
    """A figure to reach, and the one that was measured (None: it could not be measured here, `why` says why)."""

    name: str
    measured: float | None
    bound: float
    kind: Literal["at most", "at least"]
    unit: str = "x"
    why: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the figure is reached; None where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured <= self.bound if self.kind == "at most" else self.measured >= self.bound

    @property
    def verdict(self) -> str:
        """As a person reads it."""
        words = {True: "met", False: "NOT met", None: f"not measured: {self.why}"}
        return words[self.met]


class Recipe(Model):
    """How a section was made: command, repetitions, and the machine with its versions (environment.describe)."""

    command: str
    repetitions: str
    seconds: float
    machine: dict[str, str]


class Section(Model):
    """One question: a table, notes, targets, and every raw number behind them by name (seconds, bytes or counts)."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = []
    targets: list[Target] = []
    raw: dict[str, list[float]] = {}
    repetitions: str = ""
    recipe: Recipe | None = None


class Costs(Model):
    """All sections measured on one device, the latest of each name."""

    schema_version: Literal[1] = 1
    device: str
    sections: list[Section]

    def with_section(self, section: Section) -> "Costs":
        """The same with `section` in the place of an older one of its name, or at the end."""
        others = [old for old in self.sections if old.name != section.name]
        order = [old.name for old in self.sections]
        at = order.index(section.name) if section.name in order else len(others)
        return self.model_copy(update={"sections": [*others[:at], section, *others[at:]]})


def read(text: str, name: str) -> Costs:
    """Costs from their JSON; PrunebenchError names the file that is none."""
    try:
        return Costs.model_validate_json(text)
    except ValueError as error:
        raise PrunebenchError(f"{name}: not a file of measured costs: {error}") from error
