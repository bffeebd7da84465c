"""`prunebench prunable MODEL`: lists a model's prunable weights, from its configuration alone (no weights are loaded)."""

from pathlib import Path

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix, find_prunable


def prunable_matrices(model: str, biases: bool = False) -> tuple[list[Matrix], int]:
    """The prunable matrices of a hub id, a folder, `mini` or `mini-decoder`, and the number of all its parameters."""
    import torch
    from transformers import AutoConfig, AutoModel

    embedded = {"mini": "encoder", "mini-decoder": "decoder"}
    place = str(Path(__file__).parents[2] / "tasks" / "mini" / embedded[model]) if model in embedded else model
    try:
        config = AutoConfig.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"model '{model}': no configuration found: {error}") from error
    with torch.device("meta"):
        built = AutoModel.from_config(config)
    return find_prunable(built, biases), sum(parameter.numel() for parameter in built.parameters())


def prunable_text(model: str, biases: bool = False) -> str:
    """A table of the matrices, their shapes and sizes, and the total."""
    from tabulate import tabulate

    matrices, parameters = prunable_matrices(model, biases)
    total = sum(matrix.parameter.numel() for matrix in matrices)
    rows = [(m.name, *m.shape, f"{m.parameter.numel():,}") for m in matrices]
    table = tabulate(rows, headers=("matrix", "out", "in", "weights"), colalign=("left", "right", "right", "right"))
    share = f"{100 * total / parameters:.1f} % of {parameters:,} parameters (embeddings counted, no task head)"
    return f"{table}\n\nprunable: {total:,} in {len(matrices)} matrices, {share}"
