"""Several processes train one run, each on its GPU, as `torchrun` and `accelerate launch` start them.

Every process builds the same model and the same batches and takes its own rows of each; gradients are added up before clipping.
So all of them take the same step, hold the same masks, and the first one writes the record. In a single process every function
here is the identity.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.machine import interrupt
from benchmark.machine.environment import pick_device
from tasks.base import Batch

PATIENCE = timedelta(hours=6)
"""How long the others wait for the first process, which may evaluate, or wait for a lock."""


def size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return _number("WORLD_SIZE", "1") > 1


def _number(name: str, default: str = "") -> int:
    """A whole number that a launcher sets in the environment; PrunebenchError where it is none."""
    said = os.environ.get(name, default)
    if not said.isdecimal():
        found = f"{name} is {said!r}" if name in os.environ else f"{name} is not set, though WORLD_SIZE is"
        raise PrunebenchError(
            f"{found}: expected a whole number, as torchrun sets it; `unset WORLD_SIZE` runs one process"
        )
    return int(said)


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Within, the processes that a launcher started are connected, each on the GPU of its local rank."""
    if not launched() or dist.is_initialized():
        yield
        return
    cuda = pick_device(device).type == "cuda"
    if (number := _number("RANK")) >= _number("WORLD_SIZE"):
        raise PrunebenchError(
            f"RANK is {number} of WORLD_SIZE {_number('WORLD_SIZE')}: expected a smaller number, from 0 on"
        )
    _number("MASTER_PORT")
    if cuda:
        if (number := _number("LOCAL_RANK", "0")) >= (gpus := torch.cuda.device_count()):
            raise PrunebenchError(
                f"LOCAL_RANK is {number}, and this process sees {gpus} GPU{'s' * (gpus != 1)}: expected a GPU of its own for each "
                "process (torchrun --nproc-per-node), or --device cpu"
            )
        torch.cuda.set_device(number)
    # Both: gradients go over nccl where they lie on GPUs, decisions about cells over gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def own(batch: Batch) -> Batch:
    """This process's rows of a batch: every `size()`-th, so that lengths are spread evenly; none if there are too few."""
    if size() == 1:
        return batch
    return {name: tensor[rank() :: size()] for name, tensor in batch.items()}


def add_up(tensors: Sequence[Tensor]) -> None:
    """Sum each tensor over all processes, in place; the same bits everywhere."""
    if size() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def share(tensors: Sequence[Tensor]) -> None:
    """Overwrite each tensor with the first process's, in place."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def gathered(tensor: Tensor) -> list[Tensor]:
    """The same-shaped `tensor` of every process, by rank."""
    if size() == 1:
        return [tensor]
    everyone = [torch.empty_like(tensor) for _ in range(size())]
    dist.all_gather(everyone, tensor)
    return everyone


def decorrelate(seed: int) -> None:
    """Make dropout draw other masks in every process; the first one draws what a single process would."""
    if rank() > 0:
        torch.manual_seed(seed + 1_000_003 * rank())


def shared_signal() -> int:
    """Number of the signal that some process of this run received, or 0: the same in all of them, so that they stop at one step."""
    if size() == 1:
        return interrupt.pending_signal()
    number = torch.tensor(interrupt.pending_signal())
    dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return int(number)


def raise_if_signalled() -> None:
    """Raise Interrupted, in all processes of this run, if one of them received a signal."""
    if number := shared_signal():
        raise interrupt.Interrupted(number)


def agreed(value: bool) -> bool:
    """The first process's `value`, in every process."""
    said = torch.tensor(int(value))
    share([said])
    return bool(said)
