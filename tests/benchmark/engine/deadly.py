"""A criterion whose runner never lives to the end of a cell."""

DEADLY = '''"""Takes its process with it."""

import os
from dataclasses import dataclass

from criteria.base import Criterion


@dataclass(frozen=True)
class Deadly(Criterion):
    """As the kernel does where memory runs out."""

    def score(self, state, weight):
        os.kill(os.getpid(), 9)
'''
