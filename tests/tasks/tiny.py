"""Tiny random checkpoints and data files for the task tests: nothing is downloaded, nothing is trained."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.base import TaskError
from tasks.formats.columns import TAG, WORD, scan_columns
from tasks.formats.tags import Sentence
from tasks.formats.triples import Pair

TEXT = """
the a cat dog sat ran on in mat house who where what did is was old new grey red green river bank city of and
went to from tower built 1066 king queen name ##s ##ing . , ? ' " ( ) - :
"""
WORDS = TEXT.split()

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}

SPECIAL: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "albert": {"embedding_size": 8},
    "electra": {"embedding_size": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "roberta": {"type_vocab_size": 1, "max_position_embeddings": 130},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128},
    "llama": {"num_key_value_heads": 2},
    "bart": {
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "decoder_start_token_id": 2,
        "forced_eos_token_id": None,
    },
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0},
}  # fmt: skip


def checkpoint(folder: Path, model_type: str = "bert", weights: bool = True, **overrides: Any) -> Path:
    """A tiny checkpoint folder of `model_type`: configuration, tokenizer, and random base weights unless asked not."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = word_tokenizer(decoder=model_type in {"gpt2", "llama"})
    tokenizer.save_pretrained(folder)
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")}
    options: dict[str, Any] = {"vocab_size": len(tokenizer), "max_position_embeddings": 128, **SIZES}
    options |= {f"{name}_token_id": at for name, at in ids.items() if at is not None}
    config = transformers.AutoConfig.for_model(model_type, **options | SPECIAL.get(model_type, {}) | overrides)
    config.save_pretrained(folder)
    if weights:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


def word_tokenizer(decoder: bool = False) -> Any:
    """A WordPiece tokenizer of a few dozen words and letters; a decoder's has an end of text and nothing else."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(at) for at in range(ord("a"), ord("z") + 1)]
    names = ["<eos>", "[UNK]"] if decoder else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<eos>"]
    pieces = dict.fromkeys([*names, *letters, *(f"##{letter}" for letter in letters), *WORDS])
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if decoder:
        return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", unk_token="[UNK]")
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", bos_token="[CLS]", eos_token="[SEP]",
    )  # fmt: skip


def write_sst2(folder: Path, train: int = 40, dev: int = 12) -> Path:
    """SST-2 files of sentences of many lengths."""
    for name, count in (("train", train), ("dev", dev)):
        rows = [(" ".join(WORDS[at % 30 : at % 30 + 1 + at % 7]), at % 2) for at in range(count)]
        write_tsv(folder / "glue/SST-2" / f"{name}.tsv", [("sentence", "label"), *rows])
    return folder


def write_tsv(path: Path, rows: Iterable[Iterable[object]], end: str = "\n", start: str = "") -> Path:
    """Tab-separated, unquoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = start + "".join("\t".join(map(str, row)) + end for row in rows)
    path.write_bytes(text.encode())
    return path


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> Path:
    """Comma-separated, quoted where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def squad_json(paragraphs: Iterable[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """The official nesting of one article."""
    return {
        "version": "1.1",
        "data": [{"title": "t", "paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs]}],
    }


def question(name: str, text: str, context: str, *answers: str, **fields: Any) -> dict[str, Any]:
    """A question entry; answers are found in the paragraph."""
    found = [{"text": answer, "answer_start": context.index(answer)} for answer in answers]
    return {"id": name, "question": text, "answers": found, **fields}


def write_squad(folder: Path, version: str = "1.1") -> Path:
    """A few questions: a short paragraph, and one much longer than 48 tokens with its answer near the end."""
    short = "the old cat sat on the grey mat in the house ."
    long = " ".join(["the dog ran in the city ."] * 12) + " the tower was built in 1066 . " + "the king went to . " * 5
    extra = {"is_impossible": False} if version == "2.0" else {}
    entries = [
        (short, [question("q0", "where did the cat sit ?", short, "on the grey mat", "the grey mat", **extra)]),
        (long, [question("q1", "what was built in 1066 ?", long, "the tower", **extra)]),
    ]
    if version == "2.0":
        impossible = {"id": "q2", "question": "who was queen ?", "answers": [], "is_impossible": True}
        entries[0][1].append(impossible)
    target = folder / ("squad" if version == "1.1" else "squad_v2")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("train", "dev"):
        (target / f"{name}-v{version}.json").write_text(json.dumps(squad_json(entries)), encoding="utf-8")
    return folder


def pairs_of(found: Iterable[Pair | TaskError]) -> list[Pair]:
    """What a reader that stops at malformed records yields."""
    read = list(found)
    pairs = [one for one in read if isinstance(one, Pair)]
    assert len(pairs) == len(read)
    return pairs


def sentences_of(path: Path, word: str = WORD, tag: str = TAG) -> list[Sentence]:
    """The sentences of a column file without malformed ones."""
    return [one for one in scan_columns(path, word, tag) if isinstance(one, Sentence)]
