"""An exported model is a Hugging Face folder that gives the recorded score again."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.weights import load_weights, save_weights
from benchmark.commands.export import card, export_cell
from benchmark.commands.measure import measure_cells
from benchmark.commands.verify import of_exported
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.errors import PrunebenchError
from benchmark.pruning import semi_structured
from benchmark.training.run import Options, open_task
from tests.benchmark.boards import write_suite
from tests.command import Command

ROOT = Path(__file__).resolve().parents[3]
Weights = dict[str, Tensor]
LAYER = "bert.encoder.layer.1.attention.self.query.weight"


def test_from_pretrained_gives_the_recorded_score(finished: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    board = Board.open(finished)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    record = board.record(spec)
    told: list[str] = []
    assert export_cell(board, spec, tmp_path / "out", tell=told.append) == record.score
    found = re.fullmatch(r"the model will take ([\d.]+) GB in (.+); \d+ GB are free there", told[0])
    assert found is not None
    assert found[2] == str(tmp_path / "out")
    taken = (tmp_path / "out" / "model.safetensors").stat().st_size / 1e9
    assert abs(taken - float(found[1])) <= 0.005
    assert len(told) == 1

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    AutoTokenizer.from_pretrained(tmp_path / "out")
    prepared = open_task(spec.model_copy(update={"model": str(tmp_path / "out")}), Options())
    evaluation = prepared.evaluate(model, "reported")
    assert evaluation.metrics == record.metrics
    for name, values in load_outcomes(board.records_folder, record).items():
        assert (evaluation.outcomes[name] == values).all()
    zeros = sum(int((model.get_parameter(layer.name) == 0).sum()) for layer in record.sparsity.layers)
    assert zeros == record.sparsity.zeros


OWN = """
from transformers import BertConfig, BertModel, BertForSequenceClassification
class OwnConfig(BertConfig):
    model_type = "own-kind"
class OwnModel(BertModel):
    config_class = OwnConfig
class OwnClassifier(BertForSequenceClassification):
    config_class = OwnConfig
