"""Calibration: a spy criterion is shown exact inputs, per-example gradients and Hessian products, and training notices nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.calibrate import calibrator, wants_calibration
from benchmark.pruning.once import Once
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from criteria.base import Criterion, State
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from tests.benchmark.toys import Blocks, Steps, data, loss_of

BATCHES = [data(seed=1), data(count=3, seed=2), data(seed=3)]


def batches(count: int) -> list[dict[str, Tensor]]:
    return BATCHES[:count]


@dataclass(frozen=True)
class Spy(Criterion):
    """Ranks by magnitude; notes every call as (method, weight, what was shown)."""

    calibration: ClassVar[int] = 2

    seen: list[tuple[str, Tensor, tuple[Tensor, ...]]] = field(default_factory=list, compare=False)

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        self.seen.append(("begin", weight.clone(), ()))

    def told(self, method: str) -> list[tuple[Tensor, ...]]:
        return [shown for name, _, shown in self.seen if name == method]


class InputsSpy(Spy):
    elementwise: ClassVar[bool] = False

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        self.seen.append(("inputs", weight.clone(), (inputs.clone(),)))


class ExampleSpy(Spy):
    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        self.seen.append(("example", weight.clone(), (grad.clone(),)))


class MatrixExampleSpy(ExampleSpy):
    elementwise: ClassVar[bool] = False


class HessianSpy(Spy):
    def observe_hessian(self, state: State, weight: Tensor, grad: Tensor, product: Tensor) -> None:
        self.seen.append(("hessian", weight.clone(), (grad.clone(), product.clone())))


def calibrated(criterion: Spy, model: nn.Module | None = None, scope: str = "global") -> tuple[nn.Module, Pruner]:
    """A pruner whose criterion has just been shown the calibration batches."""
    model = model or Blocks()
    pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=3, scope=scope)
    calibrator(model, loss_of, batches, by_block=True)(pruner)
    return model, pruner


def gradient(model: nn.Module, batch: Mapping[str, Tensor]) -> list[Tensor]:
    """Reference gradients of the prunable matrices, as they are stored."""
    return list(torch.autograd.grad(loss_of(model, batch), [m.parameter for m in find_prunable(model)]))


def test_the_inputs_of_every_layer_are_shown() -> None:
    spy = InputsSpy()
    model, _ = calibrated(spy)
    first, second = model.blocks  # type: ignore[misc]
    expected = []
    for batch in batches(2):
        expected += [batch["x"], torch.tanh(first(batch["x"]))]
    shown = spy.told("inputs")
    assert [inputs.shape for (inputs,) in shown] == [(6, 4), (6, 8), (3, 4), (3, 8)]
    for (inputs,), wanted in zip(shown, expected, strict=True):
        torch.testing.assert_close(inputs, wanted)
    weights = [weight for name, weight, _ in spy.seen if name == "inputs"]
    assert torch.equal(weights[0], first.weight)
    assert torch.equal(weights[1], second.weight)


def test_inputs_of_transposed_layers_fit_out_by_in() -> None:
    spy = InputsSpy()
    calibrated(spy, Blocks(conv=True))
    fed = [(weight.shape[1], shown[0].shape[1]) for name, weight, shown in spy.seen if name == "inputs"]
    assert fed
    assert all(columns == width for columns, width in fed)


class Attending(nn.Module):
    """torch's own Transformer layers, whose attention multiplies by the weights of its last layer without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x[:, None])[:, 0]
        return out


@pytest.mark.filterwarnings("ignore:.*belong to no linear layer")
@pytest.mark.parametrize("by_block", [True, False])
@pytest.mark.parametrize("name", ["wanda", "sparsegpt"])
def test_inputs_of_layers_that_are_never_called_cannot_be_shown(name: str, by_block: bool) -> None:
    """Wanda's scores of such a layer were |W|, beside |W| times a norm, so that all of it went."""
    model = Attending()
    pruner = Pruner(model, registry.configure("criteria", name), Steps(), sparsity=0.5, total=1, scope="row")
    pruner.calibrate = calibrator(model, loss_of, batches, by_block=by_block)
    with pytest.raises(
        PrunebenchError, match=r"uses encoder\.layers\.0\.self_attn\.out_proj\.weight without calling its layer"
    ):
        pruner.prune()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["fisher", "obert[block=4]", "grasp", "taylor", "wanda", "sparsegpt"])
def test_a_layer_that_the_inputs_do_not_reach_has_gradients_of_zero(name: str, trained: bool) -> None:
    """Such as an expert to which no token is routed; calibration ended with torch's RuntimeError."""
    model, criterion = Blocks(), registry.configure("criteria", name)
    model.spare = nn.ModuleList([nn.Linear(4, 8)])
    if trained:
        pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=1)
        pruner.calibrate = calibrator(model, loss_of, batches, by_block=False)
        loss_of(model, BATCHES[0]).backward()
        pruner.observe(0.0)
        pruner.prune()
        assert pruner.measure() == 0.5
    else:
        once = Once(model, criterion, sparsity=0.5)
        once.prune(loss_of, batches)
        assert once.measure() == 0.5


