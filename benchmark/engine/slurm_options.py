"""`--slurm key=value,...`: options of sbatch, checked before anything is submitted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.errors import PrunebenchError, choices

LEAST_MINUTES = 15
"""Shortest time limit: in a job's last 10 minutes submitit takes every signal for the end of its time, even preemption."""

KEYS = ("partition", "time", "account", "qos", "cpus", "mem", "gpus", "gres", "constraint", "nodelist", "exclude",
        "reservation", "comment", "nice")  # fmt: skip
NAMES = {"cpus": "cpus_per_task", "gpus": "gpus_per_node"}
"""Keys that submitit calls otherwise; the others have its names, which are those of sbatch's options."""
OWN = {"reservation", "nice"}
"""Those that submitit does not know and passes on to sbatch."""
NUMBERS = {"cpus", "gpus", "nice"}

DAYS = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")
HOURS = re.compile(r"(\d+):(\d+):(\d+)")
MINUTES = re.compile(r"(\d+)(?::(\d+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """Parameters for submitit's SlurmExecutor, under its names."""

    minutes: int = 60
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    passed_on: Mapping[str, str | int] = field(default_factory=dict)


def parse_slurm(text: str | None, gpus: float | None = None) -> SlurmOptions:
    """`partition=gpu,time=4:00:00,mem=16G`; values with commas in brackets stay whole. PrunebenchError for what is wrong."""
    given: dict[str, str] = {}
    for part in re.split(r",(?![^\[]*\])", text) if text else []:
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not value:
            raise PrunebenchError(f"--slurm '{part.strip()}': expected key=value, separated by commas")
        if key not in KEYS:
            raise PrunebenchError(f"--slurm: unknown key '{key}'; {choices(key, KEYS)}")
        if key in given:
            raise PrunebenchError(f"--slurm: '{key}' is given twice")
        if re.search(r"[\s\"'`$;\\]", value):
            raise PrunebenchError(f"--slurm {key}={value}: no spaces, quotes or shell characters")
        given[key] = value
    if gpus is not None:
        given["gpus"] = _whole(gpus, given)
    minutes = _minutes(given.pop("time")) if "time" in given else SlurmOptions.minutes
    values = {key: _number(key, value) if key in NUMBERS else value for key, value in given.items()}
    return SlurmOptions(
        minutes,
        {NAMES.get(key, key): value for key, value in values.items() if key not in OWN},
        {key: value for key, value in values.items() if key in OWN},
    )


def _whole(gpus: float, given: Mapping[str, str]) -> str:
    if "gpus" in given or "gres" in given:
        raise PrunebenchError("give --gpus, or gpus or gres in --slurm, not both")
    if gpus != int(gpus):
        raise PrunebenchError(
            f"--gpus {gpus:g}: Slurm gives whole GPUs; a share of one is a gres where the site has it: --slurm gres=shard:1"
        )
    return str(int(gpus))


def _number(key: str, value: str) -> int:
    if not value.isdecimal():
        raise PrunebenchError(f"--slurm {key}={value}: expected a whole number")
    return int(value)


def _minutes(value: str) -> int:
    """Slurm's own forms: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]."""
    if match := DAYS.fullmatch(value):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    elif match := HOURS.fullmatch(value):
        days, (hours, minutes, seconds) = 0, map(int, match.groups())
    elif match := MINUTES.fullmatch(value):
        days, hours, minutes, seconds = 0, 0, int(match[1]), int(match[2] or 0)
    else:
        raise PrunebenchError(
            f"--slurm time={value}: expected minutes, hours:minutes:seconds or days-hours:minutes:seconds"
        )
    total = (days * 24 + hours) * 60 + minutes + (seconds > 0)
    if total < LEAST_MINUTES:
        raise PrunebenchError(
            f"--slurm time={value}: expected at least {LEAST_MINUTES} minutes; in less, a preempted job counts as one out of time"
        )
    return total
