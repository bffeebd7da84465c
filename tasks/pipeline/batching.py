"""Which rows make a batch: seeded and grouped by length for training, by a budget of tokens for evaluation; and the splits."""

import numpy as np
from numpy.typing import NDArray

from tasks.base import TaskError

Rows = NDArray[np.intp]

WINDOW = 50
"""Batches within which rows are sorted by length: wide enough to save padding, narrow enough to keep an epoch shuffled."""

ALIKE = 0.8
"""Length, as a share of a batch's longest row, from which a row still belongs to it (see `budgeted`)."""

FIXED = 20240229
"""Seed of the shuffle behind `train_examples` and `eval_examples`: a sample is the same whatever the run's seed."""


def grouped(lengths: NDArray[np.int64], size: int, seed: int) -> list[Rows]:
    """Batches of at most `size` rows of like length: shuffle, sort within windows of WINDOW batches, shuffle the batches."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(lengths))
    batches: list[Rows] = []
    for start in range(0, len(order), WINDOW * size):
        window = order[start : start + WINDOW * size]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[at : at + size] for at in range(0, len(window), size)]
    return [batches[at] for at in generator.permutation(len(batches))]


def in_order(count: int, size: int) -> list[Rows]:
    """Batches of `size` rows as they stand."""
    return [np.arange(at, min(at + size, count)) for at in range(0, count, size)]


def budgeted(lengths: NDArray[np.int64], rows: int, tokens: int, least: int | None = None) -> list[Rows]:
    """Batches of at most `rows` rows and `tokens` padded tokens, longest first: what does not fit memory fails at once.

    With `least`, a batch of at least so many padded tokens ends before rows that are shorter than ALIKE of its longest: of few
    rows sorted by length, large batches would pad a third in vain.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[Rows] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(rows, tokens // longest))
        if least is not None:
            alike = int((lengths[order[start : start + size]] >= ALIKE * longest).sum())
            size = min(size, max(alike, -(-least // longest)))
        batches.append(order[start : start + size])
        start += size
    return batches


def sample(count: int, limit: int | None) -> Rows:
    """Positions, ascending, of the first `limit` of a fixed shuffle of `count` examples; all of them for None."""
    if limit is not None and limit < 1:
        raise TaskError(f"a limit of {limit} examples leaves none; expected at least 1")
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(FIXED).permutation(count)[:limit])


def carve(count: int, share: float, seed: int) -> tuple[Rows, Rows]:
    """(kept, held out): disjoint positions, ascending, `share` of them (rounded, at least one) held out by `seed`."""
    if not 0 <= share < 1:
        raise TaskError(f"heldout is {share}; expected a share of the training examples in [0, 1)")
    if share == 0:
        return np.arange(count), np.arange(0)
    held = max(1, round(share * count))
    if held >= count:
        raise TaskError(f"heldout {share} of {count} training examples leaves none to train on")
    order = np.random.default_rng([FIXED, seed]).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])
