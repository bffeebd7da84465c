"""Every section runs on tiny shapes."""

from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from benchmark.bench import cell, child, selection, step
from benchmark.bench.cell import Cell, Place, opened
from benchmark.bench.naive import run_naive
from benchmark.bench.step import write_profile
from benchmark.bench.stepper import TINY, Stepper, sized
from benchmark.bench.suite import SECTIONS, chosen
from benchmark.bench.timing import quiet
from benchmark.errors import PrunebenchError
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.training import cpu

CPU = torch.device("cpu")


def test_step_measures_every_candidate() -> None:
    section = step.measure_time(CPU, True, quiet, ("principled",))
    assert [row[0] for row in section.rows] == ["dense", "principled", step.NAIVE_DENSE, step.NAIVE]
    assert all(len(values) == 20 for values in section.raw.values())
    assert [target.bound for target in section.targets] == [1.05, 1.08]


def test_what_a_criterion_adds_is_told_in_milliseconds() -> None:
    times = {"dense": [0.2] * 20, "principled": [0.21] * 9 + [0.31] + [0.25] * 10}
    section = step.tabulate(TINY, 1, times, 10, CPU)
    dense, pruned = (dict(zip(section.columns, row, strict=True)) for row in section.rows)
    assert (dense["ms more"], pruned["ms more"]) == ("0.0", "20.0")  # (9 x 10 + 110) / 10
    assert [target.measured for target in section.targets] == pytest.approx([1.1, 1.25])


def test_bounds_are_told_of_principled_alone() -> None:
    times = {"dense": [0.2] * 20, "magnitude": [0.21] * 20}
    assert step.tabulate(TINY, 1, times, 10, CPU).targets == []


def test_steps_in_turns_on_one_model() -> None:
    dense = Stepper(TINY, CPU, "dense", Cubic(), 4)
    pruned = [
        Stepper(TINY, CPU, name, Cubic(initial=1, final=1), 4, beside=dense) for name in ("principled", "movement")
    ]
    for stepper in [dense, *pruned] * 4:
        before = dense.weights.vector.detach().clone()
        stepper()
        assert not torch.equal(dense.weights.vector, before)
    assert all(stepper.model is dense.model for stepper in pruned)
    assert [stepper.pruner.reached for stepper in pruned] == [True, True]


def test_the_selections_compared_agree_but_for_ties() -> None:
    assert "are equal" in selection.measure(CPU, True, quiet).notes[0]
    scores = torch.tensor([3.0, 1.0, 1.0, 2.0])
    assert selection.by_sort(scores, 2).tolist() == [True, False, False, True]
    assert selection.by_kthvalue(scores, 2).tolist() == [True] * 4  # ties of the k-th stay


@pytest.mark.parametrize("data", ["hub", "no/such/folder"])
def test_data_without_a_task_to_time_are_refused(data: str) -> None:
    with pytest.raises(
        PrunebenchError, match=rf"--data {data}: expected mini, or a folder with the files of one of glue/"
    ):
        Place(data=data)


def test_a_cell_beside_the_naive_one() -> None:
    place = Place(steps=12, eval_examples=8)
    plain = place.spec(Cell("glue/sst2", "none", 4, 1))
    ours = cell.run_ours(plain, CPU)
    naive = cell.run_apart(plain, CPU)
    assert naive.score == run_naive(plain, opened(plain), CPU).score
    assert naive.evaluations == 2  # after the first step and the last
    assert set(naive.parts) == {"teacher", "evaluation"}
    section = cell.compared([(Cell("glue/sst2", "none", 4, 10), ours)], [naive], place, CPU)
    assert section.targets == []  # none is set on the embedded data
    assert section.raw["glue/sst2 scores (ours, naive)"] == [ours.score, naive.score]
    both = cell.compared([(Cell("glue/sst2", "none", 4, 10), ours)], [naive], place, CPU, [naive])
    assert both.rows[0] == [*section.rows[0], f"{naive.seconds:.1f}", f"{naive.seconds / median(ours.seconds):.1f}"]
    assert len(both.columns) == len(both.rows[0])


def test_the_harness_alone_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """By turns, every other round backwards; ratios are of pairs in one round."""
    asked: list[list[str]] = []

    def call(kind: str, spec: dict[str, Any], device: str, without: list[str]) -> child.Found:
        assert (kind, spec["task"], device) == ("cell", "glue/sst2", "cpu")
        asked.append(without)
        slow = 2.0 if len(asked) > 4 else 1.0  # the second round's machine is busier
        return {"seconds": slow * (6.0 if without else 4.0), "busy": 3.0 if without else 2.0}

    monkeypatch.setattr(child, "call", call)
    monkeypatch.setattr(cell, "MINI_CELLS", cell.MINI_CELLS[1:])
    section = cell.alone(CPU, 2, quiet, Place(without=("linear", "dropout")))
    assert asked == [[], ["linear"], ["dropout"], ["dropout"], ["linear"], []]
    assert [row[:2] for row in section.rows] == [["glue/sst2", name] for name in ("nothing", "linear", "dropout")]
    assert [row[5] for row in section.rows] == ["1", "1.50 [1.50, 1.50]", "1.50 [1.50, 1.50]"]
    assert section.raw["glue/sst2 without dropout, busy"] == [3.0, 3.0]


def test_a_cell_without_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "WAYS", dict(cpu.WAYS))
    spec = Place(steps=4, eval_examples=4).spec(Cell("glue/sst2", "none", 2, 1)).model_dump(mode="json")
    found = child.cell(spec, "cpu", ["dropout"])
    assert set(cpu.WAYS) == {"linear", "allocator"}
    assert found["seconds"] > 0
    assert found["busy"] > 0


@pytest.mark.parametrize("place", [{"naive": False}, {"without": ("allocator",)}])
def test_without_the_naive_loop_the_harness_runs_alone(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "run_apart", None)
    monkeypatch.setattr(child, "call", lambda *_, **__: {"seconds": 1.0, "busy": 1.0})
    assert cell.measure(CPU, True, quiet, Place(**place)).name == "cell-alone"


@pytest.mark.parametrize("name", ["linaer", "", "embedding", "all"])
def test_a_way_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(PrunebenchError, match=f"--without {name}: .*choices: allocator, dropout, linear"):
        Place(without=("dropout", name))


def test_only_cells_whose_files_are_at_hand(tmp_path: Path) -> None:
    (tmp_path / "glue" / "RTE").mkdir(parents=True)
    assert [cell.task for cell in Place(str(tmp_path)).cells] == ["glue/rte"]


def test_sections_are_chosen_by_name() -> None:
    assert chosen(["cell", "step"]) == ["step", "cell"]
    assert chosen(["all"]) == list(SECTIONS)
    with pytest.raises(PrunebenchError, match="unknown section 'stepp'; did you mean 'step'"):
        chosen(["stepp"])


def test_a_profile_names_the_operators(tmp_path: Path) -> None:
    text = write_profile(CPU, True, "principled", tmp_path / "p.txt").read_text()
    assert "batch 4 x 16: 5 steps with principled, masks at every step" in text
    assert "aten::addmm" in text
    assert "batch 3 x 5:" in write_profile(CPU, True, "principled", tmp_path / "q.txt", "3x5").read_text()


@pytest.mark.parametrize("batch", ["12", "0x8", "8x", "8x513", "8 x 8", "-1x8"])
def test_a_batch_that_is_none_is_refused(batch: str) -> None:
    with pytest.raises(PrunebenchError, match="expected ROWSxLENGTH"):
        sized(TINY, batch)
