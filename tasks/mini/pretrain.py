"""Pretrains the two tiny checkpoints on text of the mini data's generator, with seeds no data set uses.

    python -m tasks.mini.pretrain encoder|decoder [FOLDER]

The encoder (BERT-shaped) learns masked words, the decoder (GPT-2-shaped) the next token; one CPU core, some minutes.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from tasks.mini import chronicle, inns, news, reviews
from tasks.mini.vocabulary import byte_pairs, wordpiece
from tasks.mini.words import Names

NAMES = Names(unseen=0.0)
STEPS = {"encoder": 6000, "decoder": 4000}
BATCH = 64
RATE = 2e-3


def encoder_text(rng: Random) -> tuple[str, str | None]:
    """One text, or a question with its passage, for the encoder."""
    kind = rng.random()
    if kind < 0.35:
        return reviews.review_with_verdict(rng, NAMES), None
    if kind < 0.6:
        return news.report_with_gloss(rng, NAMES), None
    return chronicle.passage_with_answer(rng, NAMES)


def decoder_text(rng: Random) -> str:
    """One text for the decoder: ship records with their sentences, passages, news and reviews."""
    kind = rng.random()
    if kind < 0.6:
        record, text = inns.ship(rng, NAMES)
        return f"{record}\n{text}"
    if kind < 0.8:
        return chronicle.passage(rng, NAMES, 1)[0]
    return news.report_with_gloss(rng, NAMES)


def encoder_model(size: int) -> Any:
    """A BERT of two layers for `size` word pieces, fresh from torch's seed."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=size,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.05,
    )
    return BertForMaskedLM(config)


def decoder_model(size: int, end: int) -> Any:
    """A GPT-2 of two layers for `size` tokens, fresh from torch's seed."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=size,
        n_positions=192,
        n_embd=64,
        n_layer=3,
        n_head=4,
        n_inner=128,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end + 1,
        initializer_range=0.05,
    )
    return GPT2LMHeadModel(config)


def mask(ids: Tensor, special: Tensor, mask_id: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """BERT's corruption of `ids` [batch, length], each row at its own rate in [0.1, 0.4]; returns inputs and labels."""
    rate = 0.1 + 0.3 * torch.rand(len(ids), 1, generator=generator)
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~special
    how = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(5, size, ids.shape, generator=generator)
    inputs = torch.where(chosen & (how < 0.8), mask_id, ids)
    inputs = torch.where(chosen & (how > 0.9), noise, inputs)
    return inputs, torch.where(chosen, ids, -100)


def encoder_batches(tokenizer: Any, steps: int) -> Iterator[dict[str, Tensor]]:
    """Masked batches of like texts."""
    rng, generator = Random("mini/pretrain/encoder"), torch.Generator().manual_seed(0)
    for _ in range(steps):
        texts = [encoder_text(rng) for _ in range(BATCH)]
        rows = [t if t[1] is not None else t[0] for t in texts]
        batch = tokenizer(rows, padding=True, return_tensors="pt") if False else encode(tokenizer, texts)
        ids = batch["input_ids"]
        special = ids < 5
        batch["input_ids"], batch["labels"] = mask(ids, special, tokenizer.mask_token_id, len(tokenizer), generator)
        yield batch


def encode(tokenizer: Any, texts: list[tuple[str, str | None]]) -> dict[str, Tensor]:
    """Padded tensors of texts and pairs."""
    rows = [tokenizer(first, second) for first, second in texts]
    return dict(tokenizer.pad(rows, return_tensors="pt"))


def decoder_batches(tokenizer: Any, steps: int) -> Iterator[dict[str, Tensor]]:
    """Batches of whole texts, each ended."""
    rng = Random("mini/pretrain/decoder")
    for _ in range(steps):
        texts = [decoder_text(rng) + tokenizer.eos_token for _ in range(BATCH)]
        batch = dict(tokenizer(texts, padding=True, return_tensors="pt"))
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        yield batch


def train(model: nn.Module, batches: Iterator[dict[str, Tensor]], steps: int) -> None:
    """AdamW with a short warm-up and linear decay to zero; prints the loss now and then."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min((t + 1) / 200, (steps - t) / steps))
    total = 0.0
    for number, batch in enumerate(batches, 1):
        loss: Tensor = model(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        total += loss.item()
        if number % 200 == 0:
            print(f"step {number}/{steps} loss {total / 200:.3f}", flush=True)
            total = 0.0


def main() -> None:
    """Pretrain one checkpoint and save it with its tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("encoder", "decoder"))
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.manual_seed(0)
    steps = options.steps or STEPS[options.which]
    encoder = options.which == "encoder"
    tokenizer = wordpiece(encoder_text) if encoder else byte_pairs(decoder_text)
    model = encoder_model(len(tokenizer)) if encoder else decoder_model(len(tokenizer), tokenizer.eos_token_id)
    train(model, encoder_batches(tokenizer, steps) if encoder else decoder_batches(tokenizer, steps), steps)
    target = options.folder / options.which
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    main()
