"""The pruner in a plain training loop: what it masks when, what regrows, what is latent, and what a resumed run needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.dense import Dense
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.schedules.constant import Constant
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.pruning.schedules.gradual import Gradual
from benchmark.pruning.schedules.iterative import Iterative
from benchmark.pruning.schedules.one_shot import OneShot
from criteria.base import Criterion, State
from criteria.common.blocks import fresh, lending
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from criteria.random import Random
from criteria.sensitivity import Sensitivity
from tests.benchmark.toys import (
    Blocks,
    Given,
    Held,
    LastGradient,
    Recorded,
    Seldom,
    Steps,
    data,
    loss_of,
    one_matrix,
    pushed,
    snapshot,
    step,
    weight_of,
    zeros,
)

# In place.


def test_a_run_by_hand_prunes_regrows_and_ends_at_the_target(device: torch.device) -> None:
    """Magnitude at 0.5 of four weights: pruned after the first step, one regrows in the second, another falls."""
    model = one_matrix([[1.0, -2.0], [3.0, 0.5]]).to(device)
    pruner = Pruner(model, Magnitude(), Steps(), sparsity=0.5, total=2)
    assert pushed(model, pruner, [[1, 1], [1, -3]]) == [[0, -2.1], [2.9, 0]]
    assert pushed(model, pruner, [[-30, 0], [20, 0]]) == [[3, -2.1], [0, 0]]
    pruner.finish()
    assert weight_of(model).ne(0).tolist() == [[True, True], [False, False]]
    assert pruner.last_masking == (2, 0.5)
    assert pruner.measure() == 0.5


def test_weights_regrow_between_maskings_unless_the_schedule_holds(device: torch.device) -> None:
    for schedule, after_third in ((Seldom(), [[0.1, -2.0], [3.0, 0.1]]), (Held(), [[0, -2.0], [3.0, 0]])):
        model = one_matrix([[1.0, -2.0], [3.0, 0.5]]).to(device)
        pruner = Pruner(model, Magnitude(), schedule, sparsity=0.5, total=4)
        assert pushed(model, pruner, [[0, 0], [0, 0]]) == [[1, -2], [3, 0.5]]
        assert pushed(model, pruner, [[0, 0], [0, 0]]) == [[0, -2], [3, 0]]
        assert pushed(model, pruner, [[-1, 0], [0, -1]]) == after_third


def test_a_held_mask_is_final(device: torch.device) -> None:
    """Masks at steps 0 and 3 of 5: what ranks high at the end but was pruned at step 3 stays pruned."""
    model = one_matrix([[1.0, 2.0], [3.0, 4.0]]).to(device)
    pruner = Pruner(model, LastGradient(), Constant(window=3), sparsity=0.5, total=5)
    for _ in range(4):
        pushed(model, pruner, [[0, 0], [1, 1]])
    assert pushed(model, pruner, [[9, 9], [0, 0]]) == [[0, 0], [2.6, 3.6]]
    pruner.finish()
    assert weight_of(model).ne(0).tolist() == [[False, False], [True, True]]
    assert pruner.last_masking == (4, 0.5)


def test_finish_ranks_anew_where_the_last_masking_was_not_at_the_target(device: torch.device) -> None:
    """As after steps that the optimizer skipped."""
    model = one_matrix([[1.0, 2.0], [3.0, 4.0]]).to(device)
    pruner = Pruner(model, Magnitude(), OneShot(at=0.9), sparsity=0.5, total=10)
    pushed(model, pruner, [[0, 0], [0, 0]])
    for _ in range(9):
        pruner.observe(0.1, finite=False)
        pruner.prune()
    assert not pruner.reached
    pruner.finish()
    assert weight_of(model).tolist() == [[0, 0], [3, 4]]
    assert pruner.reached


def test_rewinding_returns_kept_weights_to_an_earlier_step(device: torch.device) -> None:
    """One round in four steps, back to the values after the first step: pruned after the second."""
    model = one_matrix([[1.0, 2.0], [3.0, 4.0]]).to(device)
    pruner = Pruner(model, Magnitude(), Iterative(rounds=1, rewind_to=1), sparsity=0.5, total=4)
    ones = [[1.0, 1.0], [1.0, 1.0]]
    assert pushed(model, pruner, ones) == [[0.9, 1.9], [2.9, 3.9]]
    assert pushed(model, pruner, ones) == [[0, 0], [2.9, 3.9]]
    assert pushed(model, pruner, ones) == [[0, 0], [2.8, 3.8]]
    assert pushed(model, pruner, ones) == [[0, 0], [2.7, 3.7]]
    pruner.finish()
    assert zeros(model) == 2


def test_the_last_mask_is_exact_for_every_schedule(device: torch.device) -> None:
    for schedule in (Cubic(), Constant(), OneShot(), Iterative(), Steps(), Held()):
        model = Blocks(seed=3).to(device)
        pruner = Pruner(model, Sensitivity(), schedule, sparsity=0.7, total=20)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for at in range(20):
            step(model, pruner, optimizer, data(seed=at))
        pruner.finish()
        assert zeros(model) == round(0.7 * 64), schedule


# What criteria are shown.


def test_the_flat_vector_and_the_matrices_give_the_same_run(device: torch.device) -> None:
    @dataclass(frozen=True)
    class SensitivityByMatrix(Sensitivity):
        elementwise: ClassVar[bool] = False

    @dataclass(frozen=True)
    class MovementByMatrix(Movement):
        elementwise: ClassVar[bool] = False

    pairs: list[tuple[Criterion, Criterion]] = [
        (Sensitivity(window=2), SensitivityByMatrix(window=2)),
        (Movement(score_optimizer="adam"), MovementByMatrix(score_optimizer="adam")),
    ]
    for conv in (False, True):
        for whole, parts in pairs:
            assert torch.equal(trained(whole, device, conv), trained(parts, device, conv))


def trained(criterion: Criterion, device: torch.device, conv: bool) -> Tensor:
    """Final weights of a run in a plain loop, with torch's own optimizer."""
    model = Blocks(conv=conv).to(device)
    pruner = Pruner(model, criterion, Cubic(window=3), sparsity=0.6, total=12)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    for at in range(12):
        step(model, pruner, optimizer, data(seed=at))
    pruner.finish()
    assert zeros(model) == round(0.6 * 64)
    return snapshot(model)


