"""Runs one cell in a Ray task: on the board's own folder where this node shares it, else on a copy of its own.

The copy stays in the user's cache, so that the next cell can use its tokenized data, teachers and checkpoints. The files of a
cell are sent back to the driver as bytes.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.board.board import Board
from benchmark.engine.artifacts import Artifacts, collect_artifacts, forget, put_teachers
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
        """Write the file."""
        make_folder(self.path.parent)
        self.path.write_text(self.token)

    def is_visible(self) -> bool:
        """Whether this process sees the file, with the token."""
        try:
            return self.path.read_text() == self.token
        except OSError:
            return False


@dataclass(frozen=True)
class CellTask:
    """A cell to run, and what a node needs to run it."""

    board: Board
    spec: RunSpec
    settings: Settings
    marker: FolderMarker
    teacher: str | None
    """Id of the dense run whose weights the driver wants back if they are trained here."""
    start: Path = field(default_factory=Path.cwd)
    """The driver's current folder, to which paths of plugin files may be relative."""


@dataclass(frozen=True)
class Answer:
    """The last event, and the cell's files if the driver does not share the folder."""

    last: Event
    artifacts: Artifacts | None = None


@dataclass
class EventSender:
    """Sends events to the driver's mailbox, and keeps the last one for the answer."""

    mailbox: Any
    last: Event = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Send without waiting: a lost progress event does no harm."""
        if event[0] in LAST:
            self.last = event
        else:
            self.mailbox.put.remote(event)


def perform(cell: CellTask, mailbox: Any, teachers: Mapping[str, bytes]) -> Answer:
    """Run the cell. If Ray cancels it (KeyboardInterrupt), it saves at the next step and ends."""
    if cell.start.is_dir():
        os.chdir(cell.start)
    send, shared = EventSender(mailbox), cell.marker.is_visible()
    board = cell.board if shared else replace(cell.board, folder=own_folder(cell.board))
    if not shared:  # the driver asks for what its own folder lacks; what this copy has of it is of an earlier run
        forget(board, cell.spec)
    put_teachers(board, teachers)  # this node's user may have another cache folder than the driver's
    with interrupt.catching():
        attempt(CellRunner(board, EventWatcher(send), cell.settings), cell.spec, send)
    if shared:
        return Answer(send.last)
    sent = collect_artifacts(board, cell.spec, cell.teacher)
    if send.last[0] != "busy":  # it has been collected; left here, it would count as this board's in a later run
        forget(board, cell.spec)
    return Answer(send.last, sent)


def own_folder(board: Board) -> Path:
    """This node's copy of the board, created if it is missing."""
    folder = cache_folder() / "copies" / hashlib.sha256(str(board.folder).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
