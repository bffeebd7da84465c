"""From scores to masks: where scores compete, and exactly how many weights go. Pure functions; `SCOPES` lists every scope.

    global        all prunable weights compete                     round(s n) of n go
    layer         within each matrix, the same share of each        together round(s n), shares equal to one weight
    row           within each output row                            likewise
    erk           within each matrix, share by (out + in) / (out in)   Evci et al. 2020, arXiv 1911.11134; together round(s n)
    owl           within each matrix, block by block another share (owl.py); only without training
    owl[row]      within each output row, likewise
    alphapruning  as owl, by another measure of blocks (alphapruning.py), which has a parameter tau
    n:m           at most n of every m neighbouring inputs stay     target sparsity 1 - n/m; on the way there the lowest go first
    block[h,w]    h x w blocks live or die together, by mean score   round(s blocks) blocks go
    published     as global, biases ranked too (see prunable.py)

`scores` and masks are flat vectors [n] over all prunable weights; `shapes` are the matrices' (out, in) in their order. What is
counted here is what a mask asks for; a record's sparsity is counted on the final weights (training/make_record.py).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.errors import PrunebenchError, choices
from benchmark.pruning.alphapruning import TAU
from benchmark.pruning.selection import keep_highest, keep_highest_rows
from criteria.common.blocks import blocks

Shape = tuple[int, int]
Shapes = Sequence[Shape]

Mask = Callable[[Tensor, Shapes, "Scope", float], Tensor]
"""(scores [n], shapes, scope, sparsity) -> mask [n]."""

Quotas = Callable[[Shapes, "Scope", float], "list[Quota] | None"]
"""(shapes, scope, sparsity) -> a quota for each matrix, or None where all of them compete at that sparsity."""

SharesBy = Literal["shapes", "inputs", "spectra"]
"""What decides how much of each matrix goes: the shapes of all matrices, what the dense model's layers are fed (owl.py), or the
spectra of its weights (alphapruning.py). The last two look at a dense model, so they prune once, without training."""


@dataclass(frozen=True)
class Kind:
    """What there is to say of one kind of scope: a row of `SCOPES`."""

    mask: Mask
    name: str = ""
    """How a scope of this kind is written, {a}, {b} and {tau} in place of its numbers; the key in `SCOPES` where it has none."""
    valid: "Callable[[Scope], bool]" = lambda scope: True  # noqa: ARG005 - scopes without numbers
    rule: str = ""
    """What `valid` demands, in words."""
    tile: Callable[[int, int], Shape] = lambda a, b: (1, 1)  # noqa: ARG005
    """The rows and columns that must divide every matrix."""
    whole_tiles: bool = False
    """Weights of a tile go together, so that sparsity is counted in tiles."""
    target: Callable[[int, int], float] | None = None
    """The only sparsity that fits, where there is but one."""
    two_dimensional: bool = False
    """Looks at rows and columns, so that scores must come as [out, in], also of a layer that stores its weight transposed."""
    biases: bool = False
    """Ranks the biases of the layers with their weights."""
    shares: Quotas | None = None
    """Where no matrix competes with another: how much of each is pruned."""
    shares_by: SharesBy = "shapes"
    """What decides how much of each matrix goes, where matrices do not compete."""


@dataclass(frozen=True)
class Scope(Kind):
    """A parsed scope: what its kind says, and the numbers in its name (n, m of a pattern, h, w of a block, or tau)."""

    kind: str = ""
    """The kind's key in `SCOPES`."""
    a: int = 0
    b: int = 0
    tau: float = TAU

    def __str__(self) -> str:
        return (self.name or self.kind).format(a=self.a, b=self.b, tau=f"{self.tau:g}")

    def __reduce__(self) -> tuple[Callable[[str], "Scope"], tuple[str]]:
        """Pickled by its name, because its kind holds functions that cannot be."""
        return parse_scope, (str(self),)

    def check(self, shapes: Shapes, target: float) -> None:
        """PrunebenchError where the matrices or the target sparsity do not fit the pattern."""
        rows, columns = self.tile(self.a, self.b)
        for out, inputs in shapes:
            if out % rows or inputs % columns:
                raise PrunebenchError(f"scope '{self}' does not divide a matrix of {out} x {inputs}")
        only = self.target(self.a, self.b) if self.target else target
        if abs(target - only) > 1e-9:
            raise PrunebenchError(f"scope '{self}' prunes to sparsity {only:g}, not {target:g}")
        count, size = self.count(target, shapes), total(shapes)
        if target and size and count in (0, size):
            amount = "all" if count else "none"
            raise PrunebenchError(
                f"sparsity {target!r} prunes {amount} of {size:,} weights: give a share that leaves and prunes some"
            )

    def count(self, sparsity: float, shapes: Shapes) -> int:
        """Exactly how many weights are pruned at `sparsity`."""
        rows, columns = self.tile(self.a, self.b) if self.whole_tiles else (1, 1)
        return round(sparsity * (total(shapes) // (rows * columns))) * rows * columns

    def needs_dense(self) -> PrunebenchError:
        """The error of a scope whose shares depend on the dense model, where a model is trained."""
        of_dense = {
            "inputs": "what the dense model's layers are fed",
            "spectra": "the spectra of the dense model's weights",
        }
        return PrunebenchError(
            f"scope '{self}' shares the sparsity out by {of_dense[self.shares_by]}: it prunes once, without training "
            "(training.steps 0)"
        )

    def quotas(self, shapes: Shapes, sparsity: float) -> "list[Quota] | None":
        """How much of each matrix is pruned at `sparsity`; None if that depends on how the scores of all matrices compare."""
        return self.shares(shapes, self, sparsity) if self.shares else None

    def apportioned(self, sparsities: Sequence[float], shapes: Shapes, sparsity: float) -> "list[Quota]":
        """Quotas at these sparsities of the matrices, which together make `sparsity`."""
        sizes = [_size(shape) for shape in shapes]
        exact = [share * size for share, size in zip(sparsities, sizes, strict=True)]
        counts = apportion(exact, sizes, self.count(sparsity, shapes))
        return [Quota(count, shape, rows=self.two_dimensional) for count, shape in zip(counts, shapes, strict=True)]


@dataclass(frozen=True)
class Quota:
    """How many weights of a matrix of `shape` (out, in) go: `count` in all, the lowest of it, of each row or of each group.

    It can be asked for all columns at once or from left to right for some of them (a `Choose` of criteria/base.py): every part
    gives its share, and all together exactly `count`.
    """

    count: int
    shape: Shape
    rows: bool = False
    """Rows share the count, all the same but for a remainder of one weight, which the first rows bear."""
    group: int = 1
    """Of so many neighbouring columns of a row the same number goes; 1: no groups."""

    def __call__(self, scores: Tensor, start: int = 0) -> Tensor:
        """Mask (bool, True = kept) of the columns from `start` on, whose scores [out, columns] these are."""
        (out, inputs), stop = self.shape, start + scores.shape[1]
        if self.group > 1:
            each = self.count * self.group // (out * inputs)
            return (_rank(scores.reshape(-1, self.group)) >= each).view(scores.shape)
        if self.rows:
            each, extra = divmod(self.count, out)
            most, least = (_share(count, inputs, start, stop) for count in (each + 1, each))
            drop = torch.full((out, 1), least, device=scores.device)
            drop[:extra] = most
            return _rank(scores) >= drop
        kept = keep_highest(scores.reshape(-1), _share(self.count, inputs, start, stop))
        return kept.view(scores.shape)


NUMBERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "a": (r"\d+", int),
    "b": (r"\d+", int),
    "tau": (r"\d*\.\d{1,4}|\d+", float),
}
"""How the numbers in a scope's name are written, and read; tau with as many decimals as `Scope.__str__` writes back."""


def parse_scope(text: str) -> Scope:
    """`text` as a Scope; PrunebenchError names the choices."""
    if not isinstance(text, str):
        raise PrunebenchError(f"scope {text!r}: expected a name; {choices('', SCOPES)}")
    for key, kind in SCOPES.items():
        pattern = re.escape(kind.name or key)
        for name, (number, _) in NUMBERS.items():
            pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{number})")
        if match := re.fullmatch(pattern, text):
            numbers = {name: NUMBERS[name][1](found) for name, found in match.groupdict().items()}
            scope = Scope(**vars(kind), kind=key, **numbers)
            if not kind.valid(scope):
                raise PrunebenchError(f"scope '{text}': {kind.rule}")
            return scope
    if text in SCOPES:
        raise PrunebenchError(
            f"scope '{text}': numbers take the place of the letters, as in 2:4, block[4,4] or alphapruning[tau=0.2]"
        )
    raise PrunebenchError(f"unknown scope '{text}'; {choices(text, SCOPES)}")