def test_scores_are_written_where_the_gradients_were(device: torch.device) -> None:
    """A masking takes no new vector of the model's size; who asks for scores elsewhere gets one."""
    pruner = Pruner(one_matrix([[1.0, -2.0], [3.0, 0.5]]).to(device), Sensitivity(), Steps(), sparsity=0.5, total=2)
    gradients = torch.tensor([1.0, 1.0, 1.0, 3.0], device=device)
    pruner.weights.grad.copy_(gradients)
    pruner.observe(0.1)
    scores = pruner.scores()
    assert torch.equal(pruner.weights.grad, gradients)
    pruner.prune()
    assert torch.equal(scores, pruner.scores())
    assert pruner.weights.grad.tolist() == [0, 0, 0, 0]  # so that nothing is added to scores if nobody zeroes them
    assert pruner.mask.tolist() == [False, True, True, False]


def test_what_is_lent_is_lent_once(device: torch.device) -> None:
    spare = torch.zeros(4, device=device)
    with lending(spare):
        assert fresh((2,), spare.device).data_ptr() != spare.data_ptr()
        assert fresh((4,), spare.device) is spare
        assert fresh((4,), spare.device) is not spare
        spare.fill_(7)
    assert spare.tolist() == [0, 0, 0, 0]
    assert fresh((4,), spare.device) is not spare
    with lending(spare.fill_(7)):
        pass
    assert spare.tolist() == [7, 7, 7, 7]


def test_observe_is_shown_weights_gradients_and_where_training_stands(device: torch.device) -> None:
    model = Blocks().to(device)
    pruner = Pruner(model, Recorded(), Steps(), sparsity=0.5, total=7)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, pruner, optimizer, data())
    assert pruner.states[0]["step"].tolist() == pytest.approx([0, 7, 0.1, 0, 0.5])
    before = pruner.weights.vector.detach().clone()
    optimizer.zero_grad()
    loss_of(model, data(seed=5)).backward()
    expected = torch.cat([matrix.parameter.grad.flatten() for matrix in find_prunable(model)])  # type: ignore[union-attr]
    pruner.observe(0.01)
    seen = pruner.states[0]
    assert torch.equal(seen["weight"], before)
    assert torch.equal(seen["grad"], expected)
    assert seen["step"].tolist() == pytest.approx([1, 7, 0.01, 0.5, 0.5])


