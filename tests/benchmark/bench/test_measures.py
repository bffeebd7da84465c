"""Every section runs on tiny shapes; the counts of work are those of the formula."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.bench import batches, cell, flops, selecting, step
from benchmark.bench.cells import Cell, Place, opened
from benchmark.bench.flops import Work, matmul_rates
from benchmark.bench.naive_cell import run_naive
from benchmark.bench.profile import write_profile
from benchmark.bench.shapes import TINY, build, sized
from benchmark.bench.steps import Stepper
from benchmark.bench.suite import SECTIONS, chosen
from benchmark.bench.timing import quiet
from benchmark.errors import PrunebenchError
from benchmark.pruning.schedules.cubic import Cubic

CPU = torch.device("cpu")


def test_step_measures_every_candidate() -> None:
    section = step.measure(CPU, True, quiet, ("principled",))
    assert [row[0] for row in section.rows] == ["dense", "principled", step.NAIVE_DENSE, step.NAIVE]
    assert all(len(values) == 20 for values in section.raw.values())
    assert [target.bound for target in section.targets] == [1.02, 1.05]


def test_what_a_criterion_adds_is_told_in_milliseconds() -> None:
    times = {"dense": [0.2] * 20, "principled": [0.21] * 9 + [0.31] + [0.25] * 10}
    section = step.tabulate(TINY, 1, times, 10, CPU)
    dense, pruned = (dict(zip(section.columns, row, strict=True)) for row in section.rows)
    assert (dense["ms more"], pruned["ms more"]) == ("0.0", "20.0")  # (9 x 10 + 110) / 10
    assert [target.measured for target in section.targets] == pytest.approx([1.1, 1.25])


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


def test_selections_agree() -> None:
    assert "are equal" in selecting.measure(CPU, True, quiet).notes[0]
    scores = torch.tensor([3.0, 1.0, 1.0, 2.0])
    assert selecting.by_sort(scores, 2).tolist() == [True, False, False, True]
    assert selecting.by_kthvalue(scores, 2).tolist() == [True] * 4  # ties of the k-th stay


def test_padding_counts_tokens() -> None:
    masks = [torch.tensor([[1, 1, 0], [1, 0, 0]]), torch.tensor([[1]])]
    assert batches.padding([{"attention_mask": mask} for mask in masks], 8) == (7 / 4, 24 / 4)


def test_operations_of_a_forward() -> None:
    work = Work.of(build(TINY, CPU))
    assert work == Work(weights=2 * 12 * 32 * 32, layers=2, hidden=32)
    assert work.flops(np.array([3, 5]), 1) == 2 * work.weights * 8 + 4 * 32 * 2 * (9 + 25)
    assert work.flops(np.array([3, 5]), 3) == 3 * work.flops(np.array([3, 5]), 1)


def test_the_product_is_timed_by_every_library_that_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flops, "fastest_library", lambda: "torch")
    assert [len(rates) for rates in matmul_rates(CPU, rounds=2, side=8).values()] == [2]
    monkeypatch.setattr(flops, "fastest_library", lambda: "oneDNN")
    monkeypatch.setattr(flops, "product", torch.mm)
    both = matmul_rates(CPU, rounds=3, side=8)
    assert list(both) == ["torch", "oneDNN"]
    assert all(rate > 0 for rate in both["torch"] + both["oneDNN"])


def test_a_cell_beside_the_naive_one() -> None:
    place = Place(steps=12, eval_examples=8)
    taught, plain = (place.spec(Cell("glue/sst2", name, 4, 1)) for name in ("self_regularization", "none"))
    task = opened(taught)
    work = Work.of(task.build(0))
    assert cell.useful(taught, task, work) > cell.useful(plain, task, work)
    ours = cell.run_ours(plain, CPU)
    naive = cell.run_apart(plain, CPU)
    assert naive.score == run_naive(plain, task, CPU).score
    assert naive.evaluations == 2  # after the first step and the last
    assert set(naive.parts) == {"teacher", "evaluation"}
    section = cell.compared([(Cell("glue/sst2", "none", 4, 10), ours)], [naive], place, CPU)
    assert section.targets == []  # none is set on the embedded data
    assert section.raw["glue/sst2 scores (ours, naive)"] == [ours.score, naive.score]
    (share,) = cell.shares([(Cell("glue/sst2", "none", 4, 10), ours)], {"torch": [ours.flops]}, CPU).targets
    assert share.measured == pytest.approx(100 / ours.seconds[0])


def test_cells_at_once_count_together() -> None:
    ours = cell.Ours([4.0, 2.0], 50.0, 6e9, crowd=2, crowded=4.0)
    section = cell.shares([(Cell("glue/sst2", "none", 4, 10), ours)], {"torch": [4e9], "oneDNN": [6e9, 8e9, 8e9]}, CPU)
    assert section.columns[3:] == ["of torch's product", "of oneDNN's product"]
    assert section.rows == [
        ["glue/sst2", "6", "2.0", "50 %", "25 %"],
        ["glue/sst2, 2 at once", "12", "3.0", "75 %", "38 %"],
    ]
    assert "by oneDNN 8.0 GFLOP/s (from 6.0 to 8.0)" in section.notes[0]
    assert [target.measured for target in section.targets] == [50]
    assert section.raw["glue/sst2 seconds at once"] == [4.0]
    assert cell.run_at_once(Place(steps=2, eval_examples=4).spec(Cell("glue/sst2", "none", 2, 1)), 2) > 0


def test_without_the_naive_loop_the_share_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "run_apart", None)
    (share,) = cell.measure(CPU, True, lambda _: None, Place(steps=4, eval_examples=4, naive=False))
    assert share.name == "share"
    assert [row[0] for row in share.rows] == ["glue/sst2 + self_regularization", "glue/sst2"]


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
