"""What a person sees while cells run."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.engine import progress
from benchmark.engine.progress import Live, Plain, Tally, duration, failures, reporter, shortened
from benchmark.suite.spec import RunSpec

SPEC = RunSpec(task="squad", criterion="principled[signed=true]", sparsity=0.8)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (40, "40 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5370, "1 h 30 min"),
        (12000, "3 h 20 min"),
    ],
)
def test_a_duration_is_told_in_its_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with reporter(Console(file=out, width=40), done=1, total=3) as watcher:
        assert isinstance(watcher, Plain)
        show = watcher.started(SPEC)
        show(1, 10, 0.5, 0.25)
        monkeypatch.setattr(progress, "EVERY", 0.0)
        time.sleep(0.001)
        show(2, 10, 0.5, 0.25)
        watcher.finished(SPEC, 81.234, 12.34)
        watcher.failed(SPEC, "[red]no[/red] memory")
    lines = out.getvalue().splitlines()
    assert lines[0] == "[1/3, ? left] squad principled[signed=true] 0.8 seed 0: step 2/10, loss 0.500, sparsity 0.250"
    assert lines[1].startswith("[2/3, 0 s left] squad principled[signed=true] 0.8 seed 0: 81.23 in 12.3 s")
    assert lines[2].endswith("FAILED: [red]no[/red] memory")


def test_bars_on_a_terminal() -> None:
    out = io.StringIO()
    with reporter(Console(file=out, force_terminal=True, width=120), done=0, total=2) as watcher:
        assert isinstance(watcher, Live)
        watcher.started(SPEC)(3, 10, 0.5, 0.25)
        watcher.bars.refresh()
        watcher.finished(SPEC, 81.234, 12.34)
        watcher.started(SPEC)
        watcher.failed(SPEC, "[red]no[/red] memory")
    text = out.getvalue()
    for piece in (
        "cells",
        "3/10",
        "loss 0.500",
        "sparsity 0.250",
        "81.23",
        "FAILED: [red]no[/red] memory",
        "[signed=true]",
    ):
        assert piece in text


TRACE = "Traceback (most recent call last):\n" + "\n".join(f"line {number}" for number in range(5))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no memory", "no memory"),
        (
            "NotImplementedError: sparse\n" + "CPU: registered\n" * 40,
            "NotImplementedError: sparse (the whole text is in F)",
        ),
        ("two\nlines", "two (the whole text is in F)"),
        (f"mine.py cannot be imported: no\n{TRACE}", f"mine.py cannot be imported: no\n{TRACE}"),
        (f"mine.py cannot be imported: no\n{TRACE * 6}", "mine.py cannot be imported: no (the whole text is in F)"),
    ],
)
def test_the_summary_is_short_and_says_where_the_rest_is(reason: str, told: str) -> None:
    cells = [(name, reason, Path("F")) for name in ("a", "b")]
    assert failures(cells) == [f"FAILED a: {told}", "FAILED b: as a, above"]


@pytest.mark.parametrize("width", [80, 99, 100, 120])
def test_a_long_name_leaves_room_for_the_steps(width: int) -> None:
    out = io.StringIO()
    spec = RunSpec(task="glue/sst2", criterion="principled", regularizer="self_regularization", sparsity=0.9)
    with reporter(
        Console(file=out, force_terminal=True, width=width, color_system=None), done=16, total=136
    ) as watcher:
        assert isinstance(watcher, Live)
        watcher.started(spec)(88, 100, 1.335, 0.9)
        watcher.bars.refresh()
    text = out.getvalue()
    for piece in ("glue/sst2 principled", "0.9 seed 0", " 16/136", " 88/100", "loss 1.335  sparsity 0.900"):
        assert piece in text


@pytest.mark.parametrize(
    ("most", "text"),
    [
        (33, "squad principled[signed=true] 0.8 seed 0"[:21] + "… 0.8 seed 0"),
        (40, "squad principled[signed=true] 0.8 seed 0"),
        (3, "squad pr… 0.8 seed 0"),
    ],
)
def test_a_name_is_cut_before_sparsity_and_seed(most: int, text: str) -> None:
    assert shortened("squad principled[signed=true] 0.8 seed 0", most) == text


def test_time_left_is_by_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally(done=5, total=10)
    assert tally.left == "?"
    now[0] = 60.0
    tally.add()
    assert tally.left == "4 min"
