"""Flat vectors: parameters and gradients are views of them, and the optimizer over them is the one over the parameters."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.flat import Flat, PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.suite.spec import Training
from benchmark.training.optimizer import FlatOptimizer, rate
from tests.benchmark.toys import Blocks, data, loss_of, weight_of


def flatten(model: nn.Module) -> PrunableWeights:
    return PrunableWeights(find_prunable(model))


def backward(model: Blocks, seed: int) -> None:
    loss_of(model, data(model.head.in_features, seed=seed)).backward()


def state(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.state_dict().values()])


# Views.


def test_parameters_are_views_of_the_vector(device: torch.device) -> None:
    model = Blocks().to(device)
    before = copy.deepcopy(model.state_dict())
    weights = flatten(model)
    assert weights.shapes == [(8, 4), (4, 8)]
    assert weights.vector.numel() == 64
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    weights.vector.data.zero_()
    assert not weight_of(model).any()
    weight_of(model, 1).data[0, 0] = 3
    assert weights.vector[32].item() == 3


def test_backward_writes_into_the_flat_gradient(device: torch.device) -> None:
    model = Blocks().to(device)
    weights = flatten(model)
    backward(model, 0)
    collected = torch.cat([p.grad.flatten() for p in weights.parameters if p.grad is not None])
    assert weights.grad.any()
    assert torch.equal(weights.grad, collected)
    assert torch.equal(weights.collect(), collected)


def test_replaced_gradients_are_still_collected(device: torch.device) -> None:
    """`optimizer.zero_grad` sets gradients to None by default, and backward then makes tensors of its own."""
    model, twin = Blocks().to(device), Blocks().to(device)
    weights, expected = flatten(model), flatten(twin)
    backward(model, 0)
    weights.collect()
    for parameter in model.parameters():
        parameter.grad = None
    backward(model, 1)
    backward(twin, 1)
    assert torch.equal(weights.collect(), expected.grad)
    assert all(p.grad is not None and p.grad.data_ptr() == part.data_ptr()
               for p, part in zip(weights.parameters, weights.parts(weights.grad), strict=True))  # fmt: skip


def test_a_missing_gradient_counts_as_zero(device: torch.device) -> None:
    model = Blocks().to(device)
    weights = flatten(model)
    backward(model, 0)
    weights.parameters[0].grad = None
    grad = weights.collect()
    assert not grad[:32].any()
    assert grad[32:].all()


def test_transposed_matrices_are_seen_as_out_by_in(device: torch.device) -> None:
    model = Blocks(conv=True).to(device)
    weights = flatten(model)
    first, second = weights.views(weights.vector.data)
    assert first.shape == (8, 4)
    assert torch.equal(first, weight_of(model).t())
    assert second.data_ptr() == weight_of(model, 1).data_ptr()


def test_other_precisions_become_fp32(device: torch.device) -> None:
    parameter = nn.Parameter(torch.tensor([1.0, 0.1], dtype=torch.float16, device=device))
    flat = Flat([parameter])
    assert flat.vector.dtype == torch.float32
    assert flat.vector.tolist() == [1.0, 0.0999755859375]


def test_prunable_weights_of_other_precisions_are_refused() -> None:
    """The model would be left in two precisions."""
    with pytest.raises(PrunebenchError, match=r"blocks.0.weight is torch.bfloat16; expected float32"):
        flatten(Blocks().bfloat16())


# The optimizer.


def train_both(
    device: torch.device, training: Training, width: int, reference: type[torch.optim.Optimizer], **options: object
) -> list[Tensor]:
    """Final weights of a model trained on flat vectors, and of its twin trained by torch's own optimizer."""
    flat, twin = Blocks(width).to(device), Blocks(width).to(device)
    ours = FlatOptimizer(flat, flatten(flat), training)
    groups = [
        {"params": [p for p in twin.parameters() if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in twin.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    theirs = reference(groups, lr=training.lr, **options)  # type: ignore[call-arg,arg-type]
    for at in range(12):
        lr = rate(at, 12, training)
        ours.zero_grad()
        theirs.zero_grad()
        backward(flat, at)
        backward(twin, at)
        ours.step(lr)
        for group in theirs.param_groups:
            group["lr"] = lr
        theirs.step()
    return [state(flat), state(twin)]


def test_flat_adamw_is_adamw_bitwise(device: torch.device) -> None:
    """Every size here fills whole registers; see `Flat` about the few entries of a model that do not."""
    ours, theirs = train_both(device, Training(lr=0.01, weight_decay=0.1), 32, torch.optim.AdamW, fused=True)
    assert torch.equal(ours[:-1], theirs[:-1])
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_flat_adamw_is_adamw_to_rounding_at_odd_sizes(device: torch.device) -> None:
    ours, theirs = train_both(device, Training(lr=0.01, weight_decay=0.1), 7, torch.optim.AdamW, foreach=False)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_flat_adamax_is_adamax_bitwise(device: torch.device) -> None:
    training = Training(lr=0.01, weight_decay=0.1, optimizer="adamax")
    ours, theirs = train_both(device, training, 7, torch.optim.Adamax, foreach=True)
    assert torch.equal(ours, theirs)


def test_frozen_parameters_stay(device: torch.device) -> None:
    model = Blocks().to(device)
    model.head.requires_grad_(False)
    optimizer = FlatOptimizer(model, flatten(model), Training(lr=0.1))
    head = model.head.weight.clone()
    backward(model, 0)
    optimizer.step(0.1)
    assert torch.equal(model.head.weight, head)


def test_biases_do_not_decay(device: torch.device) -> None:
    model = Blocks().to(device)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FlatOptimizer(model, flatten(model), Training(lr=0.1, weight_decay=0.5)).step(0.1)  # gradients are zero
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name] * (0.95 if name.endswith("weight") else 1))


def test_clip_is_the_joint_norm(device: torch.device) -> None:
    model, twin = Blocks().to(device), Blocks().to(device)
    optimizer = FlatOptimizer(model, flatten(model), Training())
    backward(model, 0)
    backward(twin, 0)
    norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.01)
    assert norm > 0.01
    optimizer.clip(0.01)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    grads = [flat.grad.clone() for flat in optimizer.flats]
    optimizer.clip(None)
    assert all(torch.equal(flat.grad, grad) for flat, grad in zip(optimizer.flats, grads, strict=True))


