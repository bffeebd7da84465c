"""Attention masks made without a look at them: the library's own answers, for encoders and decoders, padded or not."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.training.unread_masks import ATTENTION, always_make_masks

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 60}


def config_of(kind: str) -> object:
    """A tiny model's configuration."""
    from transformers import BartConfig, GPT2Config, LlamaConfig, ModernBertConfig, RobertaConfig, T5Config

    if kind == "bart":
        sides = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
        return BartConfig(d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=60, **sides)
    return {
        "roberta": lambda: RobertaConfig(**SIZES),
        "modernbert": lambda: ModernBertConfig(
            **SIZES, local_attention=6, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
        ),
        "llama": lambda: LlamaConfig(**SIZES, pad_token_id=0),
        "gpt2": lambda: GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=60, bos_token_id=1, eos_token_id=2),
        "t5": lambda: T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, vocab_size=60),
    }[kind]()


def built(kind: str) -> nn.Module:
    """A model of that kind, drawn at random, in eval mode."""
    from transformers import AutoModel

    torch.manual_seed(0)
    model: nn.Module = AutoModel.from_config(config_of(kind)).eval()
    return model


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("kind", ["roberta", "modernbert", "llama", "gpt2", "bart", "t5"])
def test_a_model_answers_as_before(kind: str, padding: str) -> None:
    model = built(kind)
    changed: Any = copy.deepcopy(model)
    always_make_masks(changed)
    assert changed.config._attn_implementation == ATTENTION
    ids = torch.randint(5, 60, (3, 16), generator=torch.Generator().manual_seed(1))
    seen = torch.ones_like(ids)
    if padding != "none":
        seen[1, 10:], seen[2, 3:] = 0, 0
    if padding == "left":
        seen = seen.flip(1)
    inputs = {"input_ids": ids, "attention_mask": seen} | ({"decoder_input_ids": ids} if kind in ("bart", "t5") else {})
    with torch.no_grad():
        one, other = model(**inputs)[0], changed(**inputs)[0]
    torch.testing.assert_close(one[seen.bool()], other[seen.bool()])


def test_other_attention_is_left_alone() -> None:
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(**SIZES, attn_implementation="eager"))
    always_make_masks(model)
    assert model.config._attn_implementation == "eager"
    always_make_masks(nn.Linear(2, 2))
