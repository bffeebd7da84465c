"""Batched beam search with the library's `generate`: prompts of like length together, decoders padded on the left.

Only the plan below decides how text is generated; hints that a checkpoint brings along (banned repeats, forced lengths) are
set aside, so that all models of a table are decoded alike. Nothing is drawn at random.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.pipeline.batching import budgeted

BATCH_ROWS, BATCH_TOKENS = 512, 32768
"""Bounds of a batch on a CPU: prompts, and tokens over all beams with the prompt and the longest answer in each."""
DEVICE_TOKENS = 4 * BATCH_TOKENS
"""Tokens on a device, which small batches leave idle: the keys and values of GPT-2 take some 5 GB of its memory then, in bf16."""


@dataclass(frozen=True)
class Plan:
    """How to decode: at most `new_tokens`, the best of `beams`, whose score is log-probability / length^length_penalty."""

    beams: int
    new_tokens: int
    length_penalty: float
    pad: int
    end: int
    decoder_only: bool
    """Prompts are continued (and padded on the left) rather than read by an encoder."""


def generate(model: nn.Module, prompts: Sequence[NDArray[np.int32]], plan: Plan) -> list[list[int]]:
    """Token ids that follow each prompt, up to and without the end of text, in the order of the prompts."""
    answers: list[list[int]] = [[] for _ in prompts]
    lengths = np.array([len(prompt) + plan.new_tokens for prompt in prompts], np.int64)
    with _decoding(model, plan):
        device = next(model.parameters()).device
        tokens = BATCH_TOKENS if device.type == "cpu" else DEVICE_TOKENS
        for rows in budgeted(lengths, BATCH_ROWS, tokens // plan.beams):
            ids, mask = pad([prompts[int(row)] for row in rows], plan.pad, left=plan.decoder_only)
            found: Tensor = model.generate(input_ids=ids.to(device), attention_mask=mask.to(device))  # type: ignore[operator]
            start = ids.shape[1] if plan.decoder_only else 1  # what an encoder-decoder begins with is no answer
            for row, answer in zip(rows, found[:, start:].tolist(), strict=True):
                answers[int(row)] = answer[: answer.index(plan.end)] if plan.end in answer else answer
    return answers


def pad(prompts: Sequence[NDArray[np.int32]], value: int, left: bool) -> tuple[Tensor, Tensor]:
    """ids and attention mask [prompts, longest], filled up with `value` on the left or the right."""
    width = max(map(len, prompts))
    ids = np.full((len(prompts), width), value, np.int64)
    mask = np.zeros((len(prompts), width), np.int64)
    for row, prompt in enumerate(prompts):
        place = slice(width - len(prompt), width) if left else slice(0, len(prompt))
        ids[row, place], mask[row, place] = prompt, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


@contextmanager
def _decoding(model: Any, plan: Plan) -> Iterator[None]:
    """The model with the plan for its generation settings, then with its own again."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(
        num_beams=plan.beams,
        max_new_tokens=plan.new_tokens,
        length_penalty=plan.length_penalty,
        early_stopping=plan.beams > 1,
        do_sample=False,
        pad_token_id=plan.pad,
        eos_token_id=plan.end,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
    )
    try:
        yield
    finally:
        model.generation_config = own