@pytest.mark.parametrize("over", [0.5, 1.0, 1.0 + 1e-7, 2.0, math.nan])
def test_gradients_within_the_norm_are_left_as_torch_leaves_them(over: float, device: torch.device) -> None:
    """To the bit, on both sides of the bound, which torch moves by an epsilon; a gradient that is not finite shows in all."""
    model, twin = Blocks().to(device), Blocks().to(device)
    optimizer = FlatOptimizer(model, flatten(model), Training())
    reference = FlatOptimizer(twin, flatten(twin), Training())
    for each in (model, twin):
        backward(each, 0)
    norm = torch.nn.utils.get_total_norm([flat.grad for flat in optimizer.flats]).item()
    if math.isnan(over):
        for one in (optimizer, reference):
            one.flats[0].grad.fill_(math.nan)
        over = 1.0
    optimizer.clip(norm / over)
    torch.nn.utils.clip_grad_norm_(reference.vectors, norm / over)
    for ours, theirs in zip(optimizer.flats, reference.flats, strict=True):
        assert torch.equal(ours.grad.view(torch.int32), theirs.grad.view(torch.int32))


# The learning rate.


def rates(total: int, warmup: float) -> list[float]:
    training = Training(lr=1.0, warmup=warmup)
    return [rate(step, total, training) for step in range(total)]


def test_rate_hand_computed() -> None:
    assert rates(6, 2) == pytest.approx([0.5, 1, 1, 0.75, 0.5, 0.25])
    assert rates(4, 0) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates(4, 0.5) == pytest.approx([0.5, 1, 1, 0.5])


def test_a_warm_up_longer_than_the_run_never_gets_there() -> None:
    assert rates(4, 100) == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("total", [1, 2, 7, 100])
@pytest.mark.parametrize("warmup", [0, 0.1, 0.9, 1, 5])
def test_rate_stays_above_zero_and_below_the_peak(total: int, warmup: float) -> None:
    assert all(0 < lr <= 1 for lr in rates(total, warmup))
