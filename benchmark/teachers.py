"""Dense teachers: the weights of a dense cell, trained once per task and seed and shared by every cell that asks."""

from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark import registry
from benchmark.atomic import write_bytes
from benchmark.run import Options, train_teacher
from benchmark.spec import RunSpec


class Teachers:
    """A folder of weights by run id; what is not there is trained under a lock, so that it is trained once."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options

    def get(self, spec: RunSpec) -> dict[str, Tensor]:
        """The weights of the dense run `spec`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{spec.id}.lock"):
            weights = self._read(spec)
            if weights is None:
                weights = train_teacher(spec, replace(self.options, teacher=None))
                self._write(spec, weights)
        return weights

    def offer(self, spec: RunSpec, model: nn.Module) -> None:
        """Keep the weights of a dense run that has just finished."""
        weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        self._write(spec, weights)

    def _path(self, spec: RunSpec) -> Path:
        return self.folder / f"{spec.id}.safetensors"

    def _write(self, spec: RunSpec, weights: dict[str, Tensor]) -> None:
        # Cloned, because safetensors refuses tensors that share memory, as tied weights and flat views do.
        write_bytes(self._path(spec), save({name: value.clone() for name, value in weights.items()}))

    def _read(self, spec: RunSpec) -> dict[str, Tensor] | None:
        """None where there is no file, or a damaged one (it is trained and written again)."""
        try:
            with safe_open(self._path(spec), framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError):
            return None


def taught_by(cells: list[RunSpec]) -> set[str]:
    """Ids of the dense runs that some cell wants as its teacher."""
    return {spec.dense().id for spec in cells if registry.configure("regularizers", spec.regularizer).needs_teacher}
