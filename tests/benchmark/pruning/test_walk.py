"""Blocks one after the other: transformers of every shape give the inputs that a pruned model gives, layer by layer."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

import pytest
import torch
import transformers
from torch import Tensor, nn

from benchmark.pruning.calibrate import calibrator
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.walk import blocks_of, walk
from criteria.base import Criterion, State
from criteria.wanda import Wanda
from tests.benchmark.toys import Blocks, Steps, data

IDS = torch.arange(24).view(2, 12) % 20 + 2
MASK = torch.tensor([[1] * 12, [1] * 8 + [0] * 4])


ENCODER: dict[str, Any] = {"vocab_size": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
T5: dict[str, Any] = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
SIDES = {
    f"{side}_{what}": n
    for side in ("encoder", "decoder")
    for what, n in (("layers", 2), ("ffn_dim", 24), ("attention_heads", 2))
}
BUILDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    # name: (the model's class, the type of its configuration, sizes)
    "bert": ("BertForSequenceClassification", "bert", ENCODER | {"num_hidden_layers": 3}),
    "roberta": ("RobertaForTokenClassification", "roberta", ENCODER | {"num_hidden_layers": 2}),
    "gpt2": ("GPT2LMHeadModel", "gpt2", {"vocab_size": 32, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 32}),
    "llama": ("LlamaForCausalLM", "llama", ENCODER | {"num_hidden_layers": 3, "num_key_value_heads": 1}),
    "t5": ("T5ForConditionalGeneration", "t5", T5 | {"num_decoder_layers": 3, "decoder_start_token_id": 0}),
    "albert": ("AlbertModel", "albert", ENCODER | {"num_hidden_layers": 2, "embedding_size": 8}),
    "bart": ("BartForConditionalGeneration", "bart", {"vocab_size": 32, "d_model": 16, **SIDES}),
    "tagger": ("T5ForTokenClassification", "t5", T5),  # the encoder of an encoder-decoder, which tags what it reads
}
MODELS = ("bert", "roberta", "gpt2", "llama", "t5")

ACROSS = ("EncDecAttention.k.", "EncDecAttention.v.", "encoder_attn.k_proj.", "encoder_attn.v_proj.")
"""Layers of decoders that are fed what the encoder returned."""


def built(name: str) -> Any:
    cls, kind, sizes = BUILDS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(transformers, cls)(transformers.AutoConfig.for_model(kind, **sizes)).eval()


def loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Something that runs all of the model."""
    found: Tensor = model(**batch)[0].float().mean()
    return found


