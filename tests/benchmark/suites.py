"""Suites to read in tests."""

from pathlib import Path

import pytest

from benchmark.errors import PrunebenchError
from benchmark.suite.read import load_suite, parse_changes
from benchmark.suite.suite import Suite

BASE = """\
title: A board
tasks: [glue/rte, glue/cola]
criteria: [magnitude, principled]
sparsities: [0.5, 0.8]
seeds: [0, 1]
"""
LEAST = "tasks: [squad]\ncriteria: [random]\nsparsities: [0.5]\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    return path


def read(tmp_path: Path, text: str, *changes: str, data: str | None = None, model: str | None = None) -> Suite:
    """The suite of this text, with --set changes."""
    return load_suite(write(tmp_path, text), parse_changes(list(changes)), data=data, model=model)


def refusal(tmp_path: Path, text: str, *changes: str, data: str | None = None, model: str | None = None) -> str:
    """What is said against the suite, without the path in front."""
    with pytest.raises(PrunebenchError) as caught:
        read(tmp_path, text, *changes, data=data, model=model)
    return str(caught.value).replace(f"{tmp_path}/", "")
