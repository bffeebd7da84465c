"""Weights of finished runs as safetensors with a checksum: dense teachers and what `export` hands out. All can be made again."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from benchmark.machine.atomic import write_bytes
from tasks.pipeline.sealed import BLANK, intact, seal


def weights_path(folder: Path, run_id: str) -> Path:
    """Where the weights of `run_id` lie."""
    return folder / f"{run_id}.safetensors"


def save_weights(folder: Path, run_id: str, state: Mapping[str, Tensor]) -> None:
    """Write a state dict, whole or not at all."""
    # Cloned, because safetensors refuses tensors that share memory, as tied weights and flat views do.
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    write_bytes(weights_path(folder, run_id), seal(save(copies, BLANK)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `save_weights`; ValueError where the file is damaged, OSError where it cannot be read."""
    data = path.read_bytes()
    if not intact(data):
        raise ValueError("its checksum does not hold")
    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def load_weights(folder: Path, run_id: str) -> dict[str, Tensor] | None:
    """The state dict; None where there is none. A damaged file is set aside, with a warning, to be made again."""
    path = weights_path(folder, run_id)
    if not path.is_file():
        return None
    try:
        return read_weights(path)
    except (OSError, ValueError) as error:
        aside = path.with_suffix(".damaged")
        with suppress(OSError):  # of a board that cannot be written to
            path.replace(aside)
        warnings.warn(f"{path}: {error}; set aside as {aside.name}, to be made again", stacklevel=2)
        return None