"""


def test_a_model_with_code_of_its_own_is_exported_and_compared_where_it_may_run(
    tmp_path: Path, command: Command
) -> None:
    """A board that was run with --trust-remote-code could not be exported, nor given a row by compare."""
    own = shutil.copytree(ROOT / "tasks" / "mini" / "encoder", tmp_path / "model")
    classes = {
        "AutoConfig": "OwnConfig",
        "AutoModel": "OwnModel",
        "AutoModelForSequenceClassification": "OwnClassifier",
    }
    config = json.loads((own / "config.json").read_text()) | {"model_type": "own-kind"}
    config["auto_map"] = {auto: f"own.{name}" for auto, name in classes.items()}
    (own / "config.json").write_text(json.dumps(config))
    (own / "own.py").write_text(OWN)
    board = Board.open(write_suite(tmp_path / "board", model=str(own), criteria=["magnitude"]))
    settings = Settings(device="cpu", save_weights=True, trust_remote_code=True)
    assert not run_cells(board, board.cells(), Silent(), settings).failed
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    with pytest.raises(PrunebenchError, match="trust_remote_code"):
        export_cell(board, spec, tmp_path / "out")
    assert export_cell(board, spec, tmp_path / "out", trust_remote_code=True) == board.record(spec).score
    assert (tmp_path / "out" / "own.py").is_file()
    code, _, told = command("compare", board.folder, "--add", "random", "--device", "cpu")
    assert (code, "trust_remote_code" in told) == (2, True)
    assert command("compare", board.folder, "--add", "random", "--device", "cpu", "--trust-remote-code")[0] == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_zeros_survive_being_stored_in_half_precision(finished: Path, tmp_path: Path, dtype: str) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    board = Board.open(finished)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    record = board.record(spec)
    score = export_cell(board, spec, tmp_path / "out", dtype=dtype)
    export_cell(board, spec, tmp_path / "full")
    stored, full = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "full"))
    kind = getattr(torch, dtype)
    assert all(torch.equal(stored[name], weight.to(kind)) for name, weight in full.items())
    assert all(torch.equal(stored[layer.name] == 0, full[layer.name] == 0) for layer in record.sparsity.layers)
    assert [str(finding) for finding in of_exported(board, tmp_path / "out", [spec]) if finding.wrong] == []

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.dtype == kind
    prepared = open_task(spec, Options())
    assert prepared.evaluate(model.float(), "reported").metrics[record.metric] == score
    assert f"stored as {dtype}; so rounded they score {score:.2f}" in (tmp_path / "out/README.md").read_text()


def test_another_dtype_is_refused(finished: Path, tmp_path: Path) -> None:
    board = Board.open(finished)
    with pytest.raises(PrunebenchError, match="dtype: found 'int8'; choices: bfloat16, float16, float32"):
        export_cell(board, board.cells()[0], tmp_path / "out", dtype="int8")
    assert not (tmp_path / "out").exists()


def test_without_kept_weights_the_cell_is_trained_again(board_copy: Path, tmp_path: Path) -> None:
    board = Board.open(board_copy)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    kept = board.weights_folder / f"{spec.id}.safetensors"
    export_cell(board, spec, tmp_path / "kept")
    kept.unlink()
    export_cell(board, spec, tmp_path / "again")
    files = [tmp_path / name / "model.safetensors" for name in ("kept", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_weights_that_do_not_give_the_score_are_refused(board_copy: Path, tmp_path: Path) -> None:
    board = Board.open(board_copy)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    weights = load_weights(board.weights_folder, spec.id)
    assert weights is not None
    bias = weights["classifier.bias"]
    flipped = {name: -value if name.startswith("classifier") else value for name, value in weights.items()}
    save_weights(board.weights_folder, spec.id, flipped | {"classifier.bias": -bias + torch.tensor([9.0, -9.0])})
    with pytest.raises(PrunebenchError, match="the record says"):
        export_cell(board, spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def zeroed(weights: Weights) -> Weights:
    return weights | {LAYER: torch.zeros_like(weights[LAYER])}


def dense(weights: Weights) -> Weights:
    return weights | {LAYER: torch.ones_like(weights[LAYER])}


ODD: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "names of a wrapper": (lambda w: {f"module.{k}": v for k, v in w.items()}, "is in one of them only"),
    "one missing": (lambda w: {k: v for k, v in w.items() if k != LAYER}, f"'{LAYER}' is in one of them only"),
    "one too many": (lambda w: w | {"extra": torch.ones(1)}, "'extra' is in one of them only"),
    "another shape": (lambda w: w | {LAYER: w[LAYER][:-1]}, f"'{LAYER}' has shape"),
    "all zero": (zeroed, f"{LAYER} has 4096 zeros of 4096, the record says"),
    "no zero": (dense, f"{LAYER} has 0 zeros of 4096, the record says"),
    "not a number": (
        lambda w: w | {"classifier.bias": w["classifier.bias"] * torch.nan},
        "classifier.bias is not finite",
    ),
}


@pytest.mark.parametrize("form", ODD)
def test_kept_weights_that_do_not_fit_the_record_are_refused(board_copy: Path, tmp_path: Path, form: str) -> None:
    change, message = ODD[form]
    board = Board.open(board_copy)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    weights = load_weights(board.weights_folder, spec.id)
    assert weights is not None
    save_weights(board.weights_folder, spec.id, change(weights))
    with pytest.raises(PrunebenchError, match=f"its kept weights do not fit its record: .*{message}"):
        export_cell(board, spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(PrunebenchError, match=r"kept weights (that )?do not fit its (record|model)"):
        measure_cells(board, [board.record(spec)])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGED: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
    "a folder": a_folder,
}


@pytest.mark.parametrize("form", DAMAGED)
def test_damaged_kept_weights_are_told_and_left_where_they_are(board_copy: Path, tmp_path: Path, form: str) -> None:
    board = Board.open(board_copy)
    spec = board.find("glue/sst2 magnitude 0.5 seed 0")
    path = board.weights_folder / f"{spec.id}.safetensors"
    DAMAGED[form](path)
    before = sorted(board.weights_folder.iterdir())
    for read in (
        lambda: export_cell(board, spec, tmp_path / "out"),
        lambda: measure_cells(board, [board.record(spec)]),
    ):
        with pytest.raises(PrunebenchError, match=f"{path.name}: .*; delete it, and its cell is trained again"):
            read()
    assert sorted(board.weights_folder.iterdir()) == before


def test_a_full_folder_is_refused(finished: Path, tmp_path: Path) -> None:
    board = Board.open(finished)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PrunebenchError, match="not empty"):
        export_cell(board, board.cells()[0], tmp_path)


def test_the_card_states_what_a_reader_needs(finished: Path) -> None:
    board = Board.open(finished)
    record = board.record(board.find("glue/sst2 magnitude 0.5 seed 0"))
    text = card(record)
    assert f"{record.sparsity.zeros:,} of {record.sparsity.prunable:,}" in text
    assert record.id in text
    assert "neither smaller on disk nor faster" in text


@pytest.fixture
def two_of_four(tmp_path: Path) -> Board:
    """A finished board of one 2:4 cell, its weights kept."""
    board = Board.open(write_suite(tmp_path / "two_of_four", criteria=["magnitude"], scope="2:4", sparsities=[0.5]))
    assert not run_cells(board, board.cells(), Silent(), Settings(save_weights=True)).failed
    return board


def test_compressed_2_4_weights_need_cuda_and_their_scope(two_of_four: Board, finished: Path, tmp_path: Path) -> None:
    spec = two_of_four.find("glue/sst2 magnitude 0.5 seed 0")
    with pytest.raises(PrunebenchError, match="on a CUDA device alone"):
        export_cell(two_of_four, spec, tmp_path / "out", "cpu", semi_structured=True)
    board = Board.open(finished)
    with pytest.raises(PrunebenchError, match="for cells of scope '2:4', and this one is 'global'"):
        export_cell(board, board.find("glue/sst2 magnitude 0.5 seed 0"), tmp_path / "out", semi_structured=True)
    assert not (tmp_path / "out").exists()


def test_a_2_4_cell_is_written_in_fp16_with_its_speed(
    two_of_four: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, with torch's compression replaced by one that changes nothing."""
    from safetensors.torch import load_file

    monkeypatch.setattr("benchmark.commands.export.require_cuda", lambda _: None)
    monkeypatch.setattr(semi_structured, "require_cuda", lambda _: None)
    monkeypatch.setattr("torch.sparse.to_sparse_semi_structured", torch.clone)
    spec = two_of_four.find("glue/sst2 magnitude 0.5 seed 0")
    score = export_cell(two_of_four, spec, tmp_path / "out", "cpu", semi_structured=True)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    for layer in two_of_four.record(spec).sparsity.layers:
        assert (weights[layer.name] != 0).view(-1, 4).sum(1).max() <= 2
    said = (tmp_path / "out" / "README.md").read_text()
    assert f"The weights are stored as float16; so rounded they score {score:.2f} here." in said
    assert "Compressed to 2:4 on" in said
