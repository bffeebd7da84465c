"""Which parameters may be pruned: the weights of linear layers inside the Transformer blocks, found by structure, not by name.

A block list is any `nn.ModuleList`; whatever lies inside one is inside the blocks. Embeddings, norms, poolers and heads lie
outside (or are no linear layers), so they are never touched. Shared parameters count once. Scope `published` adds the biases
of those layers, as the released PINS and PLATON code does.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from benchmark.errors import PrunebenchError


@dataclass(frozen=True)
class Matrix:
    """One prunable parameter as the mathematics sees it: [out, in]; a bias is one column [out, 1]."""

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

    def view(self, stored: Tensor) -> Tensor:
        """`stored`, a flat tensor with this parameter's entries in their stored order, as [out, in] without a copy."""
        out, inputs = self.shape
        return stored.view(inputs, out).t() if self.transposed else stored.view(out, inputs)


def find_prunable(model: nn.Module, biases: bool = False) -> list[Matrix]:
    """The prunable matrices of `model` in the order of its modules; PrunebenchError where there is none.

    Frozen parameters are left out: without gradients they would rank lowest, and be the first to go.
    """
    found: dict[int, Matrix] = {}
    for name, module in _in_blocks(model):
        transposed = type(module).__name__ == "Conv1D"
        if not (isinstance(module, nn.Linear) or transposed):
            continue
        parameters = [("weight", module.weight)] + ([("bias", module.bias)] if biases else [])
        for kind, parameter in parameters:
            if isinstance(parameter, nn.Parameter) and parameter.requires_grad:
                found.setdefault(id(parameter), Matrix(f"{name}.{kind}", parameter, transposed and kind == "weight"))
    if not found:
        raise PrunebenchError(
            f"{type(model).__name__} has no prunable weights: expected trained linear layers in a list of Transformer blocks"
        )
    return list(found.values())


def _in_blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules, with their names, that lie inside some `nn.ModuleList` of `model`."""
    lists = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    outer = tuple(f"{name}." for name in lists)
    return [(name, module) for name, module in model.named_modules() if name.startswith(outer)]
