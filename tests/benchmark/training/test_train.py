"""The loop: every cell sees the same batches and the same noise; the curve; which checkpoint is reported."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, pairwise
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.board.record import as_json
from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure
from benchmark.pruning.pruner import Pruner
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.optimizer import rate
from benchmark.training.run import Options, Result, run
from benchmark.training.train import evenly_spaced, stream, typical
from tasks.base import Prepared
from tests.benchmark.toy_task import ToyTask
from tests.benchmark.toys import Blocks

TRAINING = Training(steps=12, batch_size=8, lr=0.01, checkpoints=6)
Runner = Callable[..., Result]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> Callable[..., tuple[Result, ToyTask]]:
    """Runs a spec on a toy task, on the device, and gives back both."""

    def run_toy(task: ToyTask | None = None, options: Options | None = None, **changes: Any) -> tuple[Result, ToyTask]:
        opened = task or ToyTask()
        monkeypatch.setattr("benchmark.training.run.open_task", lambda *_: opened)
        monkeypatch.setattr("benchmark.training.run.require_scores", lambda *_: None)  # the scores are scripted
        fields: dict[str, Any] = {
            "task": "toy",
            "criterion": "magnitude",
            "sparsity": 0.5,
            "training": TRAINING,
        } | changes
        return run(RunSpec(**fields), replace(options or Options(), device=device.type)), opened

    return run_toy


# The same for all.


ROWS: list[dict[str, Any]] = [
    {"criterion": "dense", "sparsity": 0.0},
    {"criterion": "random"},
    {"criterion": "random", "sparsity": 0.9, "scope": "layer", "schedule": "constant"},
    {"criterion": "magnitude", "schedule": "iterative"},
    {"criterion": "movement"},
    {"criterion": "principled", "call_point": "after"},
    {"criterion": "l0"},
    {"criterion": "wanda"},
    {"criterion": "fisher"},
    {"criterion": "grasp"},
    {"regularizer": "self_regularization"},
    {"regularizer": "label_smoothing"},
]


def test_every_cell_sees_the_same_batches_and_the_same_noise(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    seen = []
    for row in ROWS:
        _, task = toy(**row)
        seen.append((task.order, task.states))
    assert all(order == seen[0][0] for order, _ in seen)
    assert all(states == seen[0][1] for _, states in seen)
    assert len(seen[0][0]) == 12
    assert seen[0][0][:5] != seen[0][0][5:10]  # another order in the second epoch


class Quiet(ToyTask):
    """Without dropout."""

    def build(self, seed: int) -> torch.nn.Module:
        return Blocks(seed=seed).train()


@pytest.mark.parametrize(
    ("criterion", "call_point"),
    [("taylor", "before"), ("taylor", "after"), ("principled", "before"), ("movement", "before")],
)
def test_a_step_is_that_of_a_plain_loop(
    toy: Callable[..., tuple[Result, ToyTask]], criterion: str, call_point: str
) -> None:
    """Backward, clip, observe before or after the optimizer, a new mask: with torch's own clipping and AdamW."""
    jobs: list[Any] = []
    training = TRAINING.model_copy(update={"clip": 0.05, "weight_decay": 0.0})
    ran = {"criterion": criterion, "call_point": call_point, "training": training}
    result, task = toy(Quiet(), Options(watch=jobs.append), **ran)

    plain = Blocks().train()
    schedule = configure("schedules", result.record.spec.schedule)
    pruner = Pruner(plain, configure("criteria", criterion), schedule, sparsity=0.5, total=12, peak=training.lr)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=training.lr, weight_decay=0.0)
    for step, rows in enumerate(list(task.order)):
        batch = {"x": task.x[rows], "y": task.y[rows], "index": torch.tensor(rows)}
        task.forward(plain, batch)[0].mean().backward()
        assert torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.05) > 0.05
        lr = optimizer.param_groups[0]["lr"] = rate(step, 12, training)
        if call_point == "before":
            pruner.observe(lr, finite=True)
        optimizer.step()
        if call_point == "after":
            pruner.observe(lr, finite=True)
        pruner.prune()
        optimizer.zero_grad()
    pruner.finish()
    for (name, one), other in zip(plain.named_parameters(), result.model.parameters(), strict=True):
        assert torch.allclose(one, other.cpu(), atol=1e-6), name
    assert torch.equal(pruner.mask, jobs[0].pruner.mask.cpu())
    for mine, theirs in zip(pruner.states, jobs[0].pruner.states, strict=True):
        assert all(torch.allclose(mine[name], theirs[name].cpu(), rtol=1e-3) for name in mine)


