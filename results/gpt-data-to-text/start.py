"""The dense start of this board: a small GPT-2 trained from nothing on E2E's training texts.

    python results/gpt-data-to-text/start.py DATA FOLDER

DATA holds e2e/trainset.csv; FOLDER receives model and tokenizer, which the board is then run with: `--model FOLDER`. Nothing of the
test set is used but for the score that is printed at the end.
"""

import csv
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmark import RunSpec, run
from tasks.e2e import linearise

VOCABULARY = 2000
STEPS = 1200
TRAINING = {"lr": 2e-3, "max_length": 128, "steps": STEPS, "batch_size": 32, "weight_decay": 0.01}


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of VOCABULARY pieces, learnt from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<eos>"]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<eos>")


def untrained(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """4 layers of width 192: 1.8 M weights in its matrices."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=256, n_embd=192, n_layer=4, n_head=6,
        bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def main(data: Path, folder: Path) -> None:
    """Train the start and save it."""
    with (data / "e2e" / "trainset.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["ref"] for row in rows] + [linearise(row["mr"], "trainset.csv") for row in rows]
    with tempfile.TemporaryDirectory() as place:
        tokenizer = tokenizer_of(texts)
        tokenizer.save_pretrained(place)
        untrained(tokenizer).save_pretrained(place)
        result = run(RunSpec(task="e2e", model=place, data=str(data), training=TRAINING))
    result.prepared.save(result.model, folder)
    print(f"E2E test: BLEU {result.record.score:.2f}, as a dense run of {STEPS} steps")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
