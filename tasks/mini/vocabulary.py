"""Tokenizers of the three tiny checkpoints: the words and syllables of the generated texts, and every character besides."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from string import ascii_lowercase, digits, punctuation
from typing import Any

from tasks.mini import corpus
from tasks.mini.words import ENDINGS, ROOTS, STEMS

SAMPLE = 5000
"""Texts a vocabulary is drawn from."""
LEAST = 5
"""A word seen less often is spelt in pieces."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAIRS = 900
"""Size of the decoder's vocabulary, its two special tokens aside."""


def wordpiece() -> Any:
    """A lower-casing WordPiece tokenizer: common words, the syllables of names, letters, digits and punctuation."""
    from transformers import BertTokenizerFast

    characters = ascii_lowercase + digits
    pieces = [*SPECIAL, *common_words(), *STEMS, *(f"##{ending}" for ending in (*ENDINGS, "ish"))]
    pieces += [*characters, *(f"##{character}" for character in characters), *punctuation]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizerFast(vocab=vocab, do_lower_case=True)


def common_words() -> list[str]:
    """The words of the corpus, names aside, the most frequent first."""
    from tokenizers.pre_tokenizers import BertPreTokenizer

    rng, split, seen = Random("mini/vocabulary"), BertPreTokenizer(), Counter[str]()
    for _ in range(SAMPLE):
        seen.update(word for text in corpus.plain(rng) for word, _ in split.pre_tokenize_str(text.lower()))
    names = {root.lower() for root in ROOTS} | {f"{root.lower()}ish" for root in ROOTS}
    kept = [word for word, count in seen.items() if count >= LEAST and word not in names]
    return sorted(kept, key=lambda word: (-seen[word], word))


def byte_pairs() -> Any:
    """A byte-level BPE tokenizer as GPT-2's; the last two tokens end a text and fill up."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=PAIRS, initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator(decoder_texts(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, clean_up_tokenization_spaces=False)
    end = "<|end|>"
    tokenizer.add_special_tokens({"bos_token": end, "eos_token": end, "unk_token": end, "pad_token": "<|pad|>"})
    return tokenizer


def decoder_texts() -> Iterator[str]:
    """Records and their sentences."""
    rng = Random("mini/vocabulary")
    for _ in range(2 * SAMPLE):
        yield "\n".join(corpus.record(rng))
