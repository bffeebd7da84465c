"""Runs one cell in a Ray task: on the board's own folder where this node shares it, else on a copy of its own.

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
from benchmark.engine.artifacts import Artifacts, collect_artifacts, put_teachers
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import LAST, Event, EventWatcher, attempt
from benchmark.machine import interrupt
from benchmark.machine.caches import cache_folder
from benchmark.suite.spec import RunSpec
from tasks.pipeline.whole import make_folder


@dataclass(frozen=True)
class FolderMarker:
    """A file in the board's folder with a token that only this run knows: a process that can read it shares the folder."""

    path: Path
    token: str

    def write(self) -> None:
        """Write it."""
        make_folder(self.path.parent)
        self.path.write_text(self.token)

    def is_visible(self) -> bool:
        """Whether it is there, with the token."""
        try:
            return self.path.read_text() == self.token
        except OSError:
            return False


@dataclass(frozen=True)
class CellTask:
    """A cell to run, and what the node needs to know."""

    board: Board
    spec: RunSpec
    settings: Settings
    marker: FolderMarker
    teacher: str | None
    """Id of the dense run whose weights the driver wants back if they are trained here."""
    start: Path = field(default_factory=Path.cwd)
    """The driver's current folder, which plugin files may be named from."""


@dataclass(frozen=True)
class Answer:
    """The last event, and the cell's files where the driver does not see them."""

    last: Event
    artifacts: Artifacts | None = None


@dataclass
class EventSender:
    """Sends events to the driver's mailbox, and keeps the last one for the answer."""

    mailbox: Any
    last: Event = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Fire and forget: a lost progress event does no harm."""
        if event[0] in LAST:
            self.last = event
        else:
            self.mailbox.put.remote(event)


def perform(cell: CellTask, mailbox: Any, teachers: Mapping[str, bytes]) -> Answer:
    """Run the cell; cancelled by Ray (KeyboardInterrupt), it saves at the next step and ends."""
    if cell.start.is_dir():
        os.chdir(cell.start)
    send, shared = EventSender(mailbox), cell.marker.is_visible()
    board = cell.board if shared else replace(cell.board, folder=own_folder(cell.board))
    # The driver has looked at the failures of its folder; those of the copy are old.
    settings = cell.settings if shared else replace(cell.settings, retry_failed=True)
    put_teachers(board, teachers)  # this node's user may have another cache folder than the driver's
    with interrupt.catching():
        attempt(CellRunner(board, EventWatcher(send), settings), cell.spec, send)
    return Answer(send.last, None if shared else collect_artifacts(board, cell.spec, cell.teacher))


def own_folder(board: Board) -> Path:
    """Where this node keeps its copy of the board; it is there afterwards."""
    folder = cache_folder() / "copies" / hashlib.sha256(str(board.folder).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
