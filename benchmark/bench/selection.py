"""Times exact selection of the k lowest of n scores: the harness's, torch.kthvalue and a stable sort."""

import torch
from torch import Tensor

from benchmark.bench.result import Section, Target
from benchmark.bench.timing import Tell, interleave, interval
from benchmark.pruning.selection import keep_highest

SPARSITY = 0.8


def measure(device: torch.device, quick: bool, tell: Tell) -> Section:
    """The section: n as in MiniLM on a CPU, as in BERT-base on CUDA."""
    n = 10_000 if quick else (84_934_656 if device.type == "cuda" else 10_616_832)
    rounds = 2 if quick else 7
    k = round(SPARSITY * n)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(0)).square_().to(device)
    candidates = {
        "keep_highest": lambda: keep_highest(scores, k),
        "torch.kthvalue, <": lambda: by_kthvalue(scores, k),
        "stable sort": lambda: by_sort(scores, k),
    }
    agree = torch.equal(candidates["keep_highest"](), candidates["stable sort"]())
    times = interleave(candidates, rounds, 1, device, lambda text: tell(f"selection: {text}"))
    base = interval(times["keep_highest"])[0]
    rows = []
    for name, seconds in times.items():
        middle, low, high = interval(seconds)
        rows.append([name, f"{1000 * middle:.2f}", f"{1000 * low:.2f}", f"{1000 * high:.2f}", f"{middle / base:.1f}"])
    target = Target(name="selection over 85 M scores", measured=1000 * base, bound=2, kind="at most", unit="ms")
    return Section(
        name="selection",
        title=f"Selection of the {k} lowest of {n} scores",
        columns=["how", "median ms", "low", "high", "times ours"],
        rows=rows,
        notes=[
            f"Mask of the harness and of the stable sort are {'equal' if agree else 'DIFFERENT'}; "
            f"kthvalue with a strict < keeps the k-th and its ties."
        ],
        targets=[target] if device.type == "cuda" else [],
        raw={f"{name} seconds": seconds for name, seconds in times.items()},
        repetitions=f"{rounds} rounds in turns",
    )


def by_kthvalue(scores: Tensor, k: int) -> Tensor:
    """The published rule's mask, True = kept."""
    return scores >= torch.kthvalue(scores, k).values


def by_sort(scores: Tensor, k: int) -> Tensor:
    """The exact mask by a stable sort."""
    mask = torch.ones_like(scores, dtype=torch.bool)
    mask[scores.argsort(stable=True)[:k]] = False
    return mask
