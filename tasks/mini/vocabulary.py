"""Tokenizers of the two tiny checkpoints, built from generated text and every character, so that any word encodes."""

from collections import Counter
from collections.abc import Callable
from random import Random
from string import ascii_lowercase, digits, punctuation
from typing import Any

from tasks.mini.words import ENDINGS, ROOTS, STEMS

SAMPLE = 20000
"""Texts a vocabulary is drawn from."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece(text: Callable[[Random], tuple[str, str | None]]) -> Any:
    """A lower-casing WordPiece tokenizer: the common words, the syllables of names, all ASCII characters."""
    from transformers import BertTokenizerFast

    pieces = dict.fromkeys(SPECIAL)
    pieces |= dict.fromkeys(common_words(text))
    pieces |= dict.fromkeys(STEMS) | dict.fromkeys(f"##{ending}" for ending in (*ENDINGS, "ish"))
    characters = ascii_lowercase + digits
    pieces |= dict.fromkeys(characters) | dict.fromkeys(f"##{c}" for c in characters) | dict.fromkeys(punctuation)
    return BertTokenizerFast(vocab={piece: number for number, piece in enumerate(pieces)}, do_lower_case=True)


def common_words(text: Callable[[Random], tuple[str, str | None]]) -> list[str]:
    """The words seen at least five times, names aside, by number."""
    from tokenizers.pre_tokenizers import BertPreTokenizer

    rng, split, seen = Random("mini/vocabulary"), BertPreTokenizer(), Counter[str]()
    for _ in range(SAMPLE):
        joined = " ".join(part for part in text(rng) if part)
        seen.update(word for word, _ in split.pre_tokenize_str(joined.lower()))
    names = {root.lower() for root in ROOTS} | {f"{root.lower()}ish" for root in ROOTS}
    kept = [word for word, count in seen.items() if count >= 5 and word not in names]
    return sorted(kept, key=lambda word: (-seen[word], word))


def byte_pairs(text: Callable[[Random], str]) -> Any:
    """A byte-level BPE tokenizer as GPT-2's, trained on generated text; the end token comes second to last, padding last."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = Random("mini/vocabulary")
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    raw.train_from_iterator((text(rng) for _ in range(SAMPLE)), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, clean_up_tokenization_spaces=False)
    tokenizer.add_special_tokens(
        {"bos_token": "<|end|>", "eos_token": "<|end|>", "unk_token": "<|end|>", "pad_token": "<|pad|>"}
    )
    return tokenizer
