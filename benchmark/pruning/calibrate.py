"""Calibration: data that some criteria need besides the training gradient, shown to them just before a mask is computed.

Layer inputs come from forward hooks, per-example gradients from one backward pass an example, Hessian products from double
backward. The model is in eval mode (no dropout) meanwhile, and its gradients are not touched, so training is not affected.

Where it is asked for and the scope settles each matrix by itself, layer inputs are shown block after block, as the released Wanda and
SparseGPT do: a block's matrices are pruned before the next block is fed, with what the pruned one gives.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.loop_checks import CALIBRATIONS
from benchmark.pruning.pruner import Calibrate, Pruner, Settle
from benchmark.pruning.walk import Batch, blocks_of, walk
from criteria.base import Criterion, State
from tasks.base import in_eval_mode

Loss = Callable[[nn.Module, Batch], Tensor]
"""(model, batch) -> mean task loss, a scalar."""
Batches = Callable[[int], Iterable[Batch]]
"""Gives so many calibration batches."""

Fed = tuple[str, State, Tensor]
"""Name, state and [out, in] weights of one matrix whose layer's inputs are shown."""

EXPECTED = "expected loss(model, batch) to be the loss of the model that is pruned"


def calibrator(model: nn.Module, loss: Loss, batches: Batches, by_block: bool) -> Calibrate:
    """A function for `Pruner.calibrate`, which returns whether the criterion was shown anything.

    `batches(n)` returns n training batches, the same ones for every criterion.
    `by_block`: layer inputs come from pruned earlier blocks where the scope allows it, else from the model as it was before.
    """

    def run(pruner: Pruner, settle: Settle | None = None) -> bool:
        criterion = pruner.criterion
        if not wants_calibration(pruner):
            return False
        if criterion.elementwise and criterion.overrides("observe_inputs"):
            raise TypeError(
                f"{type(criterion).__name__} overrides observe_inputs: set elementwise = False to see matrices"
            )
        with in_eval_mode(model), pruner.evaluating():
            shown = calibration(criterion, batches)
            for state, weight in zip(pruner.states, pruner.as_seen(pruner.weights.vector.data), strict=True):
                criterion.begin_calibration(state, weight)
            for method, gradients in GRADIENTS.items():
                if criterion.overrides(method):
                    reached = torch.zeros((), dtype=torch.bool, device=pruner.mask.device)
                    for parts in gradients(model, loss, shown, pruner.weights.parameters):
                        vectors = [_flat(part) for part in parts]
                        reached |= vectors[0].any()
                        _show(pruner, method, *vectors)
                    if not reached:
                        raise PrunebenchError(
                            f"{type(criterion).__name__}: all calibration gradients are zero: {EXPECTED}"
                        )
            if criterion.overrides("observe_inputs"):
                fed = list(pruner.matrices())
                if by_block and settle is not None:
                    names = [name for name, *_ in fed]
                    show_by_block(criterion, names, fed.__getitem__, model, loss, shown, settle)
                else:
                    show_inputs(criterion, fed, model, loss, shown)
        return True

    return run


def calibration(criterion: Criterion, batches: Batches) -> list[Batch]:
    """The batches that the criterion asks for; PrunebenchError where there are none, because its ranking would mean nothing."""
    shown = list(batches(criterion.calibration))
    if not shown:
        raise PrunebenchError(
            f"{type(criterion).__name__} asked for {criterion.calibration!r} calibration batches and was given none: expected "
            "at least 1"
        )
    return shown


def wants_calibration(pruner: Pruner) -> bool:
    """Whether the criterion overrides any of the calibration methods."""
    return any(pruner.criterion.overrides(method) for method in CALIBRATIONS)


def show_inputs(
    criterion: Criterion, fed: Sequence[Fed], model: nn.Module, loss: Loss, batches: Sequence[Batch]
) -> None:
    """Forward passes of the whole model, in which the criterion is shown what the layers of the matrices `fed` see.

    PrunebenchError where no batch reaches any of them.
    """
    reached: set[str] = set()
    for batch in batches:
        with torch.no_grad(), watching(criterion, fed, model, batch) as called:
            loss(model, batch)
        reached |= called
    if fed and not reached:
        raise PrunebenchError(f"{type(criterion).__name__}: calibration calls no layer that is pruned: {EXPECTED}")


def show_by_block(
    criterion: Criterion,
    names: Sequence[str],
    fed: Callable[[int], Fed],
    model: nn.Module,
    loss: Loss,
    batches: Sequence[Batch],
    settle: Settle,
) -> None:
    """Block after block: show the inputs of its layers, then `settle` its matrices (by their places in `names`), which prunes them.

    `fed(i)` is asked for once a block's turn has come. A model that calls a block more than once is shown as a whole, and what no
    block holds is left to the caller.
    """
    forward = partial(loss, model)
    blocks = blocks_of(model, forward, batches[0])
    if not blocks:
        show_inputs(criterion, [fed(i) for i in range(len(names))], model, loss, batches)
        return
    held = {block.name: [i for i, name in enumerate(names) if block.holds(name)] for block in blocks}
    walk(
        model,
        [block for block in blocks if held[block.name]],
        forward,
        batches,
        lambda block, batch: watching(criterion, [fed(i) for i in held[block.name]], model, batch),
        lambda block: settle(held[block.name]),
    )