def test_another_seed_sees_another_order(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    (_, one), (_, two) = toy(seed=0), toy(seed=1)
    assert one.order != two.order
    assert sorted(chain(*one.order[:5])) == sorted(chain(*two.order[:5])) == list(range(40))


def test_a_distilled_student_sees_what_every_student_sees(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    """Whether its teacher is trained on the spot or handed over."""
    _, plain = toy()
    taught, watched = toy(regularizer="distillation")
    assert watched.order[-12:] == plain.order
    assert watched.states[-12:] == plain.states
    dense, _ = toy(criterion="dense", sparsity=0.0)
    asked: list[RunSpec] = []

    def teacher(spec: RunSpec, _: Prepared) -> dict[str, torch.Tensor]:
        asked.append(spec)
        return {name: value.detach().clone() for name, value in dense.model.state_dict().items()}

    given, watched = toy(regularizer="distillation", options=Options(teacher=teacher))
    assert (watched.order, watched.states) == (plain.order, plain.states)
    assert [spec.id for spec in asked] == [dense.record.id] == [given.record.teacher]
    assert parameters(given) == parameters(taught)
    assert parameters(given) != parameters(toy()[0])


def parameters(result: Result) -> list[float]:
    return torch.cat([p.detach().flatten() for p in result.model.parameters()]).tolist()


def test_stream_goes_on_in_the_middle() -> None:
    task, spec = ToyTask(), RunSpec(task="toy", training=TRAINING)
    whole = [batch["index"].tolist() for batch in stream(task, spec, 0, 12)]
    assert [batch["index"].tolist() for batch in stream(task, spec, 7, 12)] == whole[7:]
    assert list(stream(task, spec, 12, 12)) == []


def test_an_empty_training_split_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    task = ToyTask()
    monkeypatch.setattr(task, "batches", lambda *_, **__: iter(()))
    with pytest.raises(PrunebenchError, match="toy: the training split is empty"):
        list(stream(task, RunSpec(task="toy"), 0, 3))


# The curve.


def test_points_of_the_curve_are_spread_evenly_and_end_at_the_last_step() -> None:
    assert evenly_spaced(100, 4) == {25, 50, 75, 100}
    assert evenly_spaced(3, 10) == {1, 2, 3}
    assert evenly_spaced(7, 2) == {4, 7}
    assert evenly_spaced(1, 1) == {1}


def test_the_curve_has_rate_sparsity_and_loss_of_every_step(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    result, _ = toy(schedule="constant[window=4]")
    curve = result.record.curve
    assert [point.step for point in curve] == list(range(1, 13))
    assert [point.lr for point in curve] == pytest.approx([rate(step, 12, TRAINING) for step in range(12)])
    assert [point.sparsity for point in curve] == [0.5] * 12
    assert all(point.loss is not None and point.loss > 0 for point in curve)
    assert [point.score for point in curve] == [None] * 12


def test_the_curve_says_what_is_zero_and_not_what_was_planned(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    """A ramp that masks every five steps: its plan rises at every step, the weights do not follow before the masking."""
    result, _ = toy(schedule="linear[initial=1,final=1,window=5,final_every=5]")
    measured = [point.sparsity for point in result.record.curve]
    assert measured[:5] == [0.0] * 5
    assert len(set(measured[5:10])) == 1
    assert 0 < measured[5] < 0.5
    assert measured[-1] == 0.5


def test_the_loss_of_a_point_is_the_mean_since_the_one_before(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    fine, _ = toy(training=Training(steps=120, batch_size=8, lr=0.01, checkpoints=60))
    points = fine.record.curve
    assert len(points) <= 60 + 50
    assert points[-1].step == 120
    steps = [0, *(point.step for point in points)]
    assert max(after - before for before, after in pairwise(steps)) <= 3
    single, _ = toy(training=Training(steps=120, batch_size=8, lr=0.01, checkpoints=120))
    losses = [point.loss for point in single.record.curve if point.loss is not None]
    assert len(losses) == 120
    for (before, after), point in zip(pairwise(steps), points, strict=True):
        assert point.loss == pytest.approx(fmean(losses[before:after]), rel=1e-5)


def test_the_time_of_a_step_is_the_median_interval() -> None:
    assert typical([(2, 4.0), (1, 10.0), (4, 4.0)]) == 2.0
    assert typical([]) == 0.0


def test_progress_is_told(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    told: list[tuple[float, ...]] = []
    result, _ = toy(options=Options(progress=lambda *what: told.append(what)))
    assert [what[:2] for what in told] == [(step, 12) for step in range(1, 13)]
    assert [what[2] for what in told] == [point.loss for point in result.record.curve]


@pytest.mark.parametrize("spoil", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run(toy: Callable[..., tuple[Result, ToyTask]], spoil: float) -> None:
    with pytest.raises(PrunebenchError, match=r"the loss is (nan|inf) at step 1: try a lower learning rate"):
        toy(ToyTask(spoil=spoil), criterion="dense", sparsity=0.0)


def test_a_run_that_diverges_is_not_blamed_on_its_criterion(
    toy: Callable[..., tuple[Result, ToyTask]], device: torch.device
) -> None:
    """A GPU is asked at the points of the curve alone, where the loss comes first."""
    said = "the weights are not finite after" if device.type == "cpu" else "the loss is nan at"
    with pytest.raises(PrunebenchError, match=f"{said} step 1: try a lower learning rate"):
        toy(ToyTask(spoil=float("nan")), schedule="constant")


# Which weights are reported.


def test_last_looks_at_nothing_but_the_end(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    result, task = toy()
    assert task.asked == ["reported"]
    assert as_json(result.record.selected) == {"protocol": "last", "step": 12, "score": None, "optimistic": False}


def test_heldout_picks_the_best_checkpoint_at_the_target(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    """Checkpoints at 2, 4, ... 12; the mask is at its target from step 9 on: the 99 comes too early."""
    task = ToyTask([99, 60, 61, 62, 70, 65])
    result, task = toy(task, selection="heldout", heldout=0.2, schedule="one_shot[at=9]")
    assert task.asked == ["heldout"] * 6 + ["reported"]
    assert as_json(result.record.selected) == {
        "protocol": "heldout",
        "step": 10,
        "score": 70.0,
        "optimistic": False,
    }
    assert torch.equal(task.weights[6], task.weights[4])
    assert not torch.equal(task.weights[6], task.weights[5])
    assert [point.score for point in result.record.curve][1::2] == [99, 60, 61, 62, 70, 65]
    assert result.record.sparsity.met


def test_the_mask_in_force_counts_and_not_the_plan(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    """The plan is at its target after step 8, masks come at 5, 10 and 12: the checkpoint after 10 steps is not sparse enough."""
    task = ToyTask([50, 50, 50, 50, 99, 60])
    result, _ = toy(task, selection="heldout", heldout=0.2, schedule="linear[initial=1,final=4,window=5,final_every=5]")
    assert result.record.selected.step == 12
    assert result.record.sparsity.met
    assert result.record.sparsity.measured == 0.5


def test_of_equal_scores_the_later_one_is_taken(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    result, _ = toy(ToyTask([1, 80, 80, 80, 80, 79]), selection="heldout", heldout=0.2, schedule="one_shot[at=1]")
    assert result.record.selected.step == 10


def test_a_score_that_is_not_defined_selects_nothing(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    scores = [float("nan"), float("nan"), float("nan"), 30, float("nan"), 20]
    result, _ = toy(ToyTask(scores), selection="heldout", heldout=0.2, schedule="one_shot[at=1]")
    assert result.record.selected.step == 8
    assert [point.score for point in result.record.curve][1::2] == [None, None, None, 30, None, 20]


@pytest.mark.parametrize("selection", ["heldout", "best_dev"])
def test_a_run_that_has_nothing_to_select_by_says_so(
    toy: Callable[..., tuple[Result, ToyTask]], selection: str
) -> None:
    with pytest.raises(PrunebenchError, match="toy: score was undefined whenever weights could be selected"):
        toy(ToyTask([10, 20, *[float("nan")] * 4]), selection=selection, heldout=0.2, schedule="one_shot[at=5]")


def test_best_dev_looks_at_the_reported_split_and_says_so(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    result, task = toy(ToyTask([70, 80, 75, 60, 50, 40]), selection="best_dev", criterion="dense", sparsity=0.0)
    assert task.asked == ["reported"] * 7
    assert (result.record.selected.step, result.record.selected.optimistic) == (4, True)


@pytest.mark.parametrize("criterion", ["movement", "l0", "soft_movement"])
def test_a_selected_checkpoint_of_latent_weights_is_what_was_scored(
    toy: Callable[..., tuple[Result, ToyTask]], criterion: str
) -> None:
    task = ToyTask([1, 2, 3, 90, 5, 6])
    result, task = toy(task, criterion=criterion, selection="heldout", heldout=0.2, schedule="one_shot[at=3]")
    assert result.record.selected.step == 8
    assert torch.equal(task.weights[6], task.weights[3])


def test_a_regularizer_that_needs_scores_gets_them(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    _, task = toy(regularizer="self_regularization[teacher=best]", heldout=0.2)
    assert task.asked == ["heldout"] * 6 + ["reported"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regularizer": "self_regularization[teacher=best]"}, "needs held-out scores: set heldout above 0"),
        (
            {"regularizer": "self_regularization[teacher=best]", "heldout": 0.1, "selection": "best_dev"},
            "needs held-out scores: choose selection last or heldout",
        ),
        ({"criterion": "movement", "call_point": "after"}, "criterion 'movement' trains through its mask"),
        ({"scope": "2:4", "sparsity": 0.8}, "scope '2:4' prunes to sparsity 0.5, not 0.8"),
        ({"scope": "block[3,1]"}, "does not divide a matrix of 8 x 4"),
        ({"schedule": "one_shot[at=13]"}, "schedule OneShot: at = 13.0 steps is past the end of a run of 12 steps"),
        ({"schedule": "cubic[initial=9,final=9]", "training": Training(epochs=2, batch_size=8)}, "leaves no ramp"),
        (
            {"scope": "published", "training": Training(steps=12, batch_size=8, weight_decay=0.1)},
            "scope 'published' ranks biases with the weights.*set training.weight_decay to 0",
        ),
        ({"criterion": "magnitude[x=1]"}, "has no option 'x'"),
    ],
)
def test_what_does_not_fit_fails_before_training(
    toy: Callable[..., tuple[Result, ToyTask]], changes: dict[str, Any], message: str
) -> None:
    task = ToyTask()
    with pytest.raises(PrunebenchError, match=message):
        toy(task, **changes)
    assert task.order == []


def test_a_metric_that_is_no_number_is_an_error(toy: Callable[..., tuple[Result, ToyTask]]) -> None:
    with pytest.raises(PrunebenchError, match="toy: score is nan: nothing to record"):
        toy(ToyTask([float("nan")]))


def test_the_cost_of_a_teacher_is_not_its_students(
    toy: Callable[..., tuple[Result, ToyTask]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: time.perf_counter() + waited[0])
    monkeypatch.setattr("benchmark.training.run.time", clock)
    monkeypatch.setattr("benchmark.training.make_record.time", clock)

    def slow(spec: RunSpec, _: Prepared) -> dict[str, torch.Tensor]:
        waited[0] = 1000
        return {name: value.detach() for name, value in ToyTask().build(0).state_dict().items()}

    result, _ = toy(regularizer="distillation", options=Options(teacher=slow))
    assert result.record.cost.total_seconds < 1000
    assert result.record.cost.train_seconds <= result.record.cost.total_seconds
    assert result.record.cost.steps == 12
    assert 0 < result.record.cost.criterion_seconds < result.record.cost.train_seconds + 1