@pytest.mark.parametrize("by_block", [True, False])
@pytest.mark.parametrize("name", ["fisher", "obert[block=4]", "grasp", "wanda", "sparsegpt"])
def test_a_loss_of_another_model_is_refused(name: str, by_block: bool) -> None:
    """It teaches nothing of the weights that are pruned, which would be ranked by zeros or by their size alone."""
    model, other = Blocks(), Blocks()
    pruner = Pruner(model, registry.configure("criteria", name), Steps(), sparsity=0.5, total=1, scope="layer")
    pruner.calibrate = calibrator(model, lambda _, batch: loss_of(other, batch), batches, by_block=by_block)
    with pytest.raises(
        PrunebenchError, match=r"expected loss\(model, batch\) to be the loss of the model that is pruned"
    ):
        pruner.prune()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["fisher", "obert[block=4]", "grasp"])
@pytest.mark.parametrize(
    ("form", "said"),
    [
        (lambda _: None, "is None"),
        (lambda loss: loss.item(), r"is \d\.\d+"),
        (lambda loss: loss.detach(), "is a number without a gradient"),
        (lambda loss: loss.expand(3), r"is a tensor of shape \[3\]"),
    ],
)
def test_a_loss_that_is_no_number_with_a_gradient_is_refused(form: Any, said: str, name: str, trained: bool) -> None:
    """Such as that of a model whose batches have no labels."""
    model, criterion = Blocks(), registry.configure("criteria", name)

    def loss(*given: Any) -> Any:
        return form(loss_of(*given))

    prune: Callable[[], None] = partial(Once(model, criterion, sparsity=0.5).prune, loss, batches)
    if trained:
        pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=1)
        pruner.calibrate = calibrator(model, loss, batches, by_block=False)
        prune = pruner.prune
    with pytest.raises(PrunebenchError, match=f"the loss of a calibration batch {said}: expected .* one number"):
        prune()


def test_tokens_are_flattened() -> None:
    spy = InputsSpy()
    model = Blocks()
    pruner = Pruner(model, spy, Steps(), sparsity=0.5, total=1)
    x = torch.randn(2, 5, 4)
    calibrator(model, lambda m, b: m(b["x"]).mean(), lambda _: [{"x": x}], by_block=True)(pruner)
    assert torch.equal(spy.told("inputs")[0][0], x.view(10, 4))


def test_a_bias_is_a_column_whose_input_is_one() -> None:
    spy = InputsSpy()
    calibrated(spy, scope="published")
    for name, weight, shown in spy.seen:
        if name == "inputs":
            assert shown[0].shape[1] == weight.shape[1]
            assert weight.shape[1] > 1 or bool((shown[0] == 1).all())
    assert len(spy.told("inputs")) == 2 * 4


def test_the_gradient_of_every_example_is_shown() -> None:
    spy = ExampleSpy()
    model, _ = calibrated(spy)
    shown = [grad for (grad,) in spy.told("example")]
    expected = [
        torch.cat([g.flatten() for g in gradient(model, {k: v[i : i + 1] for k, v in batch.items()})])
        for batch in batches(2)
        for i in range(len(batch["x"]))
    ]
    assert len(shown) == 9
    torch.testing.assert_close(torch.stack(shown), torch.stack(expected))


def test_per_example_gradients_by_matrix() -> None:
    whole, parts = ExampleSpy(), MatrixExampleSpy()
    calibrated(whole, Blocks(conv=True))
    _, pruner = calibrated(parts, Blocks(conv=True))
    flat = [
        pruner.flattened([a, b])
        for (a,), (b,) in zip(parts.told("example")[::2], parts.told("example")[1::2], strict=True)
    ]
    assert all(torch.equal(ours, theirs) for ours, (theirs,) in zip(flat, whole.told("example"), strict=True))


def test_products_with_the_hessian_are_those_of_central_differences() -> None:
    """H g against a central difference of gradients in double precision."""
    spy = HessianSpy()
    model, _ = calibrated(spy)
    for batch, (grad, product) in zip(batches(2), spy.told("hessian"), strict=True):
        torch.testing.assert_close(grad, torch.cat([g.flatten() for g in gradient(model, batch)]))
        step = 1e-4 / grad.norm()
        moved = [shifted_gradient(model, batch, grad, sign * step) for sign in (1, -1)]
        torch.testing.assert_close(product, ((moved[0] - moved[1]) / (2 * step)).float(), rtol=1e-3, atol=1e-5)


