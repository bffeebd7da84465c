"""The peak of memory while a decoder is pruned once, against its size: SmolLM2's blocks, more or fewer, with random bf16 weights.

    python results/smollm2-oneshot/memory.py

Peaks are those of a process for each, beyond what it held with the model loaded, on Linux and a CPU. Sixteen windows of 64 tokens
calibrate.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from tabulate import tabulate
from transformers import LlamaConfig, LlamaForCausalLM

from benchmark.machine import environment
from benchmark.plugins import registry
from benchmark.pruning.once import Once

CPU = torch.device("cpu")
BLOCKS = (6, 15, 30)
ROWS = {"magnitude": "layer", "wanda": "row", "sparsegpt": "layer", "taylor": "layer", "taylor, all at once": "global"}
LONG = {"obert": "layer"}
"""Slow, and settled block by block: measured with the fewest blocks alone."""


def model_of(blocks: int) -> LlamaForCausalLM:
    """So many blocks of SmolLM2-135M, and a small vocabulary."""
    config = LlamaConfig(
        vocab_size=1000, hidden_size=576, intermediate_size=1536, num_hidden_layers=blocks, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(torch.bfloat16)


def loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of the next token."""
    found: torch.Tensor = model(input_ids=batch["input_ids"], labels=batch["input_ids"], use_cache=False).loss
    return found


def batches(count: int) -> list[dict[str, torch.Tensor]]:
    """Two windows each."""
    draw = torch.Generator().manual_seed(0)
    return [
        {"input_ids": torch.randint(0, 1000, (2, 64), generator=draw), "index": torch.arange(2)} for _ in range(count)
    ]


def peak_of(name: str, scope: str, blocks: int) -> int:
    """MiB beyond the loaded model."""
    model = model_of(blocks)
    environment.free_memory()
    environment.reset_peak(CPU)
    before = environment.peak_bytes(CPU)
    once = Once(model, registry.configure("criteria", name.partition(",")[0]), sparsity=0.5, scope=scope)
    once.prune(loss, batches)
    return (environment.peak_bytes(CPU) - before) >> 20


def main() -> None:
    """Print the table."""
    sizes = {}
    for blocks in BLOCKS:
        with torch.device("meta"):
            sizes[blocks] = sum(parameter.nbytes for parameter in model_of(blocks).parameters()) >> 20
    wanted = [(name, scope, blocks) for blocks in BLOCKS for name, scope in ROWS.items()]
    wanted += [(name, scope, BLOCKS[0]) for name, scope in LONG.items()]
    found = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for (name, _, blocks), peak in zip(wanted, pool.map(peak_of, *zip(*wanted, strict=True)), strict=True):
            found[name, blocks] = str(peak)
            print(name, blocks, peak, file=sys.stderr)
    rows = [
        [name, scope, *(found.get((name, blocks), "") for blocks in BLOCKS)] for name, scope in (ROWS | LONG).items()
    ]
    head = ["MiB", "scope", *(f"{blocks} blocks, {size} MiB" for blocks, size in sizes.items())]
    print(tabulate(rows, head, "pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
