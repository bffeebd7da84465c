"""What counts as prunable, by hand from the configuration of a dozen architectures; and views of what is stored transposed."""

from typing import Any

import pytest
import torch
import transformers
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix, find_prunable

H, F, L, V = 8, 12, 2, 30
"""Hidden size, feed-forward size, layers, vocabulary: tiny, and no two alike."""

BERT: dict[str, Any] = {
    "vocab_size": V,
    "hidden_size": H,
    "num_hidden_layers": L,
    "num_attention_heads": 2,
    "intermediate_size": F,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
}
ENCODER_LAYER = 4 * H * H + 2 * H * F
"""Query, key, value, output; up and down."""
ENCODER_BIASES = 4 * H + F + H

CASES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    # model_type: (head, configuration, weights in matrices, biases of the same layers)
    "bert": ("AutoModelForSequenceClassification", BERT, L * ENCODER_LAYER, L * ENCODER_BIASES),
    "roberta": ("AutoModelForSequenceClassification", BERT, L * ENCODER_LAYER, L * ENCODER_BIASES),
    "electra": (
        "AutoModelForSequenceClassification",
        BERT | {"embedding_size": 4},  # and so a projection from 4 to H outside the blocks
        L * ENCODER_LAYER,
        L * ENCODER_BIASES,
    ),
    "mpnet": ("AutoModelForSequenceClassification", BERT, L * ENCODER_LAYER, L * ENCODER_BIASES),
    "deberta-v2": (
        "AutoModelForSequenceClassification",
        BERT
        | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 4, "type_vocab_size": 0},
        L * (ENCODER_LAYER + 2 * H * H),  # disentangled attention projects positions to keys and to queries
        L * (ENCODER_BIASES + 2 * H),
    ),
    "distilbert": (
        "AutoModelForSequenceClassification",
        {"vocab_size": V, "dim": H, "n_layers": L, "n_heads": 2, "hidden_dim": F, "max_position_embeddings": 16},
        L * ENCODER_LAYER,
        L * ENCODER_BIASES,
    ),
    "albert": (
        "AutoModelForSequenceClassification",
        BERT | {"embedding_size": 4, "num_hidden_groups": 1},
        ENCODER_LAYER,  # all layers share one
        ENCODER_BIASES,
    ),
    "modernbert": (
        "AutoModelForSequenceClassification",
        BERT | {"global_attn_every_n_layers": 2, "local_attention": 4},
        L * (4 * H * H + 3 * H * F),  # gated: the input projection is twice as wide
        0,
    ),
    "gpt2": (
        "AutoModelForCausalLM",
        {"vocab_size": V, "n_embd": H, "n_layer": L, "n_head": 2, "n_inner": F, "n_positions": 16},
        L * ENCODER_LAYER,
        L * ENCODER_BIASES,
    ),
    "llama": (
        "AutoModelForCausalLM",
        BERT | {"num_key_value_heads": 1},  # keys and values half as wide
        L * (2 * H * H + 2 * H * (H // 2) + 3 * H * F),
        0,
    ),
    "bart": (
        "AutoModelForSeq2SeqLM",
        {
            "vocab_size": V,
            "d_model": H,
            "encoder_layers": L,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": F,
            "decoder_ffn_dim": F,
            "max_position_embeddings": 16,
        },
        L * ENCODER_LAYER + (ENCODER_LAYER + 4 * H * H),  # a decoder layer attends to the encoder too
        L * ENCODER_BIASES + (ENCODER_BIASES + 4 * H),
    ),
    "t5": (
        "AutoModelForSeq2SeqLM",
        {
            "vocab_size": V,
            "d_model": H,
            "d_kv": 3,
            "num_heads": 2,
            "num_layers": L,
            "num_decoder_layers": 1,
            "d_ff": F,
            "relative_attention_num_buckets": 4,
        },
        L * (4 * H * 6 + 2 * H * F) + (8 * H * 6 + 2 * H * F),  # heads are 2 x 3 wide
        0,
    ),
}


def build(kind: str) -> nn.Module:
    """A tiny random model of this architecture, with its task's head."""
    head, options, _, _ = CASES[kind]
    config = transformers.AutoConfig.for_model(kind, **options)
    with torch.device("meta"):
        model: nn.Module = getattr(transformers, head).from_config(config)
    return model


@pytest.mark.parametrize("kind", CASES)
def test_count_by_hand(kind: str) -> None:
    _, _, weights, biases = CASES[kind]
    model = build(kind)
    assert sum(matrix.parameter.numel() for matrix in find_prunable(model)) == weights
    assert sum(matrix.parameter.numel() for matrix in find_prunable(model, biases=True)) == weights + biases


@pytest.mark.parametrize("kind", CASES)
def test_only_matrices_and_none_of_what_lies_outside_the_blocks(kind: str) -> None:
    matrices = find_prunable(build(kind))
    outside = (
        "embed",
        "wte",
        "wpe",
        "norm",
        "ln_",
        "pooler",
        "classifier",
        "pre_classifier",
        "lm_head",
        "shared",
        "bias",
    )
    assert all(matrix.parameter.dim() == 2 for matrix in matrices)
    assert [m.name for m in matrices if any(word in m.name.lower() for word in outside)] == []


@pytest.mark.parametrize("kind", CASES)
def test_every_parameter_once_under_its_own_name(kind: str) -> None:
    model = build(kind)
    matrices = find_prunable(model, biases=True)
    assert len({id(matrix.parameter) for matrix in matrices}) == len(matrices)
    named = dict(model.named_parameters())
    assert all(named[matrix.name] is matrix.parameter for matrix in matrices)


def test_gpt2_is_seen_as_out_by_in() -> None:
    shapes = {matrix.name.rsplit(".", 2)[-2]: matrix.shape for matrix in find_prunable(build("gpt2"))[:1]}
    assert shapes == {"c_attn": (3 * H, H)}
    assert [matrix.shape for matrix in find_prunable(build("gpt2"))[:4]] == [(3 * H, H), (H, H), (F, H), (H, F)]


def test_tied_weights_count_once() -> None:
    layer = nn.Linear(3, 2)
    model = nn.Sequential()
    model.blocks = nn.ModuleList([layer, layer])
    other = nn.Linear(3, 2)
    other.weight = layer.weight
    model.blocks.append(other)
    assert [matrix.name for matrix in find_prunable(model)] == ["blocks.0.weight"]


def test_a_bias_is_one_column() -> None:
    model = nn.Sequential()
    model.blocks = nn.ModuleList([nn.Linear(3, 2)])
    assert [(m.name, m.shape) for m in find_prunable(model, biases=True)] == [
        ("blocks.0.weight", (2, 3)),
        ("blocks.0.bias", (2, 1)),
    ]


def test_a_transposed_view_shares_its_storage() -> None:
    matrix = Matrix("c_fc.weight", nn.Parameter(torch.arange(6.0).view(2, 3)), transposed=True)
    stored = torch.arange(6.0)
    assert matrix.shape == (3, 2)
    assert matrix.view(stored).tolist() == [[0, 3], [1, 4], [2, 5]]
    matrix.view(stored)[2, 1] = -5
    assert stored.tolist() == [0, 1, 2, 3, 4, -5]


def test_nothing_to_prune_is_an_error() -> None:
    with pytest.raises(
        PrunebenchError, match=r"Linear has no prunable weights: expected trained linear layers in a list"
    ):
        find_prunable(nn.Linear(2, 2))


def test_frozen_parameters_are_left_out() -> None:
    """They have no gradients: ranked beside others they would all go first."""
    model = nn.Sequential()
    model.blocks = nn.ModuleList([nn.Linear(3, 2), nn.Linear(2, 2)])
    model.blocks[0].requires_grad_(False)
    assert [m.name for m in find_prunable(model, biases=True)] == ["blocks.1.weight", "blocks.1.bias"]
    with pytest.raises(PrunebenchError, match="no prunable weights"):
        find_prunable(model.requires_grad_(False))
