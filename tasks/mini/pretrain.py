"""Pretrains the three tiny checkpoints on generated text that no embedded data set holds; one CPU core, a few minutes each.

python -m tasks.mini.pretrain encoder|decoder|writer [FOLDER]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from tasks.mini import corpus, models, vocabulary
from tasks.mini.objectives import EncoderLoss, decoder_loss, writer_loss

STEPS = {"encoder": 7000, "decoder": 500, "writer": 1500}
BATCH = 32
ARTICLES, WINDOW = 8, 128
"""Articles of a batch of the writer's, and tokens of a window of them."""
PEAK = 2e-3
"""Learning rate after the warm-up."""
WARMUP, REPORT = 200, 250
"""Steps of warm-up; steps between two lines of progress."""


def pretrain_encoder(folder: Path, steps: int) -> None:
    """Train and save the encoder with its tokenizer."""
    tokenizer = vocabulary.wordpiece()
    model = models.encoder(len(tokenizer))
    loss = EncoderLoss(model, tokenizer, Random("mini/pretrain/encoder"), BATCH)
    train(loss.parameters(), loss, steps)
    save(model, tokenizer, folder / "encoder")


def pretrain_decoder(which: str, folder: Path, steps: int) -> None:
    """Train and save the decoder or the writer, which differ in their texts alone, with their tokenizer."""
    rng = Random(f"mini/pretrain/{which}")
    tokenizer = vocabulary.byte_pairs()
    model = models.decoder(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)

    def loss() -> Tensor:
        if which == "decoder":
            return decoder_loss(model, tokenizer, [corpus.record(rng) for _ in range(BATCH)])
        return writer_loss(model, tokenizer, [corpus.article(rng) for _ in range(ARTICLES)], WINDOW)

    train(list(model.parameters()), loss, steps)
    save(model, tokenizer, folder / which)


def train(parameters: list[nn.Parameter], loss: Callable[[], Tensor], steps: int) -> None:
    """AdamW with a warm-up and linear decay to zero."""
    optimizer = torch.optim.AdamW(parameters, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min((t + 1) / WARMUP, (steps - t) / steps))
    total, begin = 0.0, time.perf_counter()
    for step in range(1, steps + 1):
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        total += value.item()
        if step % REPORT == 0:
            print(f"step {step}/{steps}: loss {total / REPORT:.3f}, {time.perf_counter() - begin:.0f} s", flush=True)
            total = 0.0


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer as a Hugging Face folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)


def main() -> None:
    """Pretrain one checkpoint from seed 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=tuple(STEPS))
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.manual_seed(0)
    steps = options.steps or STEPS[options.which]
    if options.which == "encoder":
        pretrain_encoder(options.folder, steps)
    else:
        pretrain_decoder(options.which, options.folder, steps)


if __name__ == "__main__":
    main()