def shifted_gradient(model: nn.Module, batch: Mapping[str, Tensor], direction: Tensor, by: Tensor) -> Tensor:
    """The gradient, in double precision, at the weights moved along `direction`."""
    twin = Blocks().double()
    twin.load_state_dict(model.state_dict())
    matrices = [matrix.parameter for matrix in find_prunable(twin)]
    parts = direction.double().split([m.numel() for m in matrices])
    for parameter, part in zip(matrices, parts, strict=True):
        parameter.data += by * part.view_as(parameter)
    return torch.cat([g.flatten() for g in gradient(twin, {k: v.double() for k, v in batch.items()})])


def test_a_calibration_that_fails_leaves_training_as_it_was() -> None:
    model = Blocks().train()
    pruner = Pruner(model, ExampleSpy(), Steps(), sparsity=0.5, total=3)
    loss_of(model, data(seed=7)).backward()
    grad = pruner.weights.grad.clone()

    def loss(module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        raise ValueError("no loss")

    with pytest.raises(ValueError, match="no loss"):
        calibrator(model, loss, batches, by_block=True)(pruner)
    assert model.training
    assert torch.equal(pruner.weights.grad, grad)


def test_begin_comes_first_and_once_a_masking() -> None:
    spy = ExampleSpy()
    model = Blocks()
    pruner = Pruner(model, spy, Steps(), sparsity=0.5, total=3)
    pruner.calibrate = calibrator(model, loss_of, batches, by_block=True)
    for _ in range(2):
        pruner.prune()
    assert [name for name, _, _ in spy.seen] == (["begin"] + ["example"] * 9) * 2


def test_calibration_sees_the_model_as_it_would_be_reported() -> None:
    """The second masking looks at a model whose first mask is applied, whatever regrew since."""
    model = Blocks()
    spy = InputsSpy()
    pruner = Pruner(model, spy, Steps(), sparsity=0.5, total=3)
    pruner.calibrate = calibrator(model, loss_of, batches, by_block=True)
    pruner.prune()
    pruner.weights.vector.data += 0.1
    with pruner.evaluating():
        hidden = torch.tanh(model.blocks[0](BATCHES[0]["x"]))
    spy.seen.clear()
    pruner.calibrate(pruner)
    torch.testing.assert_close(spy.told("inputs")[1][0], hidden)


@pytest.mark.parametrize("criterion", [InputsSpy(), ExampleSpy(), HessianSpy(), MatrixExampleSpy()])
def test_training_is_left_undisturbed(criterion: Spy) -> None:
    model = Blocks()
    pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=3)
    loss_of(model, data(seed=7)).backward()
    grads = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    random = torch.get_rng_state()
    for training in (True, False):
        model.train(training)
        calibrator(model, loss_of, batches, by_block=True)(pruner)
        assert model.training == training
    assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True))
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_model_is_in_eval_mode() -> None:
    model = Blocks()
    modes = []

    def loss(module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        modes.append(module.training)
        return loss_of(module, batch)

    calibrator(model, loss, batches, by_block=True)(Pruner(model, ExampleSpy(), Steps(), sparsity=0.5, total=1))
    assert modes == [False] * 9


def test_criteria_that_ask_for_nothing_cost_nothing() -> None:
    for criterion in (Magnitude(), Movement()):
        pruner = Pruner(Blocks(), criterion, Steps(), sparsity=0.5, total=1)
        assert not wants_calibration(pruner)
        calibrator(Blocks(), loss_of, lambda _: pytest.fail("batches were drawn"), by_block=True)(pruner)


def test_no_batches_are_no_calibration() -> None:
    pruner = Pruner(Blocks(), InputsSpy(), Steps(), sparsity=0.5, total=1)
    model = Blocks()
    with pytest.raises(PrunebenchError, match="InputsSpy asked for 2 calibration batches and was given none"):
        calibrator(model, loss_of, lambda _: [], by_block=True)(pruner)
    assert model.training


def test_inputs_need_matrices() -> None:
    class Confused(InputsSpy):
        elementwise: ClassVar[bool] = True

    with pytest.raises(TypeError, match="Confused overrides observe_inputs: set elementwise = False to see matrices"):
        calibrated(Confused())


def test_padded_positions_are_not_shown() -> None:
    model = Blocks()
    spy = InputsSpy()
    pruner = Pruner(model, spy, Steps(), sparsity=0.5, total=1)
    batch = {
        "x": torch.randn(2, 3, 4),
        "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]]),
        "index": torch.arange(2),
    }
    calibrator(model, lambda m, b: m(b["x"]).mean(), lambda _: [batch], by_block=True)(pruner)
    x = batch["x"]
    assert torch.equal(spy.told("inputs")[0][0], torch.stack([x[0, 0], x[0, 1], x[1, 0]]))