def batches_of(model: nn.Module) -> list[dict[str, Tensor]]:
    ids = [IDS, IDS.flip(0)]
    given = [{"input_ids": one, "attention_mask": MASK} for one in ids]
    return (
        [{**batch, "labels": IDS} for batch in given]
        if hasattr(model, "encoder") and hasattr(model, "lm_head")
        else given
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_the_layers_are_fed_is_what_the_pruned_model_feeds_them(name: str) -> None:
    """Wanda's statistics of every layer, taken on the way, against a forward pass of the finished model up to its own block.

    A block's own statistics come from before it was pruned: the reference holds it dense and all blocks before it pruned.
    """
    model, dense = built(name), built(name)
    batches = batches_of(model)
    pruner = Pruner(model, Wanda(), Steps(), sparsity=0.5, total=1, scope="row")
    pruner.calibrate = calibrator(model, loss, lambda _: batches, by_block=True)
    pruner.prune()
    pruner.finish()
    statistics = {name: state["squares"] for name, state, _ in pruner.matrices()}
    order = blocks_of(dense, lambda batch: loss(dense, batch), batches[0])
    assert len(order) == {"bert": 3, "roberta": 2, "gpt2": 3, "llama": 3, "t5": 5}[name]
    changed = 0
    for block in order:
        fed = fed_to(dense, [name for name in statistics if block.holds(name)], batches)
        for matrix, squares in fed.items():
            torch.testing.assert_close(statistics[matrix], squares, rtol=1e-4, atol=1e-5)
            changed += 1
        block.module.load_state_dict(model.get_submodule(block.name).state_dict())
    assert changed == len(statistics)


def fed_to(model: nn.Module, names: list[str], batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Sums of squares over real positions of what the layers of these matrices see, by plain hooks."""
    sums: dict[str, Tensor] = {}
    for batch in batches:
        hooks = []
        for name in names:
            written = "labels" in batch and name.startswith("decoder.") and not any(key in name for key in ACROSS)
            real = torch.ones_like(MASK).bool() if written else batch["attention_mask"].bool()

            def hook(_: nn.Module, arguments: tuple[Tensor, ...], name: str = name, real: Tensor = real) -> None:
                x = arguments[0]
                tokens = x[real] if x.shape[:-1] == real.shape else x.reshape(-1, x.shape[-1])
                sums[name] = sums.get(name, torch.zeros(())) + tokens.square().sum(0).detach()

            hooks.append(model.get_submodule(name.rpartition(".")[0]).register_forward_pre_hook(hook))
        loss(model, batch)
        for handle in hooks:
            handle.remove()
    return sums


class Counting(Criterion):
    """Counts the positions that each layer is fed."""

    elementwise: ClassVar[bool] = False

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"tokens": torch.zeros(())}

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        state["tokens"] += len(inputs)

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()


@pytest.mark.parametrize(
    ("name", "width", "encoder", "decoder", "across"),
    [
        ("t5", 11, 20, 22, 20),
        ("t5", 12, 20, 24, 20),
        ("bart", 11, 20, 22, 20),
        ("bart", 12, 20, 24, 20),
        ("tagger", 12, 20, 0, 0),
    ],
)
def test_the_padding_of_what_is_read_hides_nothing_of_what_is_written(
    name: str, width: int, encoder: int, decoder: int, across: int
) -> None:
    """Two texts of 12 and 8 tokens are read and 11 or 12 positions written; keys and values across see what the encoder gives."""
    model = built(name)
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": IDS[:, :width] % 2}
    pruner = Pruner(model, Counting(), Steps(), sparsity=0.5, total=1)
    calibrator(model, loss, lambda _: [batch], by_block=False)(pruner)
    for matrix, state, _ in pruner.matrices():
        wanted = encoder if "decoder." not in matrix else across if any(key in matrix for key in ACROSS) else decoder
        assert state["tokens"] == wanted, matrix


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("width", [11, 12])
def test_the_padding_of_what_is_written_is_not_shown(name: str, width: int) -> None:
    """Of 11 or 12 positions the second text has 5. Where the decoder reads the text itself, the mask is its own."""
    model = built(name)
    labels = IDS[:, :width] % 2
    labels[1, 5:] = -100
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": labels}
    pruner = Pruner(model, Counting(), Steps(), sparsity=0.5, total=1)
    calibrator(model, loss, lambda _: [batch], by_block=True)(pruner, list[int]().extend)
    for matrix, state, _ in pruner.matrices():
        of_source = "decoder." not in matrix or any(key in matrix for key in ACROSS)
        assert state["tokens"] == (20 if of_source else width + 5), matrix


def test_a_decoder_that_reads_the_text_again_is_not_shown_its_padding() -> None:
    model = built("bart")
    pruner = Pruner(model, Counting(), Steps(), sparsity=0.5, total=1)
    batch = {"input_ids": IDS, "attention_mask": MASK}
    calibrator(model, loss, lambda _: [batch], by_block=False)(pruner)
    assert {int(state["tokens"]) for _, state, _ in pruner.matrices()} == {20}


@pytest.mark.parametrize("name", [*MODELS, "albert"])
def test_a_walk_leaves_the_model_as_it_was(name: str) -> None:
    model = built(name)
    batches = batches_of(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = [loss(model, batch) for batch in batches]
    cached = getattr(model.config, "use_cache", None)
    pruner = Pruner(model, Wanda(), Steps(), sparsity=0.5, total=1, scope="row")
    calibrator(model, loss, lambda _: batches, by_block=True)(pruner, list[int]().extend)
    assert getattr(model.config, "use_cache", None) == cached
    assert not any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) for module in model.modules()
    )
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [loss(model, batch) for batch in batches] == expected


def test_a_block_that_is_called_twice_is_calibrated_with_the_whole_model() -> None:
    model = built("albert")
    batches = batches_of(model)
    assert blocks_of(model, lambda batch: loss(model, batch), batches[0]) == []
    walked, whole = ([], [])  # type: tuple[list[Tensor], list[Tensor]]
    for seen, by_block in ((walked, True), (whole, False)):
        pruner = Pruner(built("albert"), Wanda(), Steps(), sparsity=0.5, total=1, scope="row")
        settled: list[int] = []
        calibrator(model, loss, lambda _: batches, by_block)(pruner, settled.extend)
        assert not settled
        seen += [state["squares"] for state in pruner.states]
    assert all(map(torch.equal, walked, whole))


def test_a_model_that_fails_in_a_block_is_left_as_it_was_and_the_error_told() -> None:
    model = Blocks()
    blocks = blocks_of(model, lambda batch: model(batch["x"]), data())

    def forward(batch: Mapping[str, Tensor]) -> None:
        model(batch["x"])
        raise AssertionError("not reached: the walk ends the pass with its block")

    visited: list[str] = []
    walk(model, blocks, forward, [data()], lambda *_: nullcontext(), lambda block: visited.append(block.name))
    assert visited == ["blocks.0", "blocks.1"]
    with pytest.raises(RuntimeError, match=r"blocks\.0 was not run on batch 0"):
        walk(model, blocks, lambda _: None, [data()], lambda *_: nullcontext(), lambda _: None)
    assert not any(module._forward_hooks or "forward" in vars(module) for module in model.modules())


def test_scopes_in_which_matrices_compete_are_calibrated_as_a_whole() -> None:
    for scope, calls in (("global", 0), ("layer", 2), ("erk", 2), ("row", 2)):
        model = Blocks()
        pruner = Pruner(model, Wanda(), Steps(), sparsity=0.5, total=1, scope=scope)
        inner = calibrator(model, lambda m, b: m(b["x"]).mean(), lambda _: [data()], by_block=True)
        settled: list[int] = []

        def calibrate(pruner: Pruner, settle: Any = None, settled: list[int] = settled, inner: Any = inner) -> bool:
            def noted(places: list[int]) -> None:
                settled.extend(places)
                settle(places)

            return bool(inner(pruner, noted if settle else None))

        pruner.calibrate = calibrate
        pruner.prune()
        assert len(settled) == calls, scope
        assert pruner.measure() == 0.5
