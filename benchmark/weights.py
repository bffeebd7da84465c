"""Weights of finished runs by run id, as safetensors: dense teachers and what `export` hands out. All of it can be made again."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.atomic import write_bytes


def weights_path(folder: Path, run_id: str) -> Path:
    """Where the weights of `run_id` lie."""
    return folder / f"{run_id}.safetensors"


def save_weights(folder: Path, run_id: str, state: Mapping[str, Tensor]) -> None:
    """Write a state dict, whole or not at all."""
    # Cloned, because safetensors refuses tensors that share memory, as tied weights and flat views do.
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    write_bytes(weights_path(folder, run_id), save(copies))


def load_weights(folder: Path, run_id: str) -> dict[str, Tensor] | None:
    """The state dict; None where there is none, or a damaged one (it is made again)."""
    try:
        with safe_open(weights_path(folder, run_id), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return None
