"""`prunebench prunable` counts from a configuration alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.commands.prunable import prunable_matrices, prunable_text
from benchmark.errors import PrunebenchError
from tests.command import Command
from tests.tasks.tiny import checkpoint


def test_bert_base_has_the_published_counts(tmp_path: Path) -> None:
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path)
    matrices, _ = prunable_matrices(str(tmp_path))
    assert sum(matrix.parameter.numel() for matrix in matrices) == 12 * 12 * 768**2
    with_biases, _ = prunable_matrices(str(tmp_path), biases=True)
    assert (
        sum(matrix.parameter.numel() for matrix in with_biases) == 85_017_600
    )  # PINS and PLATON; 82,944 of them biases


def test_the_text_ends_with_the_total(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "gpt2")
    last = prunable_text(str(folder)).splitlines()[-1]
    assert last.startswith(f"prunable: {2 * 12 * 16**2:,} in 8 matrices")


def test_the_text_says_what_stays_dense_inside_the_blocks(tmp_path: Path) -> None:
    from transformers import XLNetConfig

    XLNetConfig(d_model=16, n_layer=1, n_head=2, d_inner=64, vocab_size=30).save_pretrained(tmp_path)
    last = prunable_text(str(tmp_path)).splitlines()[-1]
    assert "% of the weights inside the blocks belong to no linear layer" in last


SMALL = {
    "model_type": "bert", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 128,
    "vocab_size": 100,
}  # fmt: skip
OWN_CODE = {"AutoConfig": "code.Mine", "AutoModel": "code.Model"}
ADVICE = ("trust_remote_code", "pip install", "Traceback")


def whole(text: str) -> Callable[[], str]:
    return lambda: text


def changed(**fields: object) -> Callable[[], str]:
    return lambda: json.dumps(SMALL | fields)


CONFIGURATIONS: dict[str, tuple[Callable[[], str], str]] = {
    "null": (whole("null"), "holds no JSON object"),
    "a number": (whole("3"), "holds no JSON object"),
    "a list": (whole("[]"), "holds no JSON object"),
    "no JSON": (whole("{"), "is not JSON"),
    "nothing": (whole(""), "is not JSON"),
    "no type": (whole("{}"), "Unrecognized model"),
    "an unknown type": (changed(model_type="nope"), "model type `nope`"),
    "heads that do not divide": (changed(num_attention_heads=5), "not a multiple of the number of attention heads"),
    "no heads": (changed(num_attention_heads=0), "cannot build"),
    "a size in words": (changed(hidden_size="64"), "expected int, got str"),
    "a size of 0": (changed(hidden_size=0), "cannot build"),
    "a size below 0": (changed(hidden_size=-4), "negative dimension"),
    "a size that no model has": (changed(hidden_size=10**12), "hidden_size is 1000000000000"),
    "a vocabulary that no model has": (changed(vocab_size=10**15), "vocab_size is 10"),
    "layers that no model has": (changed(num_hidden_layers=10**6), "num_hidden_layers is 1000000"),
    "no number of layers": (changed(num_hidden_layers=None), "expected int, got NoneType"),
    "no layers": (changed(num_hidden_layers=0), "has no prunable weights"),
    "layers without weights": (changed(intermediate_size=0), "gives .* no weights"),
    "an unknown function": (changed(hidden_act="nope"), "names 'nope', which is not known"),
    "a dropout of everything": (changed(hidden_dropout_prob=1), "expected a share"),
    "padding outside of the vocabulary": (changed(pad_token_id=1000), "Padding_idx must be within"),
    "attention of another's": (changed(attn_implementation="some/kernel"), "may be code of another's"),
    "quantised weights": (changed(quantization_config={"bits": 4}), "quantised weights are not read"),
    "code of its own": (changed(model_type="mine", auto_map=OWN_CODE), "brings code of its own, which is not run here"),
}


@pytest.mark.parametrize("form", CONFIGURATIONS)
@pytest.mark.parametrize("place", ["folder", "hub"])
def test_a_configuration_that_makes_no_model_is_refused_in_a_sentence(
    form: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    written, message = CONFIGURATIONS[form]
    path = tmp_path / "config.json"
    path.write_text(written())
    if place == "hub":
        from transformers import AutoConfig

        known = AutoConfig.from_pretrained
        monkeypatch.setattr("transformers.utils.cached_file", lambda *_, **__: str(path))
        monkeypatch.setattr(AutoConfig, "from_pretrained", lambda _, **options: known(str(tmp_path), **options))
    with pytest.raises(PrunebenchError, match=message) as caught:
        prunable_matrices(str(tmp_path) if place == "folder" else "owner/name")
    said = str(caught.value) + capfd.readouterr().err
    assert "\n" not in str(caught.value)
    assert not any(word in said for word in (*ADVICE, "Warning"))


def test_the_command_says_it_in_a_line(tmp_path: Path, command: Command) -> None:
    (tmp_path / "config.json").write_text("null")
    code, out, err = command("prunable", tmp_path)
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_a_folder_without_a_configuration_and_a_model_that_the_hub_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> str:
        raise OSError("We cannot reach it.\n\nPlease pip install something")

    monkeypatch.setattr("transformers.utils.cached_file", absent)
    with pytest.raises(PrunebenchError, match=r"no config\.json in"):
        prunable_matrices(str(tmp_path))
    with pytest.raises(PrunebenchError, match=r"taken as a hub id \(no such folder here\): We cannot reach it$"):
        prunable_matrices("owner/name")


def test_a_known_type_needs_none_of_the_code_that_its_folder_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(changed(auto_map=OWN_CODE)())
    assert len(prunable_matrices(str(tmp_path))[0]) == 2 * 6


@pytest.mark.parametrize("name", ["", " ", "/no/such", "./none", "~/none"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(PrunebenchError, match=re.escape(f"no folder {name!r}; expected mini, mini-decoder, a hub id")):
        prunable_matrices(name)


@pytest.mark.parametrize("name", ["mini", "mini-decoder"])
def test_the_embedded_models_have_matrices_to_prune(name: str) -> None:
    assert prunable_matrices(name)[0]
