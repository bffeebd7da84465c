"""Checks the tokens of a split: ids that the model's embedding has, and words most of which the tokenizer knows.

With a vocabulary of another language, or a damaged one, every word is the same unknown token, and training would not notice.
"""

from typing import Any

import numpy as np

from tasks.base import ModelError, TaskError
from tasks.pipeline.features import Features

UNKNOWN, ENOUGH = 0.5, 20
"""The largest share of unknown words, and the fewest words of which a share is taken. In the tokenizer's own language a few words in a
hundred are unknown."""
NOTED = 0.1
"""The share of unknown words from which on a record says so: those with capitals, where the tokenizer has lost its lower-casing."""


def check_tokens(name: str, tokenizer: Any, vocabulary: int | None, features: Features, where: str) -> str:
    """A note where many words of the split `where` are unknown to the tokenizer, else "".

    ModelError where tokens are beyond the embedding of `vocabulary` rows (None: not known), or most of them unknown; TaskError where
    there are none besides the tokenizer's own.
    """
    values = features.ragged["input_ids"][0]
    if vocabulary is not None and len(values) and (int(values.min()) < 0 or int(values.max()) >= vocabulary):
        raise ModelError(
            f"the tokenizer of model {name!r} makes token ids from {values.min()} to {values.max()} of {where}, the embedding has "
            f"{vocabulary} rows: save the model's own tokenizer"
        )
    unknown = tokenizer.unk_token_id
    own = [at for at in tokenizer.all_special_ids if at != unknown]
    words = values[~np.isin(values, own)]
    if not len(words):
        raise TaskError(f"{where}: all texts are empty, as the tokenizer of model {name!r} reads them")
    count = 0 if unknown is None or unknown == tokenizer.eos_token_id else int((words == unknown).sum())
    if count > UNKNOWN * len(words) and len(words) >= ENOUGH:
        raise ModelError(
            f"the tokenizer of model {name!r} knows {len(words) - count:,} of the {len(words):,} words of {where}: expected most of "
            f"them; it is of another language, or its vocabulary is damaged"
        )
    if count > NOTED * len(words) and len(words) >= ENOUGH:
        return f"{where}: {count:,} of {len(words):,} words are unknown to the model's tokenizer, and all alike to the model"
    return ""