def make_mask(scores: Tensor, shapes: Shapes, scope: Scope, sparsity: float) -> Tensor:
    """Mask (bool [n], True = kept) with exactly `scope.count(sparsity, shapes)` False, the lowest scores of the scope."""
    return scope.mask(scores, shapes, scope, sparsity)


def gate(vector: Tensor, gates: Tensor, out: Tensor) -> Tensor:
    """Write `vector` [n] times `gates` [n] (a bool mask, or fp32) into `out` [n], which may be `vector`; all contiguous.

    A mask gives +0.0, never -0.0: it multiplies the bits of the floats, read as integers, by 0 or 1. On a CPU that is also ten
    times as fast as `masked_fill_`.
    """
    if gates.dtype != torch.bool:
        return torch.mul(vector, gates, out=out)
    for _, value, kept, target in blocks(vector.view(torch.int32), gates.view(torch.uint8), out.view(torch.int32)):
        torch.mul(value, kept, out=target)
    return out


def apportion(shares: Sequence[float], limits: Sequence[int], k: int) -> list[int]:
    """Round `shares` to whole numbers that sum to `k`, none above its limit; the largest remainders are rounded up first."""
    counts = [min(limit, int(share)) for share, limit in zip(shares, limits, strict=True)]
    order = sorted(range(len(shares)), key=lambda i: (counts[i] - shares[i], i))
    missing = k - sum(counts)
    while missing:
        step = 1 if missing > 0 else -1
        movable = [i for i in order if 0 <= counts[i] + step <= limits[i]]
        if not movable:
            raise ValueError(f"cannot place {k} among limits that sum to {sum(limits)}")
        for i in movable[: abs(missing)]:
            counts[i] += step
        missing = k - sum(counts)
    return counts


