"""Which parameters may be pruned: the weights of linear layers inside the Transformer blocks, found by structure, not by name.

A block list is any `nn.ModuleList`; whatever lies inside one is inside the blocks. Embeddings, norms, poolers and heads lie
outside (or are no linear layers), so they are never touched. Shared parameters count once. Scope `published` adds the biases
of those layers, as the released PINS and PLATON code does.
"""

import re
import warnings
from dataclasses import dataclass

from torch import Tensor, nn

from benchmark.errors import PrunebenchError

SOME, MOST = 0.05, 0.5
"""Up to the first share, weights inside the blocks may belong to no linear layer without a warning; above the second the model is
refused."""


@dataclass(frozen=True)
class Matrix:
    """One prunable parameter, treated as a matrix [out, in]; a bias is one column [out, 1]."""

    name: str
    parameter: nn.Parameter
    transposed: bool = False
    """Stored [in, out], as in GPT-2's Conv1D."""

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        if self.parameter.dim() == 1:
            return self.parameter.shape[0], 1
        rows, columns = self.parameter.shape
        return (columns, rows) if self.transposed else (rows, columns)

    @property
    def data(self) -> Tensor:
        """The parameter's own memory as [out, in], without a graph."""
        return self.view(self.parameter.data)

    def view(self, stored: Tensor) -> Tensor:
        """What has the parameter's memory order as [out, in], without a copy."""
        out, inputs = self.shape
        return stored.view(inputs, out).t() if self.transposed else stored.view(out, inputs)


@dataclass(frozen=True)
class Listed:
    """The prunable matrices of a model as they lie in it; `PrunableWeights` (flat.py) lays them out in one vector."""

    matrices: list[Matrix]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(out, in) of each."""
        return [matrix.shape for matrix in self.matrices]


def find_prunable(model: nn.Module, biases: bool = False, skip_frozen: bool = False) -> list[Matrix]:
    """The prunable matrices of `model` in the order of its modules.

    PrunebenchError where there is none, or where linear weights inside the blocks are frozen or computed from others (adapters
    around a frozen base, quantised layers, parametrizations), or most matrices there belong to no linear layer (experts stacked
    in one tensor), unless `skip_frozen` asks for the trained linear ones alone. Frozen weights are never pruned: without
    gradients they would rank lowest, and be the first to go.
    """
    trained, fixed = _linear(model, biases)
    if not trained:
        reason = f"all its {sum(fixed.values()):,} linear weights inside blocks are frozen: " if fixed else ""
        raise PrunebenchError(
            f"{type(model).__name__} has no prunable weights: {reason}expected trained linear layers in a list of Transformer "
            "blocks"
        )
    if fixed and not skip_frozen:
        raise PrunebenchError(
            f"{type(model).__name__}: {_count(trained):,} of {_count(trained) + sum(fixed.values()):,} linear weights inside the "
            f"blocks are trained, the others are frozen or computed from other weights, {next(iter(fixed))} first, and would "
            "stay dense. "
            "Unfreeze them (merge adapters into their base first), or pass skip_frozen=True to prune the trained ones alone"
        )
    others, share = _others(model)
    if not skip_frozen and share > SOME:
        said = _stay_dense(others, share)
        if share > MOST:
            raise PrunebenchError(
                f"{type(model).__name__}: {said}: the sparsity would be that of the smaller part. In Python, skip_frozen=True prunes "
                "the linear layers alone"
            )
        warnings.warn(f"{type(model).__name__}: {said}", stacklevel=2)
    _warn_of_adapters(model, trained)
    return trained


def left_dense(model: nn.Module) -> str:
    """A note on the sparsity where more than a few weights inside the blocks belong to no linear layer; else ""."""
    others, share = _others(model)
    return _stay_dense(others, share) if share > SOME else ""


def _stay_dense(others: dict[str, int], share: float) -> str:
    largest = max(others, key=others.__getitem__)
    return f"{100 * share:.0f} % of the weights inside the blocks belong to no linear layer, such as {largest}, and stay dense"


def _others(model: nn.Module) -> tuple[dict[str, int], float]:
    """Sizes of the matrices inside the blocks that are neither a linear layer's nor an embedding, by name, and their share there:
    stacked experts, attention with fused projections (`nn.MultiheadAttention`), convolutions."""
    linear: dict[int, int] = {}
    others: dict[int, tuple[str, int]] = {}
    for name, module in _in_blocks(model):
        for kind, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.Embedding) or sum(size > 1 for size in parameter.shape) < 2:
                continue
            if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
                linear[id(parameter)] = parameter.numel()
            else:
                others[id(parameter)] = (f"{name}.{kind}", parameter.numel())
    sizes = dict(entry for key, entry in others.items() if key not in linear)
    return sizes, sum(sizes.values()) / max(1, sum(sizes.values()) + sum(linear.values()))


def _warn_of_adapters(model: nn.Module, trained: list[Matrix]) -> None:
    """Warn if adapters are pruned: they are not part of the model that the sparsity is reported for."""
    wrapped = [f"{name}." for name, module in model.named_modules() if hasattr(module, "base_layer")]
    adapters = [
        matrix
        for matrix in trained
        if any(matrix.name.startswith(name) and not matrix.name.startswith(f"{name}base_layer.") for name in wrapped)
        or re.search(r"(^|[._])(lora|adapters?)[._]", matrix.name.lower())
    ]
    if adapters:
        warnings.warn(
            f"{type(model).__name__}: {_count(adapters):,} of the {_count(trained):,} weights that are pruned are adapters', "
            f"{adapters[0].name} first, and the sparsity is that of both together: merge adapters into their base first",
            stacklevel=3,
        )


def prunable_of(model: nn.Module) -> tuple[int, int]:
    """How many linear weights inside the blocks of `model` may be pruned, and how many there are."""
    trained, fixed = _linear(model, biases=False)
    return _count(trained), _count(trained) + sum(fixed.values())


def _linear(model: nn.Module, biases: bool) -> tuple[list[Matrix], dict[str, int]]:
    """Parameters of linear layers inside the blocks, each once: the trained ones, and names and sizes of the others."""
    trained: dict[int, Matrix] = {}
    fixed: dict[int, tuple[str, int]] = {}
    for name, module in _in_blocks(model):
        transposed = type(module).__name__ == "Conv1D"
        if not (isinstance(module, nn.Linear) or transposed):
            continue
        for kind in ("weight", "bias") if biases else ("weight",):
            tensor = getattr(module, kind)
            if isinstance(tensor, nn.Parameter) and tensor.requires_grad:
                trained.setdefault(id(tensor), Matrix(f"{name}.{kind}", tensor, transposed and kind == "weight"))
            elif tensor is not None:
                # A weight that is computed from others is a new tensor on every access, so its layer identifies it.
                key = id(tensor) if isinstance(tensor, nn.Parameter) else id(module)
                fixed.setdefault(key, (f"{name}.{kind}", tensor.numel()))
    return list(trained.values()), dict(fixed.values())


def _count(matrices: list[Matrix]) -> int:
    return sum(matrix.parameter.numel() for matrix in matrices)


def _in_blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules, with their names, that lie inside some `nn.ModuleList` of `model`."""
    lists = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    outer = tuple(f"{name}." for name in lists)
    return [(name, module) for name, module in model.named_modules() if name.startswith(outer)]
