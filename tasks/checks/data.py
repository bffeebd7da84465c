"""The contract's part about data: what batches hold, what padding may do, and what is held out."""

import torch

from tasks.base import Batch
from tasks.checks.trials import SPLITS, Trial, contents

SIZE = 4
"""Rows in a batch of the trials."""
FEW = 16
"""Of fewer different rows, two seeds may well choose the same."""


def batches(trial: Trial) -> str:
    """One pass shows every row once, in batches of at most the size asked for; the seed alone decides their order."""
    for split in SPLITS:
        for seed in (None, 0):
            found = trial.batches(SIZE, seed, split)
            _check_index(trial, found, split)
    once, again, other = (trial.batches(SIZE, seed) for seed in (0, 0, 1))
    assert all(map(_equal, once, again)), (
        f"{trial.name}.batches differ in a second pass of the same seed: take all randomness from the seed"
    )
    rows = trial.prepared.rows["train"]
    order, changed = ([int(at) for batch in made for at in batch["index"]] for made in (once, other))
    assert rows <= SIZE or order != changed, (
        f"{trial.name}.batches come in the same order for seeds 0 and 1: shuffle them by the seed"
    )
    plain = [int(at) for batch in trial.batches(SIZE, None) for at in batch["index"]]
    assert plain == list(range(rows)), (
        f"{trial.name}.batches of seed None are not in order: give the rows as they stand"
    )
    return f"{rows} rows in {len(once)} batches, twice, bitwise"


def padding(trial: Trial) -> str:
    """A batch is as wide as its longest row, and a row's losses do not depend on what stands beside it."""
    made = trial.batches(SIZE)
    for batch in made:
        mask = batch.get("attention_mask")
        if mask is None:
            return "skipped, because batches have no attention_mask"
        assert mask.sum(1).max() == mask.shape[1], (
            f"a batch of {trial.name} is {mask.shape[1]} wide and its longest row {int(mask.sum(1).max())}: pad to the longest row "
            "of the batch, no further"
        )
    model = trial.build().eval()
    with torch.no_grad():
        sums = [sum(_total(trial, model, batch) for batch in some) for some in (made, trial.batches(1, None))]
    together, alone = map(float, sums)
    assert abs(together - alone) <= 1e-3 * abs(alone), (
        f"the training losses of {trial.name} sum to {together:g} in batches of {SIZE} and to {alone:g} row by row: mask the padding "
        "(attention_mask for the model, and leave padded positions out of the losses)"
    )
    width = max(batch["attention_mask"].shape[1] for batch in made)
    return f"at most {width} tokens, losses as without padding"


def held_out(trial: Trial) -> str:
    """Held-out examples come out of the training examples, by the seed, and are not trained on."""
    whole = contents(trial.prepare(heldout=0.0), "train")
    kept, held = (contents(trial.prepared, split) for split in ("train", "heldout"))
    assert kept + held == whole, (
        f"{trial.name} trains on {kept.total()} rows and holds out {held.total()}, which together are not the {whole.total()} rows "
        "that it trains on where nothing is held out: carve whole examples out of the training examples"
    )
    again, other = (contents(trial.prepare(seed=seed), "heldout") for seed in (0, 1))
    assert held == again, f"{trial.name} holds out other examples the second time: choose them by the setting's seed"
    assert held != other or len(whole) < FEW, (
        f"{trial.name} holds out the same examples for seeds 0 and 1: choose them by the setting's seed"
    )
    counts = trial.prepared.counts
    return f"{counts['heldout']} of {counts['train'] + counts['heldout']} examples"


def _check_index(trial: Trial, found: list[Batch], split: str) -> None:
    rows = trial.prepared.rows[split]
    for batch in found:
        assert "index" in batch, f"batches of {trial.name} lack `index`: the position of each row in its split"
        sizes = {name: len(tensor) for name, tensor in batch.items()}
        assert len(set(sizes.values())) == 1, f"a batch of {trial.name} has first dimensions {sizes}: one row each"
        assert len(batch["index"]) <= SIZE, (
            f"a batch of {trial.name} holds {len(batch['index'])} rows where {SIZE} were asked for"
        )
    seen = sorted(int(at) for batch in found for at in batch["index"])
    assert seen == list(range(rows)), (
        f"a pass over {split} of {trial.name} shows {len(seen)} rows ({len(set(seen))} different ones) of {rows}: show each once, "
        "the last batch as short as it comes"
    )


def _total(trial: Trial, model: torch.nn.Module, batch: Batch) -> float:
    return float(trial.prepared.forward(model, batch)[0].sum())


def _equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