def erk_sparsities(shapes: Shapes, sparsity: float) -> list[float]:
    """Sparsity of each matrix under Erdos-Renyi-Kernel densities, scaled so that all together have `sparsity`.

    density_l = min(1, eps (out + in) / (out in)); matrices that would exceed 1 stay dense and the others share the rest.
    """
    keep = (1 - sparsity) * total(shapes)
    dense: set[int] = set()
    while len(dense) < len(shapes):
        free = [i for i in range(len(shapes)) if i not in dense]
        eps = (keep - sum(_size(shapes[i]) for i in dense)) / sum(sum(shapes[i]) for i in free)
        over = {i for i in free if eps * sum(shapes[i]) > _size(shapes[i])}
        if not over:
            return [0.0 if i in dense else 1 - eps * sum(s) / _size(s) for i, s in enumerate(shapes)]
        dense |= over
    return [0.0] * len(shapes)


def total(shapes: Shapes) -> int:
    """Number of weights in matrices of these shapes."""
    return sum(_size(shape) for shape in shapes)


def _size(shape: Shape) -> int:
    return shape[0] * shape[1]


def _global(scores: Tensor, shapes: Shapes, scope: Scope, sparsity: float) -> Tensor:
    return keep_highest(scores, scope.count(sparsity, shapes))


def _each(scores: Tensor, shapes: Shapes, scope: Scope, sparsity: float) -> Tensor:
    """Rank each matrix by itself, as its quota says."""
    quotas = scope.quotas(shapes, sparsity)
    assert quotas is not None
    parts = scores.split([_size(shape) for shape in shapes])
    if scores.device.type != "cpu" and not any(quota.rows or quota.group > 1 for quota in quotas):
        return torch.cat(_together(parts, [quota.count for quota in quotas]))
    return torch.cat([quota(part.view(quota.shape)).flatten() for part, quota in zip(parts, quotas, strict=True)])


def _same_share(shapes: Shapes, scope: Scope, sparsity: float) -> list[Quota]:
    """The same sparsity in every matrix."""
    return scope.apportioned([sparsity] * len(shapes), shapes, sparsity)


def _erk_share(shapes: Shapes, scope: Scope, sparsity: float) -> list[Quota]:
    """Each matrix at its Erdos-Renyi-Kernel sparsity."""
    return scope.apportioned(erk_sparsities(shapes, sparsity), shapes, sparsity)


def _dense_share(shapes: Shapes, scope: Scope, sparsity: float) -> list[Quota]:  # noqa: ARG001
    """Refused: how much of each matrix goes depends on more than shapes."""
    raise scope.needs_dense()


