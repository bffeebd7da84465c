"""What a Ray task does: run one cell, on the board's own folder where this node sees it, else on a copy of its own.

The copy lies in the user's cache and stays, so that tokenized data, teachers and checkpoints serve the next cell; what a cell
leaves there goes back to the driver as bytes.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.board.board import Board
from benchmark.engine.artifacts import Parcel, pack_parcel, put_teachers
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import LAST, Event, Teller, attempt
from benchmark.machine import interrupt
from benchmark.suite.spec import RunSpec


@dataclass(frozen=True)
class Beacon:
    """A file in the board's folder with a word that only this run knows: who reads it sees the folder."""

    path: Path
    word: str

    def light(self) -> None:
        """Write it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.word)

    def seen(self) -> bool:
        """Whether it is there, with the word."""
        try:
            return self.path.read_text() == self.word
        except OSError:
            return False


@dataclass(frozen=True)
class Errand:
    """A cell to run, and what the node needs to know."""

    board: Board
    spec: RunSpec
    settings: Settings
    beacon: Beacon
    teacher: str | None
    """Id of the dense run whose weights the driver wants back if they are trained here."""


@dataclass(frozen=True)
class Answer:
    """The last event, and the cell's files where the driver does not see them."""

    last: Event
    parcel: Parcel | None = None


@dataclass
class Line:
    """Sends events to the driver's mailbox, and keeps the last one for the answer."""

    mailbox: Any
    last: Event = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Fire and forget: a lost word of progress is no harm."""
        if event[0] in LAST:
            self.last = event
        else:
            self.mailbox.put.remote(event)


def perform(errand: Errand, mailbox: Any, teachers: Mapping[str, bytes]) -> Answer:
    """Run the cell; cancelled by Ray (KeyboardInterrupt), it saves at the next step and ends."""
    line, shared = Line(mailbox), errand.beacon.seen()
    board = errand.board if shared else replace(errand.board, folder=own_folder(errand.board))
    # The driver has looked at the failures of its folder; those of the copy are old.
    settings = errand.settings if shared else replace(errand.settings, retry_failed=True)
    if not shared:
        put_teachers(board, teachers)
    with interrupt.catching():
        attempt(CellRunner(board, Teller(line), settings), errand.spec, line)
    return Answer(line.last, None if shared else pack_parcel(board, errand.spec, errand.teacher))


def own_folder(board: Board) -> Path:
    """Where this node keeps its copy of the board."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "prunebench" / "boards" / hashlib.sha256(str(board.folder).encode()).hexdigest()[:16]
