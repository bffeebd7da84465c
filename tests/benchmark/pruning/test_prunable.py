"""What counts as prunable, by hand from the configuration of a dozen architectures; and views of what is stored transposed."""

import warnings
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix, find_prunable, left_dense, prunable_of

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


class Adapted(nn.Module):
    """A linear layer with low-rank adapters beside it, as adapter libraries write them."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base.requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, 1, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(1, base.out_features, bias=False)})


def two_blocks() -> Any:
    """6 and 4 weights."""
    model: Any = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(3, 2), nn.Linear(2, 2)])
    return model


def adapted() -> Any:
    model = two_blocks()
    model.blocks[0] = Adapted(model.blocks[0])
    return model


def first_frozen() -> Any:
    model = two_blocks()
    model.blocks[0].requires_grad_(False)
    return model


def quantised() -> Any:
    """Whole numbers, which no optimizer moves."""
    model = two_blocks()
    model.blocks[0].weight = nn.Parameter(torch.ones(2, 3, dtype=torch.int8), requires_grad=False)
    return model


def parametrized() -> Any:
    """The weight of the first layer is the product of two others."""
    model = two_blocks()
    torch.nn.utils.parametrizations.weight_norm(model.blocks[0])
    return model


def masked_by_torch() -> Any:
    """weight = weight_orig * weight_mask, anew in every forward."""
    from torch.nn.utils import prune

    model = two_blocks()
    prune.l1_unstructured(model.blocks[0], "weight", 0.5)
    return model


FIXED = {
    "first frozen": (first_frozen, "4 of 10", "blocks.0.weight", ["blocks.1.weight"]),
    "adapters": (
        adapted,
        "9 of 15",
        "blocks.0.base_layer.weight",
        ["blocks.0.lora_A.default.weight", "blocks.0.lora_B.default.weight", "blocks.1.weight"],
    ),
    "quantised": (quantised, "4 of 10", "blocks.0.weight", ["blocks.1.weight"]),
    "parametrized": (parametrized, "4 of 10", "blocks.0.weight", ["blocks.1.weight"]),
    "torch.nn.utils.prune": (masked_by_torch, "4 of 10", "blocks.0.weight", ["blocks.1.weight"]),
}


@pytest.mark.filterwarnings("ignore:.*adapters'")
@pytest.mark.parametrize("form", FIXED)
def test_a_model_whose_base_stays_dense_is_refused_unless_asked_for(form: str) -> None:
    build, counts, first, trained = FIXED[form]
    with pytest.raises(PrunebenchError, match=rf"{counts} linear weights .*{first} first.*skip_frozen=True"):
        find_prunable(build())
    assert [matrix.name for matrix in find_prunable(build(), skip_frozen=True)] == trained
    assert "{} of {}".format(*prunable_of(build())) == counts


def bottleneck() -> Any:
    """A small layer of its own between two blocks' layers."""
    model = two_blocks()
    model.blocks[0] = nn.ModuleDict({"dense": nn.Linear(3, 2), "adapter": nn.ModuleDict({"down": nn.Linear(2, 1)})})
    return model


@pytest.mark.parametrize(
    ("model", "skip_frozen", "said"),
    [
        (lambda: adapted().requires_grad_(True), False, "5 of the 15 weights .*blocks.0.lora_A.default.weight first"),
        (adapted, True, "5 of the 9 weights .*blocks.0.lora_A.default.weight first"),
        (bottleneck, False, "2 of the 12 weights .*blocks.0.adapter.down.weight first"),
    ],
)
def test_adapters_that_are_pruned_are_named(model: Any, skip_frozen: bool, said: str) -> None:
    with pytest.warns(UserWarning, match=f"{said}.*merge adapters into their base"):
        find_prunable(model(), skip_frozen=skip_frozen)


def test_models_without_adapters_are_pruned_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_prunable(two_blocks())
        find_prunable(first_frozen(), skip_frozen=True)


def in_blocks(*layers: nn.Module) -> Any:
    """Linear layers of 24 weights, and `layers` beside them."""
    model: Any = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(6, 4), *layers])
    return model


def holding(**shapes: tuple[int, ...]) -> nn.Module:
    """A layer with parameters of its own, such as experts stacked in one tensor."""
    layer = nn.Module()
    for name, shape in shapes.items():
        layer.register_parameter(name, nn.Parameter(torch.ones(shape)))
    return layer


OTHERS = {
    # model: how many of 100 weights stay dense, and the largest of them; refused above 50
    "nn.MultiheadAttention": (lambda: in_blocks(nn.MultiheadAttention(2, 1)), 30, "blocks.1.in_proj_weight"),
    "a convolution": (lambda: in_blocks(nn.Conv1d(4, 4, 1)), 40, "blocks.1.weight"),
    "stacked experts": (
        lambda: in_blocks(holding(gate_up_proj=(4, 2, 6), down=(4, 6, 3))),
        83,
        "blocks.1.down",
    ),
    "a matrix of its own": (lambda: in_blocks(holding(weight=(7, 6))), 64, "blocks.1.weight"),
}


@pytest.mark.parametrize("form", OTHERS)
def test_matrices_of_no_linear_layer_that_stay_dense_are_told_and_refused_where_they_are_most(form: str) -> None:
    build, share, largest = OTHERS[form]
    said = f"{share} % of the weights inside the blocks belong to no linear layer, such as {largest}, and stay dense"
    assert left_dense(build()) == said
    if share > 50:
        with pytest.raises(PrunebenchError, match=f"{said}.*skip_frozen=True"):
            find_prunable(build())
    else:
        with pytest.warns(UserWarning, match=said):
            find_prunable(build())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_prunable(build(), skip_frozen=True)[0].name == "blocks.0.weight"


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNorm(6), nn.Embedding(9, 6), nn.Linear(6, 4), holding(mix=(1, 1, 24)), holding(few=(1, 24), bias=(4,))],
)
def test_few_weights_and_those_that_are_no_matrices_need_no_word(layer: nn.Module) -> None:
    assert left_dense(in_blocks(layer)) == ""


def test_of_tied_weights_the_linear_layer_counts() -> None:
    model = in_blocks(holding(weight=(4, 6)))
    model.blocks[1].weight = model.blocks[0].weight
    assert left_dense(model) == ""


@pytest.mark.parametrize("kind", CASES)
def test_architectures_of_linear_layers_need_no_word(kind: str) -> None:
    assert left_dense(build(kind)) == ""


def test_a_mixture_of_stacked_experts_is_refused() -> None:
    config = transformers.AutoConfig.for_model("mixtral", **BERT | {"num_key_value_heads": 1, "num_local_experts": 4})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(PrunebenchError, match=r"no linear layer, such as model\.layers\.0\.mlp\.experts\.gate_up_proj"):
        find_prunable(model)


def test_nothing_trained_is_an_error_even_if_asked_for() -> None:
    with pytest.raises(
        PrunebenchError, match="no prunable weights: all its 10 linear weights inside blocks are frozen"
    ):
        find_prunable(two_blocks().requires_grad_(False), skip_frozen=True)


def test_frozen_biases_count_where_biases_are_ranked() -> None:
    model = two_blocks()
    model.blocks[0].bias.requires_grad_(False)
    assert len(find_prunable(model)) == 2
    with pytest.raises(PrunebenchError, match=r"blocks.0.bias first"):
        find_prunable(model, biases=True)
