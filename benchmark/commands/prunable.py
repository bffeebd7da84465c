"""`prunebench prunable MODEL`: lists a model's prunable weights, from its configuration alone (no weights are loaded)."""

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix, find_prunable
from tasks.base import ModelError
from tasks.formats.sources import MINI
from tasks.pipeline.checkpoints import config_file, fewer_messages
from tasks.pipeline.model_files import check_config, check_folder

EMBEDDED = {"mini": "encoder", "mini-decoder": "decoder"}


def prunable_matrices(model: str, biases: bool = False) -> tuple[list[Matrix], int]:
    """The prunable matrices of a hub id, a folder, `mini` or `mini-decoder`, and the number of all its parameters.

    PrunebenchError where there is no configuration, or none that a model can be made of.
    """
    built = _built(model, _configuration(model))
    matrices = find_prunable(built, biases)
    if empty := [matrix.name for matrix in matrices if not matrix.parameter.numel()]:
        raise PrunebenchError(f"model '{model}': its configuration gives {empty[0]} no weights")
    return matrices, sum(parameter.numel() for parameter in built.parameters())


def prunable_text(model: str, biases: bool = False) -> str:
    """A table of the matrices, their shapes and sizes, the total, and what else is to be known of them."""
    from tabulate import tabulate

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        matrices, parameters = prunable_matrices(model, biases)
    total = sum(matrix.parameter.numel() for matrix in matrices)
    rows = [(m.name, *m.shape, f"{m.parameter.numel():,}") for m in matrices]
    table = tabulate(rows, headers=("matrix", "out", "in", "weights"), colalign=("left", "right", "right", "right"))
    share = f"{100 * total / parameters:.1f} % of {parameters:,} parameters (embeddings counted, no task head)"
    said = [f"prunable: {total:,} in {len(matrices)} matrices, {share}", *(str(warning.message) for warning in told)]
    return "\n".join([table, "", *said])


def _configuration(model: str) -> Any:
    """The library's configuration of the model, of a file that passed the checks that tasks make before they open a model."""
    from transformers import AutoConfig

    place = str(MINI / EMBEDDED[model]) if model in EMBEDDED else model
    folder = Path(place).expanduser()
    try:
        if not model.strip() or (model.startswith((".", "/", "~")) and not folder.is_dir()):
            raise ModelError(f"no folder {model!r}; expected mini, mini-decoder, a hub id or a folder")
        if folder.is_file():
            raise ModelError(f"model {model!r} is a file; expected a folder with config.json")
        if folder.is_dir():
            check_folder(model, folder)
            place = str(folder)
        else:
            check_config(model, _fetched(model))
        with fewer_messages():
            return AutoConfig.from_pretrained(place, trust_remote_code=False)
    except ModelError as error:
        raise PrunebenchError(str(error)) from error
    except Exception as error:  # the library has no class for its errors
        raise PrunebenchError(f"cannot open model {model!r}: {_reason(error)}") from error


def _fetched(model: str) -> Path:
    """The configuration's file of a hub's model."""
    try:
        return config_file(model)
    except Exception as error:  # the library's, the hub's and the network's errors alike
        raise ModelError(
            f"cannot open model {model!r}, taken as a hub id (no such folder here): {_reason(error)}"
        ) from error


def _built(model: str, config: Any) -> nn.Module:
    """The model without memory for its weights; PrunebenchError where the configuration's numbers and names make none."""
    import torch
    from transformers import AutoModel

    try:
        with torch.device("meta"), fewer_messages(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of matrices without weights, which are refused
            made: nn.Module = AutoModel.from_config(config, trust_remote_code=False)
    except Exception as error:  # whatever the library comes upon while it builds
        raise PrunebenchError(f"cannot build model {model!r} from its configuration: {_reason(error)}") from error
    return made


def _reason(error: Exception) -> str:
    """The library's reason in one line, without its advice on what to install or to pass."""
    if "trust_remote_code" in str(error):
        return "it brings code of its own, which is not run here"
    if isinstance(error, KeyError):
        return f"its configuration names {error}, which is not known"
    return " ".join(str(error).partition("\n\n")[0].split()).rstrip(".") or type(error).__name__
