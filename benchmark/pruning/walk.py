"""Visits a model's Transformer blocks one after the other, feeding each the outputs of the blocks before it, pruned ones included.

For each block the whole model is called on every batch, but the pass stops after that block, and earlier blocks return an output that
was saved instead of computing it again. So no block's signature has to be known, and only one hidden state a batch is kept (two in a
model with an encoder and a decoder).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
Forward = Callable[[Batch], object]
"""Runs the model on one batch; what it gives is not looked at."""


@dataclass(frozen=True)
class Block:
    """One block by its name in the model; `stack` is the name of the list that it stands in."""

    name: str
    module: nn.Module
    stack: str

    def holds(self, parameter: str) -> bool:
        """Whether the parameter of that name lies in this block."""
        return parameter.startswith(f"{self.name}.")


class _Done(Exception):  # noqa: N818 - no error: it ends a forward pass
    """Raised when the block of interest has run, to stop the forward pass there."""


def blocks_of(model: nn.Module, forward: Forward, batch: Batch) -> list[Block]:
    """The blocks in the order in which the model calls them; none where it calls one of them more than once."""
    order: list[Block] = []
    with ExitStack() as hooks:
        for block in outermost(model):
            hooks.enter_context(block.module.register_forward_pre_hook(lambda *_, block=block: order.append(block)))
        with torch.no_grad(), _uncached(model):
            forward(batch)
    return order if len({block.name for block in order}) == len(order) else []


def walk(
    model: nn.Module,
    blocks: Sequence[Block],
    forward: Forward,
    batches: Sequence[Batch],
    watching: Callable[[Block, Batch], AbstractContextManager[object]],
    visited: Callable[[Block], None],
) -> None:
    """Run each of `blocks` on all `batches` in turn, inside `watching(block, batch)`, then call `visited(block)`.

    That may change the block: the next one is fed what it gives then.
    """
    given: dict[str, list[Any]] = {block.stack: [None] * len(batches) for block in blocks}
    for k, block in enumerate(blocks):
        for i, batch in enumerate(batches):
            with torch.no_grad(), _uncached(model), _up_to(blocks[: k + 1], given, i), watching(block, batch):
                try:
                    forward(batch)
                except _Done:
                    continue
            raise RuntimeError(f"{block.name} was not run on batch {i}: every batch has to go through the same blocks")
        visited(block)


@contextmanager
def _up_to(blocks: Sequence[Block], given: dict[str, list[Any]], i: int) -> Iterator[None]:
    """Inside, a forward pass on batch `i` computes the last two of `blocks` only, and stops after the last.

    Earlier blocks return their saved output, `given`. The output of the last but one is saved, since it was pruned after its last run.
    """
    *earlier, last = blocks
    with ExitStack() as undo:
        for block in earlier[:-1]:
            undo.enter_context(_replaced(block.module, given[block.stack], i))
        if earlier:
            stack = given[earlier[-1].stack]
            undo.enter_context(earlier[-1].module.register_forward_hook(lambda *args: stack.__setitem__(i, args[-1])))
        undo.enter_context(last.module.register_forward_hook(_end))
        yield


def _end(*_: object) -> None:
    raise _Done


@contextmanager
def _replaced(module: nn.Module, given: list[Any], i: int) -> Iterator[None]:
    """Inside, `module` returns the output saved for batch `i`, looked up when it is called."""
    module.forward = lambda *_, **__: given[i]
    try:
        yield
    finally:
        del module.forward  # the class's own again


@contextmanager
def _uncached(model: nn.Module) -> Iterator[None]:
    """Inside, a decoder caches no keys and values, because skipped blocks would not fill in theirs."""
    config = getattr(model, "config", None)
    if getattr(config, "use_cache", None) is not True:
        yield
        return
    config.use_cache = False  # type: ignore[union-attr]
    try:
        yield
    finally:
        config.use_cache = True  # type: ignore[union-attr]


def outermost(model: nn.Module) -> list[Block]:
    """The children of every `nn.ModuleList` that lies in no other."""
    found: list[Block] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and not any(name.startswith(f"{block.stack}.") for block in found):
            found += [Block(f"{name}.{key}" if name else key, child, name) for key, child in module.named_children()]
    return found
