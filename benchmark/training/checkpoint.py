"""Checkpoints: the whole state of an unfinished run on disk. On a CPU a resumed run equals the uninterrupted one bit for bit.

Weights, optimizer, every random generator, position in the data, criterion state, masks, regularizer state with its teacher,
best weights so far, curve. One file a run: named tensors and one JSON text in safetensors (which holds no code), with their
checksum. It is written atomically. A file that is damaged or of another run is set aside, and the run starts from its first step.

`Checkpointer.after_step` is where a run stops that was asked to (machine/interrupt.py): it saves the run, then raises Interrupted.
"""

import json
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmark.board.record import Count, Point, as_json
from benchmark.board.weights import unshared
from benchmark.machine import interrupt, parallel
from benchmark.machine.atomic import write_bytes
from benchmark.machine.safe_read import read_regular_file
from benchmark.training.train import Run, silent
from tasks.pipeline.sealed import BLANK, intact, seal

SCHEMA = 2
LARGEST = 64 << 30
"""Bytes of the largest checkpoint that is read."""
WORTH_KEEPING = 60.0
"""A run that trained this many seconds since its last checkpoint is saved at its end too, before the final evaluation."""


def checkpoint_path(folder: Path, run_id: str) -> Path:
    """Path of the checkpoint of `run_id`."""
    return folder / f"{run_id}.checkpoint"


class StartAgainError(Exception):
    """A checkpoint could not be used and was set aside; the run must be built again."""


class Facts(msgspec.Struct):
    """What a checkpoint holds beside its tensors, with the types that it must have."""

    step: int
    since: Count
    best: tuple[float | None, int | None]
    curve: list[Point]
    intervals: list[tuple[Count, float]]
    seconds: tuple[float, float]
    resumed: list[Count]
    parts: Count
    commits: list[str]
    python: tuple[int, tuple[int, ...], float | None]
    """State of Python's random generator."""
    numpy: tuple[str, list[int], int, int, float]
    """State of NumPy's."""


@dataclass
class Checkpointer:
    """Saves a run every `minutes` of training (0: at every step), and when a signal asks it to stop."""

    path: Path
    identity: Mapping[str, str]
    """The run, data, model and kind of device; a checkpoint of other ones is not used."""
    minutes: float = 10.0
    tell: Callable[[str], None] = silent
    since: float = field(default_factory=time.monotonic)

    def resume(self, run: Run) -> None:
        """Restore `run`, just built, from its checkpoint, if there is one.

        StartAgainError if the checkpoint is damaged, of another run, or does not fit: it has been set aside, and `run` may
        be half restored, so that it must be built again.
        """
        if not parallel.agreed(os.path.lexists(self.path)):
            return
        try:
            tensors, facts = unpack(read_regular_file(self.path, LARGEST))
            if facts.get("identity") != dict(self.identity):
                raise ValueError("it is of another run, data or model")
            restore(run, tensors, check(run, tensors, facts))
            reason = ""
        except Exception as error:  # contents that do not fit may raise anything
            reason = str(error) or type(error).__name__
        if parallel.agreed(bool(reason)) or reason:
            self._set_aside(reason)
            raise StartAgainError
        self.tell(f"taken up at step {run.step} of {run.total}")

    def _set_aside(self, reason: str) -> None:
        aside = self.path.with_suffix(".damaged")
        if parallel.rank() == 0:
            self.path.replace(aside)
        self.tell(
            f"{self.path.name} cannot be used ({reason}): set aside as {aside.name}, the cell starts from the beginning"
        )

    def after_step(self, run: Run) -> None:
        """Save the run if it is time. If a signal asks to stop, save it and raise Interrupted."""
        stop = parallel.shared_signal()
        passed = time.monotonic() - self.since
        ended = run.step == run.total and passed > WORTH_KEEPING
        if parallel.agreed(passed >= 60 * self.minutes or ended) or stop:
            tensors, facts = capture(run)
            if parallel.rank() == 0:
                write_bytes(self.path, pack(tensors, {"identity": dict(self.identity), **as_json(facts)}))
            self.since = time.monotonic()
        if stop:
            raise interrupt.Interrupted(stop)


def discard(folder: Path, run_id: str) -> None:
    """Delete the checkpoint of a run."""
    checkpoint_path(folder, run_id).unlink(missing_ok=True)


def capture(run: Run) -> tuple[dict[str, Tensor], Facts]:
    """The state of `run`: named tensors, and everything else."""
    score, step, best = run.best or (None, None, {})
    moments = run.optimizer.torch.state_dict()["state"]
    tensors = {
        "running": run.running,
        **{f"weights.{i}": vector for i, vector in enumerate(run.optimizer.vectors)},
        **{f"optimizer.{i}.{key}": value for i, state in moments.items() for key, value in state.items()},
        **_prefixed("buffer", dict(run.model.named_buffers())),
        **_prefixed("pruner", run.pruner.state_dict()),
        **_prefixed("regularizer", run.regularizer.state()),
        **_prefixed("best", best),
        **_prefixed("generator", _generators(run.device)),
    }
    now = time.perf_counter()
    version, internal, gauss = random.getstate()
    facts = Facts(
        step=run.step,
        since=run.since,
        parts=run.parts,
        best=(score, step),
        curve=run.curve,
        intervals=run.intervals,
        seconds=(now - run.started, now - run.began),
        resumed=run.resumed,
        commits=run.commits,
        python=(version, internal, gauss),
        numpy=_numpy_state(),
    )
    return tensors, facts


