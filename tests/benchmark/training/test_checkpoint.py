"""A run that is interrupted and taken up again is bitwise the run that was not; what is damaged or foreign is set aside."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.board.record import as_json
from benchmark.machine import interrupt
from benchmark.suite.spec import RunSpec, Training
from benchmark.training import checkpoint, train
from benchmark.training.checkpoint import Checkpointer, checkpoint_path, discard, pack, unpack
from benchmark.training.run import Options, Result, run
from tasks.base import Evaluation
from tests.benchmark.toy_task import ToyTask

TRAINING = Training(steps=12, batch_size=8, lr=0.01, checkpoints=4)
Toy = Callable[..., Result]

ROWS: list[dict[str, Any]] = [
    {"criterion": "dense", "sparsity": 0.0},
    *(
        {"criterion": name}
        for name in (
            "random", "magnitude", "gradient", "taylor", "movement", "soft_movement", "l0", "sensitivity", "principled",
            "grasp", "fisher", "obert[block=4]", "wanda", "sparsegpt",
        )
    ),
    {"criterion": "principled", "call_point": "after", "scope": "published"},
    {"criterion": "movement", "scope": "layer"},
    {"criterion": "magnitude", "schedule": "iterative"},
    {"criterion": "magnitude", "schedule": "constant"},
    {"criterion": "principled", "regularizer": "self_regularization"},
    {"criterion": "principled", "regularizer": "self_regularization[teacher=best]", "heldout": 0.2},
    {"criterion": "principled", "regularizer": "distillation"},
    {"criterion": "magnitude", "regularizer": "rdrop"},
    {"criterion": "magnitude", "regularizer": "l2_sp"},
    {"criterion": "magnitude", "selection": "heldout", "heldout": 0.2},
    {"criterion": "magnitude", "training": TRAINING.model_copy(update={"optimizer": "adamax"})},
]  # fmt: skip


class Scored(ToyTask):
    """Scores by the weights, so that a resumed run is scored as the whole one is."""

    def evaluate(self, model: nn.Module, split: str) -> Evaluation:
        """Some number of the weights."""
        self.scores = [50 + 10 * float(torch.cat([p.detach().flatten() for p in model.parameters()]).sum().sin())]
        return super().evaluate(model, split)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: torch.device) -> Iterator[Toy]:
    """Runs a row on the toy task, on the device, interrupted (as by SIGTERM) after the given steps if any."""
    before = Checkpointer.after_step

    def run_toy(row: dict[str, Any], stop_at: int = -1, options: Options | None = None, said: Any = None) -> Result:
        fields: dict[str, Any] = {"task": "toy", "sparsity": 0.5, "training": TRAINING} | row
        monkeypatch.setattr("benchmark.training.run.open_task", lambda *_: Scored())
        monkeypatch.setattr("benchmark.training.run.require_scores", lambda *_: None)  # the scores are scripted

        def after_step(keeper: Checkpointer, job: Any) -> None:
            if job.step == stop_at and job.spec.criterion == row["criterion"]:  # not in its teacher
                interrupt.request_stop(signal.SIGTERM)
            before(keeper, job)

        monkeypatch.setattr(Checkpointer, "after_step", after_step)
        plain = Options(checkpoints=tmp_path, tell=(said if said is not None else []).append)
        with interrupt.catching():
            return run(RunSpec(**fields), replace(options or plain, device=device.type))

    yield run_toy
    interrupt._signals.number = 0


def facts(result: Result) -> dict[str, Any]:
    """All that a record says but the cost."""
    return {name: value for name, value in as_json(result.record).items() if name != "cost"}


def weights(result: Result) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in result.model.parameters()])


def spec_id(folder: Path) -> str:
    """Of the only run in progress."""
    (path,) = folder.glob("*.checkpoint")
    return path.stem


# The same run.


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(str(value) for value in row.values())[:60])
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(toy: Toy, row: dict[str, Any], device: torch.device) -> None:
    whole = toy(row, options=Options())
    for stop in (1, 5, 11):
        with pytest.raises(interrupt.Interrupted):
            toy(row, stop_at=stop)
    resumed = toy(row)
    assert resumed.record.cost.resumed == [1, 5, 11]
    assert {parameter.device.type for parameter in resumed.model.parameters()} == {device.type}
    assert torch.equal(weights(resumed), weights(whole))
    assert facts(resumed) == facts(whole)
    assert resumed.outcomes == whole.outcomes
    # The seconds of all four processes count.
    assert len(resumed.record.curve) == len(whole.record.curve)
    assert resumed.record.cost.total_seconds >= resumed.record.cost.train_seconds > 0


def test_a_record_says_that_other_code_took_the_run_up(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for commit, stop in (("a", 1), ("a", 5), ("b+", 7)):
        monkeypatch.setattr(train, "git_commit", lambda commit=commit: commit)
        with pytest.raises(interrupt.Interrupted):
            toy({"criterion": "principled"}, stop_at=stop)
    assert toy({"criterion": "principled"}).record.notes == ["resumed by other code than began it: commits a, then b+"]


@pytest.mark.parametrize("row", [{"criterion": "principled"}, {"criterion": "soft_movement"}, ROWS[0]], ids=str)
def test_a_run_saved_at_its_last_step_goes_on_with_the_evaluation(toy: Toy, row: dict[str, Any]) -> None:
    whole = toy(row, options=Options())
    with pytest.raises(interrupt.Interrupted):
        toy(row, stop_at=12)
    resumed = toy(row)
    assert resumed.record.cost.resumed == [12]
    assert torch.equal(weights(resumed), weights(whole))
    assert facts(resumed) == facts(whole)


def test_a_run_in_parts_is_resumed_in_parts(toy: Toy, tmp_path: Path) -> None:
    parts = Options(checkpoints=tmp_path, parts=4)
    whole = toy({"criterion": "principled"}, options=replace(parts, checkpoints=None))
    with pytest.raises(interrupt.Interrupted):
        toy({"criterion": "principled"}, stop_at=5, options=parts)
    resumed = toy({"criterion": "principled"}, options=replace(parts, parts=1))
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.record.notes == ["each batch went through the model in 4 parts, for want of memory"]


def test_a_run_is_resumed_in_more_parts_where_memory_ran_out(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(interrupt.Interrupted):
        toy({"criterion": "principled"}, stop_at=5, options=Options(checkpoints=tmp_path))
    resumed = toy({"criterion": "principled"}, options=Options(checkpoints=tmp_path, parts=4))
    assert resumed.record.cost.resumed == [5]
    assert resumed.record.notes == ["each batch went through the model in 4 parts, for want of memory"]


def test_a_checkpoint_is_saved_when_it_is_time(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(checkpoint, "write_bytes", lambda path, _: written.append(path.name))
    toy({"criterion": "random"}, options=Options(checkpoints=tmp_path, checkpoint_minutes=0))
    assert len(written) == 12  # minutes 0: every step
    written.clear()
    toy({"criterion": "random"}, options=Options(checkpoints=tmp_path, checkpoint_minutes=10))
    assert written == []


# Damaged and foreign ones.


def interrupted(toy: Toy, tmp_path: Path) -> Path:
    with pytest.raises(interrupt.Interrupted):
        toy({"criterion": "principled"}, stop_at=5)
    return checkpoint_path(tmp_path, spec_id(tmp_path))


def of(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Other bytes than were written."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def by_an_older_version(data: bytes) -> bytes:
    """Tensors and their checksum, and nothing of the run."""
    tensors = save(unpack(data)[0])
    return tensors + hashlib.sha256(tensors).digest()


def edited(change: Callable[[dict[str, Tensor], dict[str, Any]], object]) -> Callable[[Path], object]:
    """A whole checkpoint with something changed in its tensors, or in what is known beside them."""

    def write(path: Path) -> None:
        tensors, known = unpack(path.read_bytes())
        change(tensors, known)
        path.write_bytes(pack(tensors, known))

    return write


def told(**changes: Any) -> Callable[[Path], object]:
    """A whole checkpoint that says something else."""

    return edited(lambda _, known: known.update(changes))


def held(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], object]:
    """A whole checkpoint that holds something else."""

    return edited(lambda tensors, _: change(tensors))


def instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.unlink()
        make(path)

    return write


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


ODD: dict[str, Callable[[Path], object]] = {
    "the end missing": of(lambda data: data[:-100]),
    "one bit": of(flipped),
    "nothing": of(lambda _: b""),
    "something else": of(lambda _: b"hello" * 100),
    "an older version's": of(by_an_older_version),
    "of other data": edited(lambda _, known: known["identity"].update(data="other")),
    "a step that is never reached": told(step=10**9),
    "one step too many": told(step=13),
    "no step": told(step=0),
    "a step before the first": told(step=-5),
    "a step in words": told(step="5"),
    "a step of another type": told(step=[5]),
    "a huge step": told(step=10**400),
    "a step before its curve": told(step=2, curve=[{"step": 5, "loss": 1.0, "lr": 0.1, "sparsity": 0.5}]),
    "a curve of nothing": told(curve=[{}]),
    "no curve": told(curve=None),
    "time that runs backwards": told(seconds=[-5.0, 0.0]),
    "intervals longer than the run": told(intervals=[[10**6, 1.0]]),
    "a loss over no count of steps": told(since="5"),
    "no generator": told(python=None),
    "an odd generator": told(python=[3, [1, 2], None]),
    "a generator in words": told(numpy="MT19937"),
    "no weights": held(lambda tensors: tensors.pop("weights.0")),
    "fewer weights": held(lambda tensors: tensors.update({"weights.0": tensors["weights.0"][1:]})),
    "weights in bits": held(lambda tensors: tensors.update({"weights.0": tensors["weights.0"] > 0})),
    "weights that are no numbers": held(lambda tensors: tensors["weights.0"].fill_(float("nan"))),
    "no mask": held(lambda tensors: tensors.pop("pruner.mask")),
    "a mask of one entry": held(lambda tensors: tensors.update({"pruner.mask": tensors["pruner.mask"][:1]})),
    "no criterion": held(lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("pruner.t")]),
    "a pipe": instead(os.mkfifo),
    "a folder": instead(Path.mkdir),
    "a link to /dev/zero": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to nowhere": instead(lambda path: path.symlink_to("nowhere")),
    "a terabyte of nothing": instead(sparse),
}


@pytest.mark.parametrize("damage", ODD)
def test_a_checkpoint_that_cannot_be_of_this_run_is_set_aside_as_it_is_and_the_run_begins_anew(
    toy: Toy, tmp_path: Path, damage: str
) -> None:
    path = interrupted(toy, tmp_path)
    ODD[damage](path)
    odd = os.lstat(path)
    said: list[str] = []
    result = toy({"criterion": "principled"}, said=said)
    assert result.record.cost.resumed == []
    aside = os.lstat(path.with_suffix(".damaged"))
    assert (aside.st_ino, aside.st_size, aside.st_mtime_ns) == (odd.st_ino, odd.st_size, odd.st_mtime_ns)
    assert not os.path.lexists(path)
    assert len(said) == 1
    assert "set aside as" in said[0]
    assert facts(result) == facts(toy({"criterion": "principled"}, options=Options()))


def test_a_checkpoint_holds_tensors_and_json_only(toy: Toy, tmp_path: Path) -> None:
    data = interrupted(toy, tmp_path).read_bytes()
    tensors, known = unpack(data)
    assert known["step"] == 5
    assert all(isinstance(tensor, Tensor) for tensor in tensors.values())
    assert pack(tensors, known) == pack(*unpack(pack(tensors, known)))


def test_what_is_finished_is_discarded(tmp_path: Path) -> None:
    checkpoint_path(tmp_path, "abc").write_bytes(b"")
    discard(tmp_path, "abc")
    discard(tmp_path, "abc")
    assert list(tmp_path.iterdir()) == []
