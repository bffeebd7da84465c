"""The dense starts of this board and of gpt-webnlg, gpt-e2e-100 and gpt-webnlg-100: small GPT-2s trained from nothing on the training
texts of a task.

    python results/gpt-data-to-text/start.py e2e|webnlg/2017 DATA FOLDER

DATA holds the benchmark's own files; FOLDER receives model and tokenizer, which the board is then run with: `--model FOLDER`. Nothing
of the test set is used but for the score that is printed at the end.
"""

import csv
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmark import RunSpec, run
from tasks.e2e import linearise
from tasks.formats.triples import read_xml

TRAINING = {"lr": 2e-3, "batch_size": 32, "weight_decay": 0.01}


@dataclass(frozen=True)
class Start:
    """Pieces of the vocabulary, optimizer steps, longest input, and where the texts are."""

    vocabulary: int
    steps: int
    max_length: int
    texts: Callable[[Path], list[str]]


def texts_of_e2e(data: Path) -> list[str]:
    """What is told and what it is told from, of every row."""
    with (data / "e2e" / "trainset.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["ref"] for row in rows] + [linearise(row["mr"], "trainset.csv") for row in rows]


def texts_of_webnlg(data: Path) -> list[str]:
    """Likewise, of every entry's every text."""
    paths = sorted(data.glob("webnlg/webnlg_challenge_2017/train/*/*.xml"))
    pairs = [pair for path in paths for pair in read_xml(path, clean=True)]
    return [text for pair in pairs for text in (*pair.texts, *[pair.source] * len(pair.texts))]


STARTS = {"e2e": Start(2000, 1200, 128, texts_of_e2e), "webnlg/2017": Start(4000, 2000, 192, texts_of_webnlg)}


def tokenizer_of(texts: list[str], pieces: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of so many pieces, learnt from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<eos>"]
    trainer = trainers.BpeTrainer(vocab_size=pieces, special_tokens=special, initial_alphabet=alphabet)
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


def main(task: str, data: Path, folder: Path) -> None:
    """Train the start and save it."""
    start = STARTS[task]
    with tempfile.TemporaryDirectory() as place:
        tokenizer = tokenizer_of(start.texts(data), start.vocabulary)
        tokenizer.save_pretrained(place)
        untrained(tokenizer).save_pretrained(place)
        training = {**TRAINING, "steps": start.steps, "max_length": start.max_length}
        result = run(RunSpec(task=task, model=place, data=str(data), training=training))
    result.prepared.save(result.model, folder)
    print(f"{task} test: BLEU {result.record.score:.2f}, as a dense run of {start.steps} steps")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