def check(run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Facts:
    """`facts`, read from a checkpoint, with their types; ValueError if its content cannot be a state of `run`."""
    found = msgspec.convert(facts, Facts)
    steps = [point.step for point in found.curve]
    if not 1 <= found.step <= run.total:
        raise ValueError(f"it says step {found.step} of {run.total}")
    if steps != sorted(set(steps)) or max([0, *steps, *found.resumed, found.best[1] or 0]) > found.step:
        raise ValueError(f"its curve does not end at step {found.step}")
    if not all(math.isfinite(s) and s >= 0 for s in (*found.seconds, *(seconds for _, seconds in found.intervals))):
        raise ValueError("its seconds are no durations")
    if sum(count for count, _ in found.intervals) > found.step:
        raise ValueError(f"it counts more steps than {found.step}")
    expected = {"running": run.running, "pruner.mask": run.pruner.state_dict().get("mask")}
    expected |= {f"weights.{i}": vector for i, vector in enumerate(run.optimizer.vectors)}
    expected |= _prefixed("buffer", dict(run.model.named_buffers()))
    for name, tensor in expected.items():
        if tensor is not None and (name not in tensors or tensors[name].shape != tensor.shape):
            raise ValueError(f"'{name}' is not of the run's shape")
        if tensor is not None and tensors[name].dtype != tensor.dtype:
            raise ValueError(f"'{name}' holds {tensors[name].dtype}, in the run {tensor.dtype}")
        if name.startswith("weights.") and not bool(tensors[name].isfinite().all()):
            raise ValueError(f"'{name}' is not finite")
    return found


def restore(run: Run, tensors: Mapping[str, Tensor], found: Facts) -> None:
    """Restore in place what `capture` returned; random generators last, since nothing may draw from them afterwards."""
    run.running.copy_(tensors["running"])
    for i, vector in enumerate(run.optimizer.vectors):
        vector.data.copy_(tensors[f"weights.{i}"])
    optimizer = run.optimizer.torch
    state = {i: _under(f"optimizer.{i}", tensors) for i in range(len(run.optimizer.vectors))}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": {i: kept for i, kept in state.items() if kept}})
    for name, buffer in run.model.named_buffers():
        buffer.copy_(tensors[f"buffer.{name}"])
    run.pruner.load_state_dict(_under("pruner", tensors))
    run.regularizer.restore(_under("regularizer", tensors), run.model)
    # A run that is tried again in more parts, because memory ran out, keeps those.
    run.step, run.since, run.parts = found.step, found.since, max(run.parts, found.parts)
    (score, step), (total, interval) = found.best, found.seconds
    best = {name: value.to(run.device) for name, value in _under("best", tensors).items()}
    run.best = (score, step, best) if score is not None and step is not None else None
    run.curve, run.intervals = found.curve, found.intervals
    run.started, run.elapsed = run.started - total, interval
    run.resumed = [*found.resumed, run.step]
    run.commits = list(dict.fromkeys([*found.commits, *run.commits]))
    _set_generators(_under("generator", tensors), found, run.device)


def pack(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """Tensors and JSON values as the bytes of a file that holds its own checksum."""
    text = json.dumps({"schema": SCHEMA, **facts}, allow_nan=False).encode()
    return seal(save({**unshared(tensors), "facts": torch.frombuffer(bytearray(text), dtype=torch.uint8)}, BLANK))


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The inverse of `pack`; ValueError if the bytes were changed."""
    if not intact(data):
        raise ValueError("it is damaged, or of an older version")
    tensors = load(data)
    if "facts" not in tensors:
        raise ValueError("it is no checkpoint")
    facts = json.loads(tensors.pop("facts").numpy().tobytes())
    if facts.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {facts.get('schema')!r}, this version reads {SCHEMA}")
    return tensors, facts


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _generators(device: torch.device) -> dict[str, Tensor]:
    """States of the random generators of every process of this run, by rank."""
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    return {f"{kind}.{rank}": state for kind, mine in own.items() for rank, state in enumerate(parallel.gathered(mine))}


def _numpy_state() -> tuple[str, list[int], int, int, float]:
    state: Any = np.random.get_state(legacy=True)
    kind, keys, position, has_gauss, gauss = state
    return kind, keys.tolist(), position, has_gauss, gauss


def _set_generators(states: Mapping[str, Tensor], found: Facts, device: torch.device) -> None:
    rank = parallel.rank()
    if f"cpu.{rank}" in states:  # missing if the run resumes in more processes than saved it
        torch.set_rng_state(states[f"cpu.{rank}"])
    if f"cuda.{rank}" in states:
        torch.cuda.set_rng_state(states[f"cuda.{rank}"], device)
    random.setstate(found.python)
    kind, keys, position, has_gauss, gauss = found.numpy
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
