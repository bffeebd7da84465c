"""Calibration: data that some criteria need besides the training gradient, shown to them just before a mask is computed.

Layer inputs come from forward hooks, per-example gradients from one backward pass an example, Hessian products from double
backward. The model is in eval mode (no dropout) meanwhile and its gradients are restored, so training is not affected.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from benchmark.pruning.pruner import CALIBRATIONS, Pruner
from criteria.base import State

Loss = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
"""(model, batch) -> mean task loss, a scalar."""


def calibrator(
    model: nn.Module, loss: Loss, batches: Callable[[int], Iterable[Mapping[str, Tensor]]]
) -> Callable[[Pruner], bool]:
    """A function for `Pruner.calibrate`, which returns whether the criterion was shown anything.

    `batches(n)` returns n training batches, the same ones for every criterion.
    """

    def run(pruner: Pruner) -> bool:
        criterion = pruner.criterion
        if not wants_calibration(pruner):
            return False
        was_training = model.training
        model.eval()
        grad = pruner.weights.grad.clone()
        try:
            with pruner.evaluating():
                shown = list(batches(criterion.calibration))
                for state, weight in zip(pruner.states, pruner._as_seen(pruner.weights.vector.data), strict=True):
                    criterion.begin_calibration(state, weight)
                for method, show in _SHOWS.items():
                    if criterion.overrides(method):
                        show(pruner, model, loss, shown)
        finally:
            pruner.weights.grad.copy_(grad)
            model.train(was_training)
        return True

    return run


def wants_calibration(pruner: Pruner) -> bool:
    """Whether the criterion overrides any of the calibration methods."""
    return any(pruner.criterion.overrides(method) for method in CALIBRATIONS)


def _inputs(pruner: Pruner, model: nn.Module, loss: Loss, batches: list[Mapping[str, Tensor]]) -> None:
    """Forward passes with a hook on every prunable layer. A bias gets the constant input 1; a shared layer gets all its inputs.

    Padded positions are left out wherever a layer's input has the positions of the batch.
    """
    if pruner.criterion.elementwise:
        raise TypeError(
            f"{type(pruner.criterion).__name__} overrides observe_inputs: set elementwise = False to see matrices"
        )
    layers = dict(model.named_modules())
    hooks = []
    real: Tensor | None = None
    for name, state, weight in pruner.matrices():

        def hook(
            _: nn.Module, arguments: tuple[Tensor, ...], name: str = name, state: State = state, weight: Tensor = weight
        ) -> None:
            inputs = arguments[0].detach()
            kept = inputs[real] if real is not None and inputs.shape[:-1] == real.shape else inputs
            tokens = kept.reshape(-1, kept.shape[-1]).float()
            inputs = torch.ones_like(tokens[:, :1]) if name.endswith(".bias") else tokens
            pruner.criterion.observe_inputs(state, weight, inputs)

        hooks.append(layers[name.rpartition(".")[0]].register_forward_pre_hook(hook))
    try:
        with torch.no_grad():
            for batch in batches:
                real = batch["attention_mask"].bool() if "attention_mask" in batch else None
                loss(model, batch)
    finally:
        for handle in hooks:
            handle.remove()


def _examples(pruner: Pruner, model: nn.Module, loss: Loss, batches: list[Mapping[str, Tensor]]) -> None:
    """One backward pass per example, so that no more than one model-sized gradient is in memory."""
    for batch in batches:
        for i in range(len(batch["index"])):
            grads = torch.autograd.grad(loss(model, {k: v[i : i + 1] for k, v in batch.items()}), _parameters(pruner))
            _show(pruner, "observe_example", _flat(grads))


def _hessian(pruner: Pruner, model: nn.Module, loss: Loss, batches: list[Mapping[str, Tensor]]) -> None:
    """g and H g of each batch, by differentiating g . stop(g), with an attention kernel that has a second derivative."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    for batch in batches:
        with sdpa_kernel(SDPBackend.MATH):
            grads = torch.autograd.grad(loss(model, batch), _parameters(pruner), create_graph=True)
            inner = torch.stack([(g * g.detach()).sum() for g in grads]).sum()
            products = torch.autograd.grad(inner, _parameters(pruner))
        _show(pruner, "observe_hessian", _flat(grads), _flat(products))


def _show(pruner: Pruner, method: str, *vectors: Tensor) -> None:
    """Call `method` of the criterion with flat `vectors` [n], given as the criterion sees weights."""
    forms = [pruner._as_seen(pruner.weights.vector.data), *(pruner._as_seen(vector) for vector in vectors)]
    for state, *parts in zip(pruner.states, *forms, strict=True):
        getattr(pruner.criterion, method)(state, *parts)


def _parameters(pruner: Pruner) -> list[nn.Parameter]:
    return pruner.weights.parameters


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


_SHOWS = dict(zip(CALIBRATIONS, (_inputs, _examples, _hessian), strict=True))
