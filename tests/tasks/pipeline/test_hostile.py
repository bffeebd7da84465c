"""Model folders of another's making: what never ends or would fetch code is refused before anything is read, hashed or built."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base import ModelError
from tasks.formats.sources import MINI
from tasks.pipeline import model_files
from tasks.pipeline.checkpoints import open_checkpoint
from tests.tasks.tiny import checkpoint

HUGE = 10**9


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """A pipe that is read holds the process for good: the test fails instead."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("does not end"))
    signal.alarm(60)
    yield
    signal.alarm(0)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, zeros])
@pytest.mark.parametrize(
    "name",
    [
        *("model.safetensors", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        *("generation_config.json", "chat_template.jinja", "own.py", "anything", "additional_chat_templates/x.jinja"),
        *("shards/model-00001-of-00002.safetensors", "a/b/c"),
    ],
)
def test_pipes_and_devices_are_refused_unread(tmp_path: Path, name: str, make: Any) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MINI / "encoder", folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    with pytest.raises(ModelError, match=rf"{Path(name).name} is a pipe, a socket or a device"):
        open_checkpoint(str(folder), "encoder")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_folders_and_links_to_nowhere_are_no_files(tmp_path: Path, name: str, make: Any) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MINI / "encoder", folder)
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ModelError, match=r"no weights in|no tokenizer in|no config\.json|cannot open model"):
        open_checkpoint(str(folder), "encoder").build("AutoModelForSequenceClassification", 0)


def test_a_configuration_that_is_a_pipe_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_checkpoint(str(tmp_path), "encoder")


def test_folders_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to a folder above goes round and round."""
    shutil.copytree(MINI / "encoder", tmp_path / "model")
    for name in ("up", "round"):
        (tmp_path / "model" / name).symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.setattr(model_files, "ENTRIES", 100)
    with pytest.raises(ModelError, match="more than 100 files"):
        open_checkpoint(str(tmp_path / "model"), "encoder")


def test_a_huge_configuration_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="expected 16,777,216 at most"):
        open_checkpoint(str(tmp_path), "encoder")


SIZES = [
    ("bert", {"hidden_size": HUGE}),
    ("bert", {"hidden_size": 10**400}),
    ("bert", {"num_hidden_layers": HUGE}),
    ("bert", {"num_hidden_layers": 10**6}),
    ("bert", {"intermediate_size": HUGE}),
    ("bert", {"vocab_size": HUGE}),
    ("bert", {"type_vocab_size": HUGE}),
    ("bert", {"max_position_embeddings": HUGE}),
    ("bert", {"num_labels": HUGE}),
    ("bert", {"text_config": {"vision": [{"hidden_size": HUGE}]}}),
    ("albert", {"num_hidden_groups": HUGE}),
    ("albert", {"embedding_size": HUGE}),
    ("distilbert", {"n_layers": HUGE}),
    ("distilbert", {"dim": HUGE}),
    ("modernbert", {"num_hidden_layers": HUGE}),
    ("deberta-v2", {"position_buckets": HUGE}),
    ("gpt2", {"n_embd": HUGE}),
    ("gpt2", {"n_layer": HUGE}),
    ("gpt2", {"n_inner": HUGE}),
    ("gpt2", {"n_positions": HUGE}),
    ("llama", {"head_dim": HUGE}),
    ("t5", {"d_model": HUGE}),
    ("t5", {"d_ff": HUGE}),
    ("t5", {"d_kv": HUGE}),
    ("t5", {"num_layers": HUGE}),
    ("t5", {"num_decoder_layers": HUGE}),
    ("t5", {"relative_attention_num_buckets": HUGE}),
    ("bart", {"d_model": HUGE}),
    ("bart", {"encoder_layers": HUGE}),
    ("bart", {"decoder_ffn_dim": HUGE}),
]


def changed(folder: Path, kind: str, changes: dict[str, Any]) -> Path:
    checkpoint(folder, kind, weights=False)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.mark.parametrize(("kind", "changes"), SIZES, ids=lambda value: str(value)[:40])
def test_impossible_sizes_are_refused_by_name(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(
        ModelError, match=rf"{'hidden_size' if 'text_config' in changes else next(iter(changes))} is 10+"
    ):
        open_checkpoint(str(changed(tmp_path, kind, changes)), "encoder")


@pytest.mark.parametrize("changes", [{"hidden_size": 2**20}, {"intermediate_size": 2**22}, {"num_hidden_layers": 60}])
def test_a_model_that_its_files_cannot_hold_is_not_built(tmp_path: Path, changes: dict[str, Any]) -> None:
    checkpoint(tmp_path)
    opened = open_checkpoint(str(changed(tmp_path, "bert", changes)), "encoder")
    with pytest.raises(ModelError, match=r"asks for [\d,]+ parameters, its files hold [\d,]+ bytes"):
        opened.build("AutoModelForSequenceClassification", 0)


def test_nor_one_that_is_drawn_beyond_memory(tmp_path: Path) -> None:
    opened = open_checkpoint(f"random:{changed(tmp_path, 'bert', {'hidden_size': 2**22})}", "encoder")
    with pytest.raises(ModelError, match=r"takes [\d,]+ GB in fp32 .* this machine has"):
        opened.build("AutoModelForSequenceClassification", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_implementation": "owner/kernel"}, "attn_implementation is 'owner/kernel'"),
        ({"_attn_implementation": "owner/kernel@main:flash"}, "may be code of another's"),
        ({"attn_implementation": {"text": "sdpa", "vision": "owner/kernel"}}, "'owner/kernel'"),
        ({"text_config": {"attn_implementation": "owner/kernel"}}, "'owner/kernel'"),
        ({"attn_implementation": "flash_attention_2"}, "say eager or sdpa"),
        ({"attn_implementation": ["x"]}, "'x'"),
        ({"attn_implementation": 7}, "is 7"),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
            "quantised weights are not read",
        ),
    ],
)
def test_what_may_fetch_code_or_quantise_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_checkpoint(str(changed(tmp_path, "bert", changes)), "encoder")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bert", {"attn_implementation": "sdpa"}),
        ("bert", {"attn_implementation": None}),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 10**10}}),
        ("bert", {"task_specific_params": {"summarization": {"max_length": 10**12}}}),
        ("bert", {"total_flos": 10**20}),
    ],
)
def test_large_numbers_that_are_no_sizes_pass(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    folder = changed(tmp_path, kind, changes)
    assert open_checkpoint(str(folder), "encoder").config.model_type == kind


@pytest.mark.parametrize("text", ["[]", "7", "null", "{", "\x00", '{"a": ' * 5000])
def test_a_configuration_that_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match="cannot open model"):
        open_checkpoint(str(tmp_path), "encoder")
