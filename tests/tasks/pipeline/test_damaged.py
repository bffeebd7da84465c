"""Checkpoints that do not hold their model, each form refused with the name of what is wrong; and data on which tasks stop."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import save_record
from benchmark.commands.doctor import board_findings
from benchmark.commands.verify import verify_board
from benchmark.engine.sources import open_sources
from benchmark.errors import PrunebenchError
from benchmark.training.run import Options
from tasks.base import ModelError, Setting
from tasks.formats.sources import MINI
from tasks.glue import Glue
from tests.benchmark.report.factory import make_record
from tests.faults.boards import OUTCOMES

Weights = dict[str, Tensor]
LAYER = "bert.encoder.layer.1.output.dense.weight"
WORDS = "bert.embeddings.word_embeddings.weight"
POOLER = "bert.pooler.dense.weight"


def renamed(old: str, new: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name.replace(old, new): tensor for name, tensor in weights.items()}


def changed(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Weights], Weights]:
    return lambda weights: {**weights, name: change(weights[name])}


def swapped(weights: Weights) -> Weights:
    return weights | {"bert.encoder.layer.1.output.lora_A.default.weight": torch.ones(2, 2)}


def masked(weights: Weights) -> Weights:
    mask = (weights[LAYER].abs() > weights[LAYER].abs().median()).float()
    rest = {name: tensor for name, tensor in weights.items() if name != LAYER}
    return rest | {f"{LAYER}_orig": weights[LAYER], f"{LAYER}_mask": mask}


FORMS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "saved under torch.nn.utils.prune": (masked, r"lack 1 of .*they hold .*dense.weight_mask.*prune\.remove"),
    "adapters not merged": (
        renamed("query.weight", "query.base_layer.weight"),
        r"lack 3 of .*base_layer.weight.*merge the ad",
    ),
    "old adapters beside": (swapped, r"hold .*lora_A.*merge the adapters"),
    "quantised names": (renamed("dense.weight", "dense.qweight"), r"lack .*qweight.*quantised"),
    "quantised values": (
        changed(LAYER, lambda t: (64 * t).to(torch.int8)),
        r"layer.1.output.dense.weight .* stored as I8",
    ),
    "a layer missing": (lambda w: {k: v for k, v in w.items() if "layer.2." not in k}, r"lack 16 of .*encoder.layer.2"),
    "a bias missing": (lambda w: {k: v for k, v in w.items() if k != LAYER[:-6] + "bias"}, r"lack 1 of .*dense.bias"),
    "no embeddings": (lambda w: {k: v for k, v in w.items() if "word_emb" not in k}, r"lack 1 of .*word_embeddings"),
    "a layer too many": (lambda w: w | {LAYER.replace("1", "3"): w[LAYER].clone()}, r"hold .*layer.3.* no place"),
    "a wrapper's names": (renamed("bert.", "module.bert."), r"lack .*module.bert.*wrapped model"),
    "another shape": (
        changed(LAYER, lambda t: t[:, :-1]),
        r"do not fit its configuration.*layer.1.output.dense.weight is",
    ),
    "never written": (changed(LAYER, torch.zeros_like), r"layer.1.output.dense.weight .* nothing but zeros"),
    "one number throughout": (
        changed(LAYER, lambda t: torch.full_like(t, 0.02)),
        r"rows or the columns .*dense.weight",
    ),
    "one row throughout": (changed(LAYER, lambda t: t[:1].expand_as(t)), r"rows or the columns of .*dense.weight"),
    "one column throughout": (
        changed(LAYER, lambda t: t[:, :1].expand_as(t)),
        r"rows or the columns of .*dense.weight",
    ),
    "words never written": (changed(WORDS, torch.zeros_like), r"word_embeddings.weight .* nothing but zeros"),
    "one word throughout": (changed(WORDS, lambda t: t[5:6].expand_as(t)), r"rows or the columns of .*word_embeddings"),
    "a normalization that lets nothing pass": (
        changed(LAYER.replace("dense", "LayerNorm"), torch.zeros_like),
        r"LayerNorm.weight .* nothing but zeros",
    ),
    "two models in one file": (
        lambda w: w | {name.removeprefix("bert."): 2 * tensor for name, tensor in w.items()},
        r"hold bert\.\S+ and \S+, two tensors for one parameter",
    ),
    "a quantised head": (
        lambda w: w | {"classifier.weight": torch.ones(2, 64, dtype=torch.int8), "classifier.bias": torch.zeros(2)},
        r"classifier.weight .* stored as I8",
    ),
    "a pooler of truth values": (
        lambda w: w | {POOLER: torch.ones(64, 64) > 0, POOLER[:-6] + "bias": torch.zeros(64)},
        r"pooler.dense.weight .* stored as BOOL",
    ),
    "a pooler never written": (
        lambda w: w | {POOLER: torch.zeros(64, 64), POOLER[:-6] + "bias": torch.zeros(64)},
        r"pooler.dense.weight .* nothing but zeros",
    ),
    "not a number": (changed(LAYER, lambda t: t * torch.nan), r"layer.1.output.dense.weight .* not finite"),
    "infinite": (changed(LAYER, lambda t: t + torch.inf), r"layer.1.output.dense.weight .* not finite"),
}


def copied(folder: Path, change: Callable[[Weights], Weights] = dict) -> Path:
    shutil.copytree(MINI / "encoder", folder)
    weights = change(load_file(folder / "model.safetensors"))
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def emptied(folder: Path, *names: str, add: str = "", content: str = "") -> Path:
    copied(folder)
    for name in names:
        (folder / name).unlink()
    if add:
        (folder / add).write_text(content)
    return folder


INDEX = json.dumps({"metadata": {}, "weight_map": {LAYER: "model-00001-of-00002.safetensors"}})
FOLDERS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "weights of another library": (("model.safetensors",), "tf_model.h5", "x", r"no weights .*tf_model.h5"),
    "weights under another name": (("model.safetensors",), "pytorch_model.pt", "x", r"no weights .*pytorch_model.pt"),
    "no weights": (("model.safetensors",), "", "", r"no weights .*'random:"),
    "an index without shards": (
        ("model.safetensors",),
        "model.safetensors.index.json",
        INDEX,
        r"names model-00001-of-00002",
    ),
    "cut off": (("model.safetensors",), "model.safetensors", "\x10\0\0\0", r"cannot load model"),
    "a pointer": (
        ("model.safetensors",),
        "model.safetensors",
        "version https://git-lfs.github.com/spec/v1\n",
        r"pointer of Git LFS",
    ),
    "an adapter": (("model.safetensors",), "adapter_config.json", "{}", r"holds an adapter"),
    "an adapter alone": (("model.safetensors", "config.json"), "adapter_config.json", "{}", r"holds an adapter"),
    "no configuration": (("config.json",), "", "", r"no config.json in .*model.safetensors"),
    "no tokenizer": (("tokenizer.json", "tokenizer_config.json"), "", "", r"no tokenizer in"),
}


def opened(folder: Path) -> list[str]:
    prepared = Glue("sst2").prepare(Setting(model=str(folder), max_length=32, train_examples=4, eval_examples=4))
    prepared.build(0)
    return prepared.notes


def refused_everywhere(folder: Path, message: str, board: Path) -> None:
    """The task, `doctor` and `run` say the same, and nothing is recorded; `verify` says it of a board that has records."""
    with pytest.raises(ModelError, match=f"(?s){message}"):
        opened(folder)
    board.mkdir()
    text = f"title: t\nmodel: {folder}\ntasks: [glue/sst2]\ncriteria: [magnitude]\nsparsities: [0.5]\ntraining: {{max_length: 32}}\n"
    (board / "suite.yaml").write_text(text)
    found = Board.open(board)
    (finding,) = board_findings(found)
    assert finding.state == "wrong"
    with pytest.raises(PrunebenchError, match=f"(?s)glue/sst2: .*{message}"):
        open_sources(found, found.suite.cells(), Options())
    assert not list(board.glob("records/*"))
    (spec,) = found.cells("*magnitude*")
    save_record(found.records_folder, make_record(spec), pack_outcomes(OUTCOMES))
    lines: list[str] = []
    assert verify_board(found, tell=lines.append)
    assert re.match(f"(?s)WRONG glue/sst2: .*{message}", lines[0]), lines


@pytest.mark.parametrize("form", FORMS)
def test_weights_that_are_not_the_models_are_refused(tmp_path: Path, form: str) -> None:
    change, message = FORMS[form]
    refused_everywhere(copied(tmp_path / "model", change), message, tmp_path / "board")


@pytest.mark.parametrize("form", FOLDERS)
def test_folders_that_lack_a_part_are_refused(tmp_path: Path, form: str) -> None:
    names, add, content, message = FOLDERS[form]
    refused_everywhere(emptied(tmp_path / "model", *names, add=add, content=content), message, tmp_path / "board")


def test_a_tokenizer_without_its_post_processor_is_refused(tmp_path: Path) -> None:
    saved = json.loads((MINI / "encoder/tokenizer.json").read_text())
    content = json.dumps(saved | {"post_processor": None})
    folder = emptied(tmp_path / "model", add="tokenizer.json", content=content)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    general = config | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(general))
    refused_everywhere(folder, r"puts no \[CLS\] before a text.*post-processor", tmp_path / "board")


def test_a_configuration_that_asks_for_tuples_is_read(tmp_path: Path) -> None:
    saved = json.loads((MINI / "encoder/config.json").read_text())
    folder = emptied(tmp_path / "model", add="config.json", content=json.dumps(saved | {"return_dict": False}))
    task = Glue("sst2").prepare(Setting(model=str(folder), max_length=32, train_examples=4, eval_examples=4))
    assert len(task.evaluate(task.build(0), "reported").predictions) == 4


@pytest.mark.parametrize(
    ("own", "note", "rows"),
    [
        (("0", "1"), "with which training begins", [0, 1]),
        (("1", "0"), "put in the task's order", [1, 0]),
        (("good", "bad"), "calls its labels good, bad, not 0, 1: drawn at random", None),
    ],
)
def test_a_head_is_mapped_by_its_names_or_drawn(
    tmp_path: Path, own: tuple[str, str], note: str, rows: list[int] | None
) -> None:
    head = torch.stack([torch.full((64,), 0.25), torch.full((64,), 0.75)])
    folder = copied(tmp_path / "model", lambda w: w | {"classifier.weight": head, "classifier.bias": torch.zeros(2)})
    config = json.loads((folder / "config.json").read_text())
    names = {"id2label": dict(enumerate(own)), "label2id": {name: at for at, name in enumerate(own)}}
    (folder / "config.json").write_text(json.dumps(config | names))
    prepared = Glue("sst2").prepare(Setting(model=str(folder), max_length=32, train_examples=4, eval_examples=4))
    assert any(note in one for one in prepared.notes)
    found = prepared.build(0).get_parameter("classifier.weight")
    assert torch.equal(found, head[rows]) if rows else not torch.equal(found, head)


@pytest.mark.parametrize("lacking", ["weight", "bias"])
def test_a_head_of_which_a_part_is_missing_is_drawn_whole(tmp_path: Path, lacking: str) -> None:
    """Its other part is in the order of labels of nobody knows whom."""
    parts = {"weight": torch.full((2, 64), 0.25), "bias": torch.full((2,), 0.25)}
    kept = next(part for part in parts if part != lacking)
    folder = copied(tmp_path / "model", lambda w: w | {f"classifier.{kept}": parts[kept]})
    prepared = Glue("sst2").prepare(Setting(model=str(folder), max_length=32, train_examples=4, eval_examples=4))
    (note,) = [note for note in prepared.notes if "classifier" in note]
    assert f"is not whole (no classifier.{lacking}): drawn at random" in note
    assert not torch.equal(prepared.build(0).get_parameter(f"classifier.{kept}"), parts[kept])


CONFIGURATIONS: dict[str, tuple[object, str]] = {
    "hidden_dropout_prob": (1.0, r"hidden_dropout_prob is 1.0 .*expected a share from 0 to below 1"),
    "attention_probs_dropout_prob": (-0.1, r"attention_probs_dropout_prob is -0.1 .*share"),
    "classifier_dropout": (5, r"classifier_dropout is 5 .*share"),
    "layer_norm_eps": (1e9, r"layer_norm_eps is 1000000000.0 .*small number above 0"),
    "hidden_act": ("gleu", r"its configuration names 'gleu', which is not known"),
    "is_decoder": (
        True,
        r"says is_decoder in its configuration: its first token, which this task reads, would see no other",
    ),
}


@pytest.mark.parametrize("key", CONFIGURATIONS)
def test_configurations_under_which_a_model_answers_one_thing(tmp_path: Path, key: str) -> None:
    value, message = CONFIGURATIONS[key]
    folder = copied(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    refused_everywhere(folder, message, tmp_path / "board")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("hidden_dropout_prob", value) for value in (0, 0.0, 0.1, 0.99)),
        *(("classifier_dropout", value) for value in (None, 0.3)),
        *(("layer_norm_eps", value) for value in (1e-12, 1e-5, 0.1)),
        ("hidden_act", "gelu_new"),
    ],
)
def test_configurations_as_models_have_them(tmp_path: Path, key: str, value: object) -> None:
    folder = copied(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    opened(folder)
