"""Processes forked from one that has imported everything: real ones, with ids, signals and locks of their own, that start at once
instead of after the seconds that torch and transformers take to import."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from benchmark import cli

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "benchmark.cli",
        "benchmark.commands.run",
        "benchmark.commands.views",
        "benchmark.engine.local",
        "benchmark.training.run",
        "scipy.stats",
        "transformers.models.bert.modeling_bert",
    ]
)


class Forked:
    """`function(*arguments)` in a process of its own, with these environment variables beside the tests'; what it prints is kept.

    With `terminal`, the descriptor of one, it is as if it had been started there.
    """

    def __init__(
        self, function: Callable[..., object], *arguments: object, terminal: int | None = None, **variables: str
    ) -> None:
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - goes with this object
        output = self.printed.fileno() if terminal is None else terminal
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **variables}
        given = (function, arguments, DupFd(output), terminal is not None, environment)
        self.process = CONTEXT.Process(target=_within, args=given)
        self.process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """As that of subprocess.Popen: None while it runs, -N after signal N."""
        return self.process.exitcode

    def poll(self) -> int | None:
        """As that of subprocess.Popen."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens where it has ended."""
        if self.process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()

    def communicate(self, timeout: float = 120) -> str:
        """Wait until it has ended; what it printed. subprocess.TimeoutExpired after so many seconds."""
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            raise subprocess.TimeoutExpired(repr(self.process), timeout, self._read())
        return self._read().decode()

    def _read(self) -> bytes:
        self.printed.seek(0)
        return self.printed.read()


def prunebench(*words: object, **options: Any) -> Forked:
    """The command in a process of its own."""
    return Forked(_command, *map(str, words), **options)


def _command(*words: str) -> None:
    sys.argv = ["prunebench", *words]
    cli.main()


def _within(
    function: Callable[..., object],
    arguments: tuple[object, ...],
    output: Any,
    terminal: bool,
    environment: dict[str, str],
) -> None:
    """What a process of its own would have had from the start."""
    descriptor = output.detach()
    # An engine blocks these while it starts its processes: where one of them was the first, all that is forked would block them.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    if terminal:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.login_tty(descriptor)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    else:
        os.setsid()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)
