"""Checkpoints: fp32, one seed one model, fresh heads only where the files lack them, and clear refusals."""

from pathlib import Path

import pytest
import torch

from tasks.base import ModelError, TaskError
from tasks.pipeline.checkpoints import Checkpoint, open_checkpoint
from tests.tasks.tiny import checkpoint

AUTO = "AutoModelForSequenceClassification"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(str(checkpoint(tmp_path_factory.mktemp("models") / "bert")), "encoder")


def differing(one: torch.nn.Module, other: torch.nn.Module) -> set[str]:
    pairs = zip(one.named_parameters(), other.named_parameters(), strict=True)
    return {name for (name, a), (_, b) in pairs if not torch.equal(a, b)}


def test_a_seed_decides_the_head_and_nothing_else(bert: Checkpoint) -> None:
    state = torch.get_rng_state()
    first, again, other = (bert.build(AUTO, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert differing(first, again) == set()
    assert differing(first, other) == {"classifier.weight"}  # biases start at zero
    assert first.training
    assert all(parameter.requires_grad for parameter in first.parameters())


def test_models_built_share_no_memory(bert: Checkpoint) -> None:
    first, second = bert.build(AUTO, 0), bert.build(AUTO, 0)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert differing(second, bert.build(AUTO, 0)) == set()


def test_half_precision_files_train_in_fp32(tmp_path: Path) -> None:
    import transformers

    folder = checkpoint(tmp_path / "half")
    transformers.AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    opened = open_checkpoint(str(folder), "encoder")
    assert "float16" in (folder / "config.json").read_text()
    assert {parameter.dtype for parameter in opened.build(AUTO, 0).parameters()} == {torch.float32}


def test_a_model_is_drawn_whole_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = str(checkpoint(tmp_path / "scratch", weights=False))
    opened = open_checkpoint(f"random:{folder}", "encoder")
    state = torch.get_rng_state()
    first, again, other = (opened.build(AUTO, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)  # also by the one that was built first
    assert differing(first, again) == set()
    assert "bert.encoder.layer.0.attention.self.query.weight" in differing(first, other)
    assert opened.try_out(AUTO, 8) == ("the model is not pretrained: all its weights were drawn at random",)
    with pytest.raises(ModelError, match=r"no weights in .*drawn at random is asked for as 'random:"):
        open_checkpoint(folder, "encoder").build(AUTO, 0)
    assert open_checkpoint("random:mini", "encoder").fingerprint != open_checkpoint("mini", "encoder").fingerprint


def test_the_configuration_is_overridden_per_task(bert: Checkpoint) -> None:
    labels = {"id2label": {0: "yes", 1: "no", 2: "unsure"}, "label2id": {"yes": 0, "no": 1, "unsure": 2}}
    model = bert.build(AUTO, 0, **labels)
    assert model.get_parameter("classifier.weight").shape == (3, 16)
    assert bert.build(AUTO, 0).get_parameter("classifier.weight").shape == (2, 16)


def test_a_head_of_another_size_is_drawn_anew(bert: Checkpoint, tmp_path: Path) -> None:
    tuned = bert.build(AUTO, 0, id2label=dict(enumerate("abc")), label2id={})
    tuned.save_pretrained(tmp_path)  # type: ignore[operator]
    bert.tokenizer.save_pretrained(tmp_path)
    opened = open_checkpoint(str(tmp_path), "encoder")
    labels = {"id2label": {0: "yes", 1: "no"}, "label2id": {"yes": 0, "no": 1}}
    assert differing(opened.build(AUTO, 1, **labels), opened.build(AUTO, 2, **labels)) == {"classifier.weight"}


def test_weights_that_do_not_fit_are_refused(bert: Checkpoint, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "wide")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"hidden_size": 16', '"hidden_size": 32'))
    with pytest.raises(TaskError, match="do not fit its configuration"):
        open_checkpoint(str(folder), "encoder").build(AUTO, 0)


def test_the_fingerprint_follows_the_files(bert: Checkpoint, tmp_path: Path) -> None:
    same = open_checkpoint(str(checkpoint(tmp_path / "same")), "encoder")
    other = open_checkpoint(str(checkpoint(tmp_path / "other", num_hidden_layers=1)), "encoder")
    assert same.fingerprint == bert.fingerprint != other.fingerprint
    assert same.tokenizer_fingerprint == other.tokenizer_fingerprint


def test_what_cannot_be_opened_is_a_task_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(TaskError, match=r"no config.json in .* \(it holds: notes.txt\)"):
        open_checkpoint(str(tmp_path), "encoder")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(TaskError, match="cannot open model"):
        open_checkpoint(str(tmp_path), "encoder")


def test_a_decoder_pads_with_its_end_of_text(tmp_path: Path) -> None:
    opened = open_checkpoint(str(checkpoint(tmp_path, "gpt2")), "decoder")
    assert opened.tokenizer.pad_token == "<eos>"
    assert opened.build(AUTO, 0).config.pad_token_id == opened.tokenizer.eos_token_id  # type: ignore[union-attr]


def test_a_class_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    opened = open_checkpoint(str(checkpoint(tmp_path, "distilbert")), "encoder")
    with pytest.raises(TaskError, match="of type 'distilbert', for which there is no AutoModelForCausalLM"):
        opened.model_class("AutoModelForCausalLM")


@pytest.mark.parametrize(("kind", "segments"), [("bert", True), ("roberta", False), ("distilbert", False)])
def test_segment_ids_go_only_to_models_with_two_segments(tmp_path: Path, kind: str, segments: bool) -> None:
    opened = open_checkpoint(str(checkpoint(tmp_path, kind)), "encoder")
    assert ("token_type_ids" in opened.inputs(AUTO)) == segments
    assert {"input_ids", "attention_mask"} <= opened.inputs(AUTO)
