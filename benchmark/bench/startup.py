"""Times the start of the command line for commands that need no torch."""

import subprocess
import sys
import time

from benchmark.bench.result import Section, Target
from benchmark.bench.timing import Tell, interval

COMMANDS = {"--help": 0.3, "list": 1.0}
"""Arguments, and the target in seconds."""


def measure(quick: bool, tell: Tell) -> Section:
    """The section; no device is involved."""
    repeats = 1 if quick else 7
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, values in times.items():
            tell(f"start-up: prunebench {name}")
            values.append(_seconds(name))
    rows, targets = [], []
    for name, values in times.items():
        middle, low, high = interval(values)
        rows.append([f"prunebench {name}", f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}"])
        targets.append(
            Target(name=f"prunebench {name}", measured=middle, bound=COMMANDS[name], kind="at most", unit="s")
        )
    return Section(
        name="startup",
        title="Start-up",
        columns=["command", "median s", "low", "high"],
        rows=rows,
        notes=["The whole process, interpreter included. Neither command imports torch (a test checks it)."],
        targets=targets,
        raw={f"prunebench {name} seconds": values for name, values in times.items()},
        repetitions=f"{repeats} processes each, in turns",
    )


def _seconds(argument: str) -> float:
    code = "import sys; from benchmark.cli import main; sys.argv = ['prunebench', *sys.argv[1:]]; main()"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code, argument], check=True, capture_output=True)
    return time.perf_counter() - started
