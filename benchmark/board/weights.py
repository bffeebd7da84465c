"""Saves trained weights as safetensors with a checksum: dense teachers, and those that `run --save-weights` keeps."""

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_bytes
from benchmark.machine.safe_read import read_regular_file
from tasks.pipeline.sealed import BLANK, intact, seal

LARGEST = 64 << 30
"""Bytes of the largest file of weights that is read."""
HEADER = 16 << 20
"""Bytes that names and shapes may take beside the tensors."""


def weights_path(folder: Path, run_id: str) -> Path:
    """Path of the weights of `run_id`."""
    return folder / f"{run_id}.safetensors"


def save_weights(folder: Path, run_id: str, state: Mapping[str, Tensor]) -> None:
    """Write a state dict atomically."""
    write_bytes(weights_path(folder, run_id), seal(save(unshared(state), BLANK)))


def unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU, each in memory of its own: safetensors refuses tensors that share it, as tied weights and flat views do."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def size_of(state: Mapping[str, Tensor]) -> int:
    """Bytes of a state dict's tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def room(total: int, folder: Path) -> str:
    """How many gigabytes `total` bytes are, and how many are free where `folder` lies or will lie."""
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    return f"{total / 1e9:.2f} GB in {folder}; {shutil.disk_usage(there).free / 1e9:.0f} GB are free there"


def read_weights(path: Path, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The state dict in a file of `save_weights`; OSError if it cannot be read.

    ValueError if it is damaged, or if its names or shapes differ from those of the state dict `like`.
    """
    data = read_regular_file(path, LARGEST if like is None else size_of(like) + HEADER)
    if not intact(data):
        raise ValueError("its checksum does not hold")
    try:
        state = load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if like is not None:
        check_fit(state, like)
    return state


def check_fit(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    """ValueError if two state dicts differ in a name or a shape."""
    if odd := sorted(state.keys() ^ like.keys()):
        raise ValueError(f"its tensors are not the model's: '{odd[0]}' is in one of them only")
    for name, tensor in state.items():
        if tensor.shape != like[name].shape:
            raise ValueError(f"'{name}' has shape {list(tensor.shape)}, in the model {list(like[name].shape)}")


def kept_weights(folder: Path, run_id: str) -> dict[str, Tensor] | None:
    """The state dict that `run --save-weights` kept; None if there is none, PrunebenchError if its file is damaged."""
    path = weights_path(folder, run_id)
    if not os.path.lexists(path):
        return None
    try:
        return read_weights(path)
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{path}: {error}; delete it, and its cell is trained again") from error


def load_weights(folder: Path, run_id: str, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor] | None:
    """The state dict; None if there is none.

    A file that is damaged, or does not fit `like`, is set aside with a warning, and None returned.
    """
    path = weights_path(folder, run_id)
    if not os.path.lexists(path):
        return None
    try:
        return read_weights(path, like)
    except (OSError, ValueError) as error:
        aside = path.with_suffix(".damaged")
        with suppress(OSError):  # of a board that cannot be written to
            path.replace(aside)
        warnings.warn(f"{path}: {error}; set aside as {aside.name}, to be made again", stacklevel=2)
        return None


def weight_problems(record: Record, weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Where weights do not have the zeros that the record counts, or are not finite."""
    for layer in record.sparsity.layers:
        if layer.name not in weights:
            yield f"its weights lack {layer.name}"
            continue
        weight = weights[layer.name]
        size, zeros = weight.numel(), int((weight == 0).sum())
        if (size, zeros) != (layer.size, layer.zeros):
            yield f"{layer.name} has {zeros} zeros of {size}, the record says {layer.zeros} of {layer.size}"
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(weight.isfinite().all()):
            yield f"{name} is not finite"
