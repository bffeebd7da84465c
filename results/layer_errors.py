"""What choosing SparseGPT's mask inside the sweep is worth: squared errors of layers' outputs, in percent of the outputs.

python results/layer_errors.py                          made-up inputs
python results/layer_errors.py MODEL SENTENCES.tsv      the layers of an encoder on the first column's first 256 texts

Prints the table of docs/criteria.md: magnitude, SparseGPT ranked before the sweep, SparseGPT as published; means over the layers.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from benchmark.pruning.masks import Quota, parse_scope
from benchmark.pruning.prunable import find_prunable
from criteria.sparsegpt import SparseGPT

CASES = (("layer", 0.5), ("layer", 0.8), ("row", 0.8), ("2:4", 0.5))
TEXTS, BATCH = 256, 32


def made_up() -> Iterator[tuple[Tensor, Tensor]]:
    """Five matrices [128, 256] and inputs [2000, 256] that are mixed from independent ones."""
    for seed in range(5):
        g = torch.Generator().manual_seed(seed)
        mixing = torch.eye(256) + torch.randn(256, 256, generator=g) / 16
        inputs = torch.randn(2000, 256, generator=g) @ mixing
        yield torch.randn(128, 256, generator=g), inputs


def of_encoder(folder: str, sentences: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Every prunable matrix of an encoder, and what its layer is fed at real positions."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    lines = Path(sentences).read_text(encoding="utf-8").splitlines()[1 : TEXTS + 1]
    matrices, fed = find_prunable(model), dict[str, list[Tensor]]()
    for start in range(0, len(lines), BATCH):
        texts = [line.split("\t")[0] for line in lines[start : start + BATCH]]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        real = batch["attention_mask"].bool()
        hooks = []
        for matrix in matrices:

            def hook(_: nn.Module, arguments: tuple[Tensor, ...], name: str = matrix.name, real: Tensor = real) -> None:
                fed.setdefault(name, []).append(arguments[0][real])

            hooks.append(model.get_submodule(matrix.name.rpartition(".")[0]).register_forward_pre_hook(hook))
        with torch.no_grad():
            model(**batch)
        for handle in hooks:
            handle.remove()
    for matrix in matrices:
        yield matrix.parameter.detach(), torch.cat(fed[matrix.name])


def errors(weight: Tensor, inputs: Tensor, quota: Quota) -> list[float]:
    """Of magnitude, of SparseGPT with a mask ranked before the sweep, and of the sweep that chooses: percent of the output."""
    criterion = SparseGPT()
    state = criterion.init(weight, torch.Generator())
    criterion.observe_inputs(state, weight, inputs)
    before, inside = weight.clone(), weight.clone()
    mask = quota(criterion.score(state, weight))
    criterion.compensate(state, before, mask)
    chosen = criterion.sweep(state, inside, quota)
    whole = float((inputs @ weight.T).square().sum())
    candidates = (weight * quota(weight.abs()), before * mask, inside * chosen)
    return [100 * float((inputs @ (weight - one).T).square().sum()) / whole for one in candidates]


def main(arguments: list[str]) -> None:
    """Print the table."""
    layers = list(of_encoder(*arguments) if arguments else made_up())
    print(
        "| scope | sparsity | magnitude | ranked before the sweep | inside it | layers worse than magnitude: before, inside |"
    )
    print("|---|---|---|---|---|---|")
    for scope, sparsity in CASES:
        found = []
        for weight, inputs in layers:
            quotas = parse_scope(scope).quotas([(weight.shape[0], weight.shape[1])], sparsity)
            assert quotas is not None
            found.append(errors(weight, inputs, quotas[0]))
        means = " | ".join(f"{fmean(column):.2f}" for column in zip(*found, strict=True))
        worse = [sum(row[k] > row[0] for row in found) for k in (1, 2)]
        print(f"| {scope} | {sparsity:g} | {means} | {worse[0]}, {worse[1]} of {len(found)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
