"""A command of prunebench, called in this process."""

import sys

import pytest

from benchmark import cli


def call(
    capture: "pytest.CaptureFixture[str]", monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """(exit code, what was printed, what was printed as an error); what was printed before is dropped."""
    capture.readouterr()
    monkeypatch.setattr(sys, "argv", ["prunebench", *map(str, words)])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    told = capture.readouterr()
    return code, told.out, told.err
