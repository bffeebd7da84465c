"""A GGUF file that this test writes opens as the model that it was made from, dequantised, and what is wrong with one is said."""

import struct
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from tasks.base import ModelError, Setting, TaskError
from tasks.lm import Lm
from tasks.pipeline import gguf_files
from tasks.pipeline.checkpoints import open_checkpoint

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")

WORDS = ["the", "cat", "sat", "on", "a", "mat", "old", "dog"]
LETTERS = sorted(set("".join(WORDS)))
AUTO = "AutoModelForCausalLM"
HIDDEN, HEADS, LAYERS = 64, 4, 2


def tokens() -> tuple[list[str], list[str]]:
    """Vocabulary and merges of a byte-level BPE that spells words letter by letter, then joins them with their space."""
    merges, pieces = [], []
    for word in WORDS:
        whole = "Ġ"
        for letter in word:
            if (merge := f"{whole} {letter}") not in merges:
                merges.append(merge)
            whole += letter
            pieces.append(whole)
    return list(dict.fromkeys(["<|endoftext|>", *LETTERS, "Ġ", "Ċ", *pieces])), merges


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokens()[0]), hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, intermediate_size=96, max_position_embeddings=64, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0, rms_norm_eps=1e-5,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def permuted(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of queries and keys in llama.cpp's order of rotary pairs."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(weight.shape)


def tensors(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    found = {"token_embd.weight": state["model.embed_tokens.weight"], "output_norm.weight": state["model.norm.weight"]}
    for layer in range(LAYERS):
        for name, theirs in NAMES.items():
            weight = state[f"model.layers.{layer}.{name}.weight"]
            if theirs in ("attn_q", "attn_k"):
                weight = permuted(weight, HEADS if theirs == "attn_q" else 2)
            found[f"blk.{layer}.{theirs}.weight"] = weight
    return found


def write(path: Path, model: Any, kind: str = "F32", without: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(96)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    vocabulary, merges = tokens()
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3, *[1] * (len(vocabulary) - 1)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_unk_token_id(0)
    asked = gguf.GGMLQuantizationType[kind]
    for name, weight in tensors(model).items():
        if name == without:
            continue
        if weight.ndim == 2 and kind != "F32":
            writer.add_tensor(name, gguf.quants.quantize(weight, asked), raw_dtype=asked)
        else:
            writer.add_tensor(name, weight.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_full_precision_weights_come_back_as_they_were(tmp_path: Path, model: Any) -> None:
    checkpoint = open_checkpoint(str(write(tmp_path / "m/tiny.gguf", model).parent), "decoder")
    built = checkpoint.build(AUTO, 0)
    for name, weight in model.state_dict().items():
        assert torch.equal(built.state_dict()[name], weight), name
    assert checkpoint.try_out(AUTO, 16) == ()


@pytest.mark.parametrize(
    ("kind", "error"), [("Q8_0", 1e-3), ("Q4_0", 2e-2), ("Q4_1", 2e-2), ("F16", 1e-4), ("BF16", 1e-3)]
)
def test_quantised_weights_are_dequantised_and_said_to_be(tmp_path: Path, model: Any, kind: str, error: float) -> None:
    path = write(tmp_path / "tiny.gguf", model, kind)
    checkpoint = open_checkpoint(str(path), "decoder")
    built = checkpoint.build(AUTO, 0)
    for name, weight in model.state_dict().items():
        assert torch.allclose(built.state_dict()[name], weight, atol=error), name
    assert all(parameter.dtype == torch.float32 for parameter in built.parameters())
    (note,) = checkpoint.try_out(AUTO, 16) or [""]
    said = f"15 of the model's 20 tensors are stored as {kind} in tiny.gguf and were dequantised"
    assert note.startswith(said) == kind.startswith("Q")


def test_a_task_runs_on_it_and_what_it_saves_is_plain(tmp_path: Path, model: Any) -> None:
    folder = write(tmp_path / "m/tiny.gguf", model, "Q8_0").parent
    (tmp_path / "a.txt").write_text(" the old cat sat on a mat" * 200)
    task = Lm(path="a.txt", train="a.txt")
    prepared = task.prepare(Setting(str(tmp_path), str(folder), max_length=16))
    assert any("dequantised" in note for note in prepared.notes)
    built = prepared.build(0)
    prepared.save(built, tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.gguf"))
    again = task.prepare(Setting(str(tmp_path), str(tmp_path / "saved"), max_length=16))
    assert not any("dequantised" in note for note in again.notes)
    assert again.evaluate(again.build(0), "reported").metrics == prepared.evaluate(built, "reported").metrics


def test_its_content_is_its_fingerprint(tmp_path: Path, model: Any) -> None:
    first = open_checkpoint(str(write(tmp_path / "a/tiny.gguf", model).parent), "decoder").fingerprint
    assert first == open_checkpoint(str(write(tmp_path / "b/tiny.gguf", model)), "decoder").fingerprint
    assert first != open_checkpoint(str(write(tmp_path / "c/tiny.gguf", model, "Q8_0")), "decoder").fingerprint


def test_of_several_files_one_must_be_named(tmp_path: Path, model: Any) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.gguf", model)
    with pytest.raises(ModelError, match=r"holds 2 GGUF files \(a.gguf, b.gguf\): name one of them"):
        open_checkpoint(str(tmp_path), "decoder")
    assert open_checkpoint(str(tmp_path / "b.gguf"), "decoder").gguf == "b.gguf"


def test_weights_in_safetensors_come_first(tmp_path: Path, model: Any) -> None:
    write(tmp_path / "tiny.gguf", model)
    checkpoint = open_checkpoint(str(tmp_path), "decoder")
    model.save_pretrained(tmp_path)
    checkpoint.tokenizer.save_pretrained(tmp_path)
    assert open_checkpoint(str(tmp_path), "decoder").gguf == ""


@pytest.mark.parametrize("without", ["blk.1.attn_q.weight", "token_embd.weight", "output_norm.weight"])
def test_a_file_that_lacks_a_weight_is_refused(tmp_path: Path, model: Any, without: str) -> None:
    checkpoint = open_checkpoint(str(write(tmp_path / "tiny.gguf", model, without=without)), "decoder")
    with pytest.raises(ModelError, match="lack 1 of the"):
        checkpoint.try_out(AUTO, 16)


def damaged(data: bytes, form: str) -> bytes:
    """The bytes of a sound file, one thing changed; numbers lie behind the names that they belong to."""
    name, _, value = form.partition("=")
    if name in CUTS:
        return data[: CUTS[name]]
    if name == "starts":
        return {
            "junk": b"JUNK" + data[4:],
            "big endian": b"FUGG" + data[4:],
            "zeros": bytes(5000),
            "text": b"no model\n" * 9,
        }[value]
    if name in ("version", "tensors", "keys", "length of a key"):
        at, kind = {"version": (4, "<I"), "tensors": (8, "<Q"), "keys": (16, "<Q"), "length of a key": (24, "<Q")}[name]
    elif name.startswith("llama."):
        at, kind = data.index(name.encode()) + len(name) + 4, "<I"
    else:  # of the first tensor of queries: dimensions, first and second of them, type, offset
        at = data.index(b"blk.0.attn_q.weight") + 19
        offset, kind = {"dimensions": (0, "<I"), "width": (4, "<Q"), "type": (20, "<I"), "offset": (24, "<Q")}[name]
        at += offset
    return data[:at] + struct.pack(kind, int(value)) + data[at + struct.calcsize(kind) :]


CUTS = {
    "nothing": 0,
    "magic alone": 4,
    "header alone": 20,
    "in the keys": 300,
    "in the tensors": 1999,
    "half": 130_000,
    "last byte": -1,
}
FORMS = [
    *CUTS,
    *(f"starts={form}" for form in ("junk", "big endian", "zeros", "text")),
    *(f"version={number}" for number in (0, 1, 99, 2**31)),
    *(f"tensors={count}" for count in (0, 1, 10**6, 2**63)),
    *(f"keys={count}" for count in (0, 1, 10**6, 2**63)),
    *(f"length of a key={count}" for count in (2**20, 2**40, 2**63)),
    *(f"llama.block_count={count}" for count in (0, 1, 3, 10**9)),
    *(f"llama.embedding_length={size}" for size in (0, 7, 10**9)),
    *(f"llama.feed_forward_length={size}" for size in (0, 10**9)),
    *(f"llama.vocab_size={size}" for size in (0, 10**9)),
    *(f"dimensions={count}" for count in (0, 9, 2**31)),
    *(f"width={size}" for size in (0, 2**40)),
    *(f"type={number}" for number in (9, 2**31)),
    *(f"offset={place}" for place in (0, 32, 2**40)),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, model: Any, form: str) -> None:
    path = write(tmp_path / "tiny.gguf", model)
    path.write_bytes(damaged(path.read_bytes(), form))
    with pytest.raises(TaskError) as caught:
        open_checkpoint(str(path), "decoder").try_out(AUTO, 16)
    assert "tiny.gguf" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "folder" not in str(caught.value)


@pytest.mark.parametrize("seed", range(8))
def test_bits_flipped_in_the_head_of_a_file(tmp_path: Path, model: Any, seed: int) -> None:
    """Read or refused: never another error, and soon."""
    path = write(tmp_path / "tiny.gguf", model)
    data, random = bytearray(path.read_bytes()), Random(seed)
    for _ in range(4):
        data[random.randrange(2500)] ^= 1 << random.randrange(8)
    path.write_bytes(data)
    with suppress(TaskError):
        open_checkpoint(str(path), "decoder").try_out(AUTO, 16)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "other.gguf", model, "Q8_0")
    monkeypatch.setattr(gguf_files, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'prunebench\[gguf\]'"):
        open_checkpoint(str(path), "decoder")
