"""Entity precision, recall and F1 as seqeval counts them, from per-sentence counts that sum to the corpus figures.

    precision = correct / predicted    recall = correct / gold    F1 = 2 correct / (predicted + gold)

micro-averaged over all entities, and per type; an entity is correct if type, first and last word are. The default mode
follows conlleval: I-* after O or after another type begins an entity. Strict mode (seqeval's `mode="strict"`, IOB2)
counts only entities that begin with B-*.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.base import Outcomes

COUNTS = ("correct", "predicted", "gold")


def entity_outcomes(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str], strict: bool = False
) -> Outcomes:
    """Counts [sentences] named `correct`, `predicted`, `gold`, and the same of each type as `correct_PER`, from IOB2 tags
    of `gold` and `predicted` [sentences][words]; `types` are the entity types that either may hold."""
    names = [*COUNTS, *(f"{count}_{kind}" for kind in types for count in COUNTS)]
    table = {name: np.zeros(len(gold), dtype=np.int64) for name in names}
    entities = _strict_entities if strict else _entities
    for row, (one, other) in enumerate(zip(gold, predicted, strict=True)):
        wanted, found = entities(one), entities(other)
        for count, members in zip(COUNTS, (wanted & found, found, wanted), strict=True):
            table[count][row] = len(members)
            for kind, *_ in members:
                table[f"{count}_{kind}"][row] += 1
    return table


def entity_metrics(outcomes: Outcomes) -> dict[str, float]:
    """`f1`, `precision`, `recall` in percent, and `f1_TYPE` of every type in `outcomes`; 0 where nothing was counted."""
    totals = {name: int(values.sum()) for name, values in outcomes.items()}
    correct, predicted, gold = (totals[count] for count in COUNTS)
    metrics = {
        "f1": _percent(2 * correct, predicted + gold),
        "precision": _percent(correct, predicted),
        "recall": _percent(correct, gold),
    }
    for kind in sorted(name.removeprefix("gold_") for name in totals if name.startswith("gold_")):
        found = totals[f"predicted_{kind}"] + totals[f"gold_{kind}"]
        metrics[f"f1_{kind}"] = _percent(2 * totals[f"correct_{kind}"], found)
    return metrics


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def _entities(tags: Sequence[str]) -> set[tuple[Any, ...]]:
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities(list(tags)))


def _strict_entities(tags: Sequence[str]) -> set[tuple[Any, ...]]:
    from seqeval.scheme import IOB2, Entities

    (found,) = Entities([list(tags)], IOB2).entities
    return {(entity.tag, entity.start, entity.end) for entity in found}
