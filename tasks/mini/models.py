"""The shapes of the three tiny checkpoints, and how their weights begin.

Positions begin as sinusoids, keys as queries and output projections as transposed values, so that a token's attention starts
out on its likes and hands them on (mimetic initialization, Trockman and Kolter 2023, https://arxiv.org/abs/2305.09828):
so small a model learns to copy and to match within minutes.
"""

from typing import Any

import torch
from torch import Tensor

SPREAD = 0.1
"""Standard deviation of the first weights."""


def encoder(size: int) -> Any:
    """A BERT of three layers for `size` word pieces, with its masked-word head and its head over the whole text."""
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(
        vocab_size=size,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=SPREAD,
    )
    model = BertForPreTraining(config)
    with torch.no_grad():
        positions = model.bert.embeddings.position_embeddings.weight
        positions.copy_(sinusoids(*positions.shape))
        for layer in model.bert.encoder.layer:
            layer.attention.self.key.weight.copy_(layer.attention.self.query.weight)
            layer.attention.output.dense.weight.copy_(layer.attention.self.value.weight.T)
    return model


def decoder(size: int, end: int, padding: int) -> Any:
    """A GPT-2 of three layers for `size` tokens, of which `end` ends a text and `padding` fills up."""
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
        pad_token_id=padding,
        initializer_range=SPREAD,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        positions = model.transformer.wpe.weight
        positions.copy_(sinusoids(*positions.shape))
        for block in model.transformer.h:
            query, _, value = block.attn.c_attn.weight.split(64, dim=1)
            block.attn.c_attn.weight[:, 64:128] = query
            block.attn.c_proj.weight.copy_(value.T)
    return model


def sinusoids(count: int, width: int) -> Tensor:
    """Sinusoidal positions [count, width], each as long as a word's first embedding."""
    frequencies = 1000.0 ** (-torch.arange(width // 2) / (width // 2))
    angles = torch.arange(count).unsqueeze(1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1) * (SPREAD * 2**0.5)
