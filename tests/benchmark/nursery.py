"""A process that has loaded everything forks runners of a board, kills each at a random moment, and lets the last one finish.

    python -m tests.benchmark.nursery BOARD KILLS SEED

Forked runners start at once, so that kills fall on the work and not on imports; every one of them is a process of its own, with
locks of its own. The last line is JSON: how many runners were killed, how many had finished before their kill came.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from benchmark.board.board import Board
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent

SETTINGS = Settings(device="cpu", save_weights=True, checkpoint_minutes=0, retry_failed=True)
"""Every step is saved: the most that can go wrong."""


def runner(folder: Path) -> int:
    """Start a runner; its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            board = Board.open(folder)
            done = run_cells(board, board.cells(), Silent(), SETTINGS)
            os._exit(1 if done.failed else 0)
        finally:
            os._exit(2)
    return pid


def killed(pid: int, after: float) -> bool:
    """Kill the runner `after` seconds, unless it has ended; whether it was killed."""
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"a runner ended with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill `kills` runners, drop what they finished now and then so that there is always work, and finish."""
    torch.set_num_threads(1)
    chance = random.Random(seed)
    count = {"killed": 0, "finished": 0}
    while count["killed"] < kills:
        if killed(runner(folder), chance.expovariate(1 / 0.25)):
            count["killed"] += 1
            continue
        count["finished"] += 1
        for path in (folder / "records").glob("*"):
            path.unlink()
    _, status = os.waitpid(runner(folder), 0)
    count["exit"] = os.waitstatus_to_exitcode(status)
    print(json.dumps(count))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
