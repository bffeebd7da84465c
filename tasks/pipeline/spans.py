"""Answers as spans: where a gold answer stands in a text and in its tokens, and the best span of a model's logits."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def best_spans(logits: Tensor, inside: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """score, start and end [windows] of the best span of at most `longest` tokens within `inside` [windows, length].

    `logits` [2 * windows, length] are the starts' and the ends'; the search is over all pairs, so it finds the maximum.
    """
    starts, ends = logits.masked_fill(~inside.repeat(2, 1), -torch.inf).chunk(2)
    reach = min(longest, starts.shape[1])
    ahead = nn.functional.pad(ends, (0, reach - 1), value=-torch.inf).unfold(1, reach, 1)
    score, at = (starts[:, :, None] + ahead).flatten(1).max(1)
    return score, at // reach, at // reach + at % reach


def null_scores(logits: Tensor, cls: Tensor) -> Tensor:
    """Start plus end logit of [CLS], which stands at `cls` [windows]; `logits` [2 * windows, length] as in `best_spans`."""
    return logits.gather(1, cls.repeat(2)[:, None]).view(2, -1).sum(0)


def positions(batch: Mapping[str, Tensor]) -> Tensor:
    """[length] 0, 1, ... on the batch's device."""
    return torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)


def paragraph(batch: Mapping[str, Tensor]) -> Tensor:
    """[windows, length] True at the paragraph's tokens, which stand from `first` to `last` [windows]."""
    at = positions(batch)
    return (at >= batch["first"][:, None]) & (at <= batch["last"][:, None])


def locate(context: str, text: str, begin: int) -> int | None:
    """Where the answer stands: at `begin`, or up to two characters beside it, as in some copies of the set; else None.

    `begin` may also count UTF-16 units or UTF-8 bytes, as tools written in other languages do.
    """
    places = [begin + shift for shift in (0, -1, 1, -2, 2)]
    if begin >= 0 and not context.isascii():
        places.append(len(context.encode("utf-16-le", "surrogatepass")[: 2 * begin].decode("utf-16-le", "ignore")))
        places.append(len(context.encode("utf-8", "surrogatepass")[:begin].decode("utf-8", "ignore")))
    return next((at for at in places if at >= 0 and context[at : at + len(text)] == text), None)


def token_span(
    begins: Sequence[int], ends: Sequence[int], first: int, last: int, begin: int, end: int
) -> tuple[int, int] | None:
    """First and last of the tokens `first` to `last` that touch the characters begin:end; None where they hold not all of it.

    `begins`, `ends` [length] are each token's characters.
    """
    if last < first or end <= begin or begin < begins[first] or end > ends[last]:
        return None
    start = next(position for position in range(first, last + 1) if ends[position] > begin)
    stop = next(position for position in range(last, first - 1, -1) if begins[position] < end)
    return start, stop
