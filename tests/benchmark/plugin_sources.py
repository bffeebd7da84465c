"""A third party's criterion, as a file."""

PLUGIN = '''"""Keeps the heaviest."""

from dataclasses import dataclass

from criteria.base import Criterion


@dataclass(frozen=True)
class {cls}(Criterion):
    """The weight itself."""

    power: float = 2.0
    """The exponent."""

    def score(self, state, weight):
        return weight.abs() ** self.power
'''
