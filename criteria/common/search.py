"""Where a criterion's options may lie when they are tuned: what `Criterion.search` declares.

    search: ClassVar[Mapping[str, Range]] = {"beta1": Linear(0.7, 0.95), "damp": Log(1e-8, 1e-5), "block": Choice((4, 50))}

Declared are numbers that the literature sets by hand. An option that makes another method of a criterion (`signed`) is a row of
its own, not a value to be found.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """Any number of [low, high]; whole numbers where both ends are."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.low < self.high:
            raise ValueError(f"a range from {self.low} to {self.high} holds nothing: low must be below high")

    @property
    def ends(self) -> tuple[float, ...]:
        """Values at the border, by which the declaration is checked."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Log(Linear):
    """Any number of [low, high], as likely in every octave; low is above 0."""

    def __post_init__(self) -> None:
        """Refuse ends without a logarithm, too."""
        super().__post_init__()
        if not self.low > 0:
            raise ValueError(f"a logarithmic range cannot begin at {self.low}: low must be above 0")


@dataclass(frozen=True)
class Choice:
    """One of `values`, in no order."""

    values: tuple[float | str | bool, ...]

    def __post_init__(self) -> None:
        """Refuse a choice of one."""
        if len(set(self.values)) < 2:
            raise ValueError(f"{self.values} leaves no choice: give two different values or more")

    @property
    def ends(self) -> tuple[float | str | bool, ...]:
        """All of them."""
        return self.values


Range = Linear | Log | Choice
"""What may be declared of one option."""
