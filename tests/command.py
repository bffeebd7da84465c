"""A command of prunebench, called in this process."""

import sys
from collections.abc import Callable

import pytest

from benchmark import cli

Command = Callable[..., tuple[int, str, str]]
"""What the fixture `command` is: words to (exit code, what was printed, what was printed as an error)."""
Printed = Callable[..., tuple[int, str]]
"""What the fixture `prunebench` is: words to (exit code, everything that was printed)."""


def call(
    capture: "pytest.CaptureFixture[str]", monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """Exit code and the two streams; what was printed before is dropped."""
    capture.readouterr()
    monkeypatch.setattr(sys, "argv", ["prunebench", *map(str, words)])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    told = capture.readouterr()
    return code, told.out, told.err
