"""The engine by name, and what is said where it cannot be had."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from benchmark.engine.base import EngineOptions, pick_engine
from benchmark.engine.local import run_cells
from benchmark.engine.pool import PoolEngine
from benchmark.engine.slurm_options import SlurmOptions, parse_slurm
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import make_board


def test_local_is_this_process_or_several() -> None:
    assert pick_engine() is run_cells
    assert pick_engine(EngineOptions(jobs=1)) is run_cells
    assert pick_engine(EngineOptions(jobs=3)) == PoolEngine(3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "locl"}, "unknown engine 'locl'; did you mean 'local'?"),
        ({"jobs": 0}, "--jobs 0: expected 1 or more"),
        ({"name": "ray", "gpus": -1.0}, "--gpus -1: expected 0 or more"),
        ({"address": "auto"}, "--address is for --engine ray"),
        ({"slurm": "time=60"}, "--slurm is for --engine slurm"),
        ({"gpus": 0.5}, "--gpus is for --engine ray or slurm"),
    ],
)
def test_options_of_another_engine_and_counts_out_of_range_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PrunebenchError, match="^" + complaint.replace("?", "\\?")):
        pick_engine(EngineOptions(**options))


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_what_is_not_installed_comes_with_its_command(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PrunebenchError, match=rf"{package}.*python -m pip install 'prunebench\[{name}\]'"):
        pick_engine(EngineOptions(name))


def test_processes_of_torchrun_are_not_split_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PrunebenchError, match="torchrun"):
        pick_engine(EngineOptions(jobs=2))


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    from benchmark.engine.slurm import executor

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrunebenchError, match="there is no Slurm on this machine"):
        executor(make_board(tmp_path), SlurmOptions())


# --slurm.


def test_slurm_options_become_parameters_of_a_job() -> None:
    assert parse_slurm(None) == SlurmOptions()
    found = parse_slurm("partition=gpu,time=1-02:30:00,mem=16G,cpus=4,gpus=1,nice=10,nodelist=n[1,3-5]")
    assert found.minutes == 26 * 60 + 30
    assert found.parameters == {
        "partition": "gpu", "mem": "16G", "cpus_per_task": 4, "gpus_per_node": 1, "nodelist": "n[1,3-5]"
    }  # fmt: skip
    assert found.passed_on == {"nice": 10}
    assert parse_slurm("", gpus=2.0).parameters == {"gpus_per_node": 2}


@pytest.mark.parametrize(
    ("time", "minutes"), [("20", 20), ("20:30", 21), ("4:00:00", 240), ("2-0", 2880), ("1-1:30", 1530), ("0:15:00", 15)]
)
def test_times_are_read_as_slurm_writes_them_and_rounded_up_to_minutes(time: str, minutes: int) -> None:
    assert parse_slurm(f"time={time}").minutes == minutes


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("partition", "--slurm 'partition': expected key=value"),
        ("partion=gpu", "unknown key 'partion'; did you mean 'partition'?"),
        ("time=1,time=2", "'time' is given twice"),
        ("time=soon", "time=soon: expected minutes"),
        ("time=10", "expected at least 15 minutes"),
        ("cpus=many", "cpus=many: expected a whole number"),
        ("comment=$(reboot)", "no spaces, quotes or shell characters"),
    ],
)
def test_slurm_options_that_make_no_sense_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        parse_slurm(text)
    assert complaint in str(caught.value)


def test_gpus_are_whole_and_given_once() -> None:
    with pytest.raises(PrunebenchError, match="gres=shard:1"):
        parse_slurm(None, gpus=0.5)
    with pytest.raises(PrunebenchError, match="not both"):
        parse_slurm("gres=shard:1", gpus=1.0)
