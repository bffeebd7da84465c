"""`prunebench bench` end to end, on tiny shapes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark.bench.child import call
from benchmark.bench.result import read
from benchmark.cli import app
from benchmark.errors import PrunebenchError


def test_quick_sections_leave_a_table_and_raw_numbers(tmp_path: Path) -> None:
    for words in (["selection"], ["startup", "selection"]):
        done = CliRunner().invoke(app, ["bench", *words, "--quick", "--device", "cpu", "--output", str(tmp_path)])
        assert done.exit_code == 0, done.output
    (raw,) = tmp_path.glob("*.json")
    assert raw.name.startswith("quick-")  # beside what was measured, not in its place
    costs = read(raw.read_text(), raw.name)
    assert [section.name for section in costs.sections] == ["selection", "startup"]
    assert all(section.recipe and section.recipe.machine["torch"] for section in costs.sections)
    assert "A quick run" in raw.with_suffix(".md").read_text()
    assert "stable sort" in done.output


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "memory", "--quick", "--device", "cpu", "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (raw,) = tmp_path.glob("*.json")
    (section,) = read(raw.read_text(), raw.name).sections
    assert section.raw["prunable weights"] == [24576]
    assert section.raw["dense bytes"][0] > 0


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(PrunebenchError, match="a measuring process failed"):
        call("nothing")