def test_row_scopes_rank_rows_of_out_by_in_however_a_matrix_is_stored(device: torch.device) -> None:
    linear, conv = Blocks().to(device), Blocks(conv=True).to(device)
    for block in range(2):
        weight_of(conv, block).data = weight_of(linear, block).data.t().contiguous()
    for scope, sparsity in (
        ("row", 0.4),
        ("2:4", 0.5),
        ("block[2,4]", 0.5),
        ("layer", 0.3),
        ("erk", 0.6),
        ("global", 0.5),
    ):
        for criterion in (Magnitude(), Random()):
            masks = []
            for model in (linear, conv):
                pruner = Pruner(model, criterion, Steps(), sparsity=sparsity, total=1, scope=scope, seed=1)
                mask = pruner._exact_mask(pruner.scores(), sparsity)
                masks.append([view.tolist() for view in pruner.weights.views(mask)])
            assert masks[0] == masks[1], scope


def test_scores_of_a_single_transposed_matrix_keep_their_places(device: torch.device) -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([Blocks(conv=True).to(device).blocks[0]])
    scores = tuple(float(i) for i in range(32))
    pruner = Pruner(model, Given(scores), Steps(), sparsity=0.5, total=1)
    assert pruner.weights.views(pruner.scores())[0].flatten().tolist() == list(scores)