def a_block_later(settle: Settle) -> Settle:
    """Delays `settle` by one block, so that each block is fed what unpruned ones give. The caller settles the last block."""
    waiting: Sequence[int] = []

    def later(places: Sequence[int]) -> None:
        nonlocal waiting
        settle(waiting)
        waiting = places

    return later


@contextmanager
def watching(criterion: Criterion, fed: Sequence[Fed], model: nn.Module, batch: Batch) -> Iterator[set[str]]:
    """While this lasts the criterion is shown what the layers of the matrices `fed` see of `batch`. Yields the names of the
    matrices whose layers were called so far.

    A shared layer is shown all its inputs, a bias the constant 1. Padded positions are left out where a layer's input has the shape of
    `attention_mask`. In an encoder-decoder the mask is that of the source, which the encoder's layers see, and those of the decoder
    that are fed what the encoder returned. The decoder's other layers see the target, whose padding is -100 in `labels`
    [batch, length]; without such labels they see the source again.
    """
    layers = dict(model.named_modules())
    mask = batch["attention_mask"].bool() if "attention_mask" in batch else None
    encoder_decoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    encoder: nn.Module | None = model.get_encoder() if encoder_decoder else None  # type: ignore[operator]
    reading = set(layers.values()) if encoder is None else set(encoder.modules())
    written = None if encoder is None else batch.get("labels")
    target = written != -100 if written is not None and written.dim() == 2 else mask
    returned: list[Tensor] = []
    called: set[str] = set()

    def observe(name: str, state: State, weight: Tensor, reads: bool, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        called.add(name)
        inputs = given[0].detach()
        real = mask if reads or any(given[0] is one for one in returned) else target
        kept = inputs[real] if real is not None and inputs.shape[:-1] == real.shape else inputs
        tokens = kept.reshape(-1, kept.shape[-1]).float()
        criterion.observe_inputs(state, weight, torch.ones_like(tokens[:, :1]) if name.endswith(".bias") else tokens)

    with ExitStack() as hooks:
        if encoder is not None:
            hooks.enter_context(encoder.register_forward_hook(lambda *args: returned.append(args[-1][0])))
        for name, state, weight in fed:
            place = name.rpartition(".")[0]
            layer = layers[place]
            if isinstance(layers[place.rpartition(".")[0]], nn.MultiheadAttention):
                raise PrunebenchError(
                    f"{type(criterion).__name__} ranks by what layers are fed, and nn.MultiheadAttention uses {name} without calling "
                    "its layer: choose a criterion that needs no layer inputs"
                )
            hooks.enter_context(
                layer.register_forward_pre_hook(partial(observe, name, state, weight, layer in reading))
            )
        yield called


def example_gradients(
    model: nn.Module, loss: Loss, batches: Iterable[Batch], parameters: Sequence[nn.Parameter]
) -> Iterator[tuple[Sequence[Tensor]]]:
    """The gradients of every single example, so that no more than one model-sized gradient is in memory."""
    for batch in batches:
        for i in range(len(batch["index"])):
            # Under the Trainer batches may hold texts, one for each example, and settings of the forward pass.
            one = {k: v[i : i + 1] if isinstance(v, Tensor | list) else v for k, v in batch.items()}
            yield (gradients_of(loss(model, one), parameters),)


def hessian_products(
    model: nn.Module, loss: Loss, batches: Iterable[Batch], parameters: Sequence[nn.Parameter]
) -> Iterator[tuple[Sequence[Tensor], Sequence[Tensor]]]:
    """g and H g of each batch, by differentiating g . stop(g), with an attention kernel that has a second derivative."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    for batch in batches:
        with sdpa_kernel(SDPBackend.MATH):
            grads = gradients_of(loss(model, batch), parameters, create_graph=True)
            inner = torch.stack([(g * g.detach()).sum() for g in grads]).sum()
            products = gradients_of(inner, parameters)
        yield grads, products


def gradients_of(loss: Tensor, parameters: Sequence[nn.Parameter], create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradients of a scalar; zeros where it does not depend on a parameter, as of a layer that these inputs do not reach.

    PrunebenchError where it is no scalar with a gradient.
    """
    if not isinstance(loss, Tensor):
        found = repr(loss)
    elif loss.numel() != 1:
        found = f"a tensor of shape {list(loss.shape)}"
    else:
        found = "" if loss.requires_grad else "a number without a gradient"
    if found:
        raise PrunebenchError(
            f"the loss of a calibration batch is {found}: {EXPECTED}, one number (under the Trainer what the model returns as its "
            "loss, for which its batches need labels)"
        )
    return torch.autograd.grad(loss, parameters, create_graph=create_graph, allow_unused=True, materialize_grads=True)


def _show(pruner: Pruner, method: str, *vectors: Tensor) -> None:
    """Call `method` of the criterion with flat `vectors` [n], given as the criterion sees weights."""
    forms = [pruner.as_seen(pruner.weights.vector.data), *(pruner.as_seen(vector) for vector in vectors)]
    for state, *parts in zip(pruner.states, *forms, strict=True):
        getattr(pruner.criterion, method)(state, *parts)


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


GRADIENTS: Mapping[str, Callable[..., Iterator[tuple[Sequence[Tensor], ...]]]] = {
    "observe_example": example_gradients,
    "observe_hessian": hessian_products,
}
"""What the methods of a criterion that want gradients are shown."""
