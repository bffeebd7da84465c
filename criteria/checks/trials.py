"""Small made-up training histories on which a criterion can be tried without a model: what the checks of the contract play."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step

SHAPES = ((6, 10), (10, 4), (3, 7))
"""Matrices of the trials, [out, in]."""
TOKENS, EXAMPLES, STEPS = 12, 3, 24
"""Tokens a layer is fed, examples with a gradient of their own, and the planned steps."""


@dataclass(frozen=True)
class Moment:
    """What one step shows of one matrix: weight and gradient [out, in], and what calibration would show."""

    weight: Tensor
    grad: Tensor
    inputs: Tensor
    examples: tuple[Tensor, ...]
    product: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, to be compared with copies."""
        return (self.weight, self.grad, self.inputs, *self.examples, self.product)

    def scaled(self, scale: float = 1.0) -> "Moment":
        """All of them times `scale`, in memory of its own."""
        examples = tuple(scale * example for example in self.examples)
        return Moment(scale * self.weight, scale * self.grad, scale * self.inputs, examples, scale * self.product)


def history(shape: tuple[int, int], steps: int, seed: int = 0, scale: float = 1.0) -> list[Moment]:
    """`steps` moments of one matrix: weights that drift, some of them exactly zero, and gradients some of which are zero."""
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=g)
    moments = []
    for _ in range(steps):
        weight = weight + 0.1 * torch.randn(shape, generator=g)
        weight[0, 0] = 0
        examples = [torch.randn(shape, generator=g) for _ in range(EXAMPLES)]
        grad = torch.stack(examples).mean(0)
        grad[-1, -1] = 0
        inputs, product = torch.randn(TOKENS, shape[1], generator=g), torch.randn(shape, generator=g)
        moment = Moment(weight, grad, inputs, tuple(examples), product)
        moments.append(moment.scaled(scale))
    return moments


def planted(shape: tuple[int, int], steps: int) -> tuple[list[Moment], Tensor]:
    """A history in which half of the weights matter, and which ones (bool).

    Those are large, the loss pushes them further from zero (g = -theta) and ever harder the further they are (H g = theta). The
    others are a hundred times smaller, and so is what the loss wants of them, now this way and now that. Every idea of importance
    in the field agrees on these.
    """
    g = torch.Generator().manual_seed(0)
    matters = (torch.arange(shape[0])[:, None] + torch.arange(shape[1])) % 2 == 0
    sign = torch.randint(0, 2, shape, generator=g) * 2.0 - 1
    weight = sign * torch.where(matters, 1.0, 0.01) * (1 + 0.5 * torch.rand(shape, generator=g))
    moments = []
    for _ in range(steps):
        noise = [0.01 * torch.randn(shape, generator=g) for _ in range(EXAMPLES + 1)]
        *examples, product = (torch.where(matters, -weight, 0.0) + one for one in noise)
        inputs = torch.randn(4 * TOKENS, shape[1], generator=g)
        moments.append(Moment(weight, torch.stack(examples).mean(0), inputs, tuple(examples), -product))
    return moments, matters


def flattened(histories: Sequence[Sequence[Moment]]) -> list[Moment]:
    """The histories of several matrices as that of one vector; inputs have no flat form and are left empty."""
    return [_concatenated(moments) for moments in zip(*histories, strict=True)]


def play(criterion: Criterion, state: State, moments: Sequence[Moment], first: int = 0) -> Iterator[Tensor]:
    """Live through `moments`, the first of which is step `first`; after each the scores, calibrated if the criterion asks."""
    for index, moment in enumerate(moments, first):
        criterion.observe(state, moment.weight, moment.grad, step(index))
        calibrate(criterion, state, moment)
        yield criterion.score(state, moment.weight)


def calibrate(criterion: Criterion, state: State, moment: Moment) -> None:
    """What the harness shows just before a masking, as far as the criterion overrides the method that takes it."""
    criterion.begin_calibration(state, moment.weight)
    if criterion.overrides("observe_inputs"):
        for part in moment.inputs.split(TOKENS // 2):
            criterion.observe_inputs(state, moment.weight, part)
    if criterion.overrides("observe_example"):
        for example in moment.examples:
            criterion.observe_example(state, moment.weight, example)
    if criterion.overrides("observe_hessian"):
        criterion.observe_hessian(state, moment.weight, moment.grad, moment.product)


def step(index: int) -> Step:
    """Step `index` of the trials: half of the target sparsity at first, all of it after a few steps."""
    return Step(index, STEPS, 0.01, sparsity=min(0.5, 0.25 + 0.05 * index), target=0.5)


def start(criterion: Criterion, moments: Sequence[Moment]) -> State:
    """The state at the beginning of `moments`, always from the same seed."""
    return criterion.init(moments[0].weight, torch.Generator().manual_seed(0))


def half(weight: Tensor) -> Tensor:
    """A mask that keeps every other weight."""
    return (torch.arange(weight.numel()) % 2 == 0).view(weight.shape)


def assert_shape(criterion: Criterion, scores: Tensor, size: tuple[int, ...], when: str) -> None:
    """Fail, with advice, unless `scores` is a tensor of that size."""
    found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    assert found == size, (
        f"{type(criterion).__name__} gives {found} for a weight of shape {size}, {when}: return one number a weight"
    )


def assert_finite(criterion: Criterion, scores: Tensor, when: str) -> None:
    """Fail, with advice, unless all of `scores` is finite."""
    bad = int((~torch.isfinite(scores)).sum())
    assert not bad, (
        f"{type(criterion).__name__} gives {bad} of {scores.numel()} numbers that are not finite, {when}: guard divisions and "
        "logarithms, and start statistics where they can be scored"
    )


def _concatenated(moments: Sequence[Moment]) -> Moment:
    def join(tensors: Iterator[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])

    return Moment(
        join(m.weight for m in moments),
        join(m.grad for m in moments),
        torch.empty(0, 0),
        tuple(join(m.examples[i] for m in moments) for i in range(EXAMPLES)),
        join(m.product for m in moments),
    )