def test_compensation_sees_the_new_mask_before_weights_are_zeroed(device: torch.device) -> None:
    @dataclass(frozen=True)
    class Compensating(Magnitude):
        elementwise: ClassVar[bool] = False

        def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
            weight += mask * weight[~mask].sum()

    model = one_matrix([[1.0, -2.0], [3.0, 0.5]]).to(device)
    pruner = Pruner(model, Compensating(), Steps(), sparsity=0.5, total=1)
    assert pushed(model, pruner, [[0, 0], [0, 0]]) == [[0, -0.5], [4.5, 0]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_not_finite_name_criterion_and_layer(bad: float) -> None:
    model = one_matrix([[1.0, 2.0], [3.0, 4.0]])
    pruner = Pruner(model, Given((1.0, bad, 2.0, bad)), Steps(), sparsity=0.5, total=1)
    with pytest.raises(
        PrunebenchError, match=r"criterion Given gave 2 of 4 scores that are not finite in blocks.0.weight"
    ):
        pushed(model, pruner, [[0, 0], [0, 0]])


@pytest.mark.parametrize("read", [Pruner.measure, Pruner.finish])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_on_a_device_they_are_noticed_where_something_is_read_anyway(
    bad: float, read: Callable[[Pruner], object], device: torch.device
) -> None:
    model = one_matrix([[1.0, 2.0], [3.0, 4.0]]).to(device)
    pruner = Pruner(model, Given((1.0, bad, 2.0, bad)), Steps(), sparsity=0.5, total=1)
    pruner.checks_late = True
    pruner.prune()
    with pytest.raises(
        PrunebenchError, match=r"criterion Given gave 2 of 4 scores that are not finite in blocks.0.weight"
    ):
        read(pruner)


@pytest.mark.parametrize("scores", [(3.4e38, -3.4e38, 3.4e38, 1.0), (-0.0, 0.0, 1e-45, -1e-45)])
def test_extreme_scores_are_finite_there_too(scores: tuple[float, ...], device: torch.device) -> None:
    pruner = Pruner(one_matrix([[1.0, 2.0], [3.0, 4.0]]).to(device), Given(scores), Steps(), sparsity=0.5, total=1)
    pruner.checks_late = True
    pruner.prune()
    pruner.finish()
    assert pruner.measure() == 0.5


def test_scope_published_ranks_biases_too(device: torch.device) -> None:
    pruner = Pruner(Blocks().to(device), Magnitude(), Steps(), sparsity=0.5, total=1, scope="published")
    assert pruner.weights.vector.numel() == 64 + 12
    assert [matrix.name for matrix in pruner.weights.matrices][1] == "blocks.0.bias"


# The door.


@pytest.mark.parametrize(
    ("schedule", "total", "message"),
    [
        (Cubic(initial=5, final=5), 8, "schedule Cubic: a run of 8 steps leaves no ramp"),
        (OneShot(at=9), 8, "schedule OneShot: at = 9 steps is past the end"),
        (Iterative(rounds=4), 3, "schedule Iterative: a run of 3 steps is too short for 4 rounds"),
        (Iterative(rounds=2, rewind_to=9), 12, "schedule Iterative: rewind_to = 9 .* lies past the first pruning"),
    ],
)
def test_a_run_too_short_for_its_schedule_fails_before_training(schedule: Schedule, total: int, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        Pruner(Blocks(), Magnitude(), schedule, sparsity=0.5, total=total)


def test_a_scope_that_does_not_fit_fails_before_training() -> None:
    with pytest.raises(PrunebenchError, match=r"scope '2:4' prunes to sparsity 0\.5, not 0\.8"):
        Pruner(Blocks(), Magnitude(), Steps(), sparsity=0.8, total=4, scope="2:4")
    with pytest.raises(PrunebenchError, match="does not divide a matrix of 14 x 7"):
        Pruner(Blocks(7), Magnitude(), Steps(), sparsity=0.5, total=4, scope="2:4")


def test_dense_answers_and_does_nothing(device: torch.device) -> None:
    model = Blocks().to(device)
    before = snapshot(model)
    dense = Dense(PrunableWeights(find_prunable(model)))
    dense.observe(0.1)
    dense.prune()
    with dense.evaluating():
        assert torch.equal(snapshot(model), before)
    dense.finish()
    dense.load_state_dict(dense.state_dict())
    assert torch.equal(snapshot(model), before)
    assert (dense.seconds, dense.measure(), dense.reached) == (0, 0, True)


def test_time_in_the_criterion_is_counted(device: torch.device) -> None:
    model = Blocks().to(device)
    pruner = Pruner(model, Magnitude(), Steps(), sparsity=0.5, total=2)
    step(model, pruner, torch.optim.SGD(model.parameters(), lr=0.1), data())
    assert pruner.seconds > 0


def test_the_gradual_schedule_trains_its_last_phase_under_one_mask(device: torch.device) -> None:
    """Weights regrow between the maskings of the ramp; afterwards the mask stays, though scores would choose others."""
    model = Blocks().to(device)
    pruner = Pruner(model, LastGradient(), Gradual(initial=2.0, final=6.0, window=2), sparsity=0.5, total=14)
    masks, regrown = [], []
    for at in range(14):
        model.zero_grad(set_to_none=False)
        loss_of(model, data(seed=at)).backward()
        pruner.observe(0.1)
        pruner.weights.vector.data.add_(pruner.weights.grad, alpha=-0.1)
        pruner.prune()
        masks.append(pruner.mask.clone())
        regrown.append(bool((pruner.weights.vector[~pruner.mask] != 0).any()))
    assert not torch.equal(masks[6], masks[8]), "gradients of other batches rank otherwise"
    assert all(torch.equal(mask, masks[8]) for mask in masks[8:])
    assert not any(regrown[8:])
    pruner.finish()
    assert torch.equal(pruner.mask, masks[8])
    assert pruner.measure() == 0.5


def test_steps_know_the_peak_of_the_rate_and_the_number_of_matrices() -> None:
    model = Blocks()
    pruner = Pruner(model, Magnitude(), Steps(), sparsity=0.5, total=4, peak=0.2)
    assert pruner.step(0.05).rate == pytest.approx(0.25)
    assert pruner.step(0.05).matrices == len(pruner.weights.matrices)
    biased = Pruner(Blocks(), Magnitude(), Steps(), sparsity=0.5, total=4, scope="published")
    assert len(biased.weights.matrices) > biased.step(0.05).matrices == len(pruner.weights.matrices)
    assert biased.step(0.05).rate == 1, "a caller's own loop need not say its peak"