def _pattern_share(shapes: Shapes, scope: Scope, sparsity: float) -> list[Quota] | None:
    """m - n of every m neighbours; None on the way there, where the lowest of the whole model go first."""
    if scope.count(sparsity, shapes) * scope.b != total(shapes) * (scope.b - scope.a):
        return None
    return [Quota(_size(shape) // scope.b * (scope.b - scope.a), shape, group=scope.b) for shape in shapes]


def _together(parts: Sequence[Tensor], counts: Sequence[int]) -> list[Tensor]:
    """The masks of all parts, of each its own count gone; parts of one size and count at once.

    One by one they would be some seventy launches a matrix.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for at, (part, count) in enumerate(zip(parts, counts, strict=True)):
        alike.setdefault((part.numel(), count), []).append(at)
    masks = list(parts)
    for (_, count), places in alike.items():
        kept = keep_highest_rows(torch.stack([parts[at] for at in places]), count)
        for at, mask in zip(places, kept, strict=True):
            masks[at] = mask
    return masks


def _share(count: int, columns: int, start: int, stop: int) -> int:
    """What columns `start` to `stop` of `columns` give of `count`: rounded from the left, so that all parts together give it."""
    return (2 * count * stop + columns) // (2 * columns) - (2 * count * start + columns) // (2 * columns)


def _n_of_m(scores: Tensor, shapes: Shapes, scope: Scope, sparsity: float) -> Tensor:
    """The m - n lowest of every m neighbours are candidates; the lowest candidates are pruned until the count is reached."""
    may_go = (_rank(scores.view(-1, scope.b)) < scope.b - scope.a).flatten()
    candidates = len(scores) // scope.b * (scope.b - scope.a)  # counting them would be waiting for the device
    return keep_highest(scores.masked_fill(~may_go, torch.inf), min(candidates, scope.count(sparsity, shapes)))


def _block(scores: Tensor, shapes: Shapes, scope: Scope, sparsity: float) -> Tensor:
    sizes = [_size(shape) for shape in shapes]
    parts = zip(scores.split(sizes), shapes, strict=True)
    tiles = [part.view(o // scope.a, scope.a, i // scope.b, scope.b) for part, (o, i) in parts]
    # In fp64, where no sum of fp32 scores overflows.
    means = torch.cat([tile.mean(dim=(1, 3), dtype=torch.float64).float().flatten() for tile in tiles])
    kept = keep_highest(means, scope.count(sparsity, shapes) // (scope.a * scope.b))
    grids = kept.split([size // (scope.a * scope.b) for size in sizes])
    return torch.cat(
        [
            grid.view(tile.shape[0], 1, tile.shape[2], 1).expand(tile.shape).flatten()
            for grid, tile in zip(grids, tiles, strict=True)
        ]
    )


def _rank(rows: Tensor) -> Tensor:
    """Rank of every entry within its row [rows, columns], 0 the lowest, ties by position."""
    order = rows.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order)
    return ranks.scatter_(1, order, torch.arange(rows.shape[1], device=rows.device).expand_as(order))


_by_spectra = partial(
    Kind,
    _each,
    valid=lambda scope: 0 < scope.tau < 1,
    rule="tau is above 0 and below 1",
    shares=_dense_share,
    shares_by="spectra",
)

SCOPES: dict[str, Kind] = {
    "global": Kind(_global),
    "published": Kind(_global, biases=True),
    "layer": Kind(_each, shares=_same_share),
    "row": Kind(_each, shares=_same_share, two_dimensional=True),
    "erk": Kind(_each, shares=_erk_share),
    "owl": Kind(_each, shares=_dense_share, shares_by="inputs"),
    "owl[row]": Kind(_each, shares=_dense_share, shares_by="inputs", two_dimensional=True),
    "alphapruning": _by_spectra(),
    "alphapruning[row]": _by_spectra(two_dimensional=True),
    "alphapruning[tau=t]": _by_spectra(name="alphapruning[tau={tau}]"),
    "alphapruning[row,tau=t]": _by_spectra(name="alphapruning[row,tau={tau}]", two_dimensional=True),
    "n:m": Kind(
        _n_of_m,
        name="{a}:{b}",
        valid=lambda scope: 0 < scope.a < scope.b,
        rule="of m neighbours n stay, 0 < n < m",
        tile=lambda n, m: (1, m),  # noqa: ARG005
        target=lambda n, m: 1 - n / m,
        shares=_pattern_share,
        two_dimensional=True,
    ),
    "block[h,w]": Kind(
        _block,
        name="block[{a},{b}]",
        valid=lambda scope: scope.a > 0 and scope.b > 0,
        rule="h and w are at least 1",
        tile=lambda h, w: (h, w),
        whole_tiles=True,
        two_dimensional=True,
    ),
}
"""Every scope: a new one is a function above and a row here (and a word in docs/concepts.md for its users)."""
