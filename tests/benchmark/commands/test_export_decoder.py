"""A decoder pruned without training, exported: what transformers opens, as vLLM and llm-compressor do, is the model of the record."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from benchmark.board.board import Board
from benchmark.commands.export import export_cell
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.pruning.prunable import find_prunable
from benchmark.training.run import Options, open_task
from tests.benchmark.boards import Watched, finish, make_board
from tests.tasks.tiny import WORDS, checkpoint

METHODS = {
    "two of four": {"criterion": "wanda", "scope": "2:4"},
    "alphapruning": {"criterion": "wanda", "scope": "alphapruning"},
}


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    made = make_board(
        tmp_path_factory.mktemp("decoders") / "board",
        tasks=["lm/wikitext2"],
        methods=METHODS,
        criteria=[*METHODS],
        sparsities=[0.5],
        seeds=[0],
        schedule="one_shot",
        precision=request.param,
        training={"steps": 0, "batch_size": 4, "max_length": 64, "eval_examples": 8},
    )
    finish(made)
    return made


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", METHODS)
def test_the_folder_opens_as_a_causal_model_with_the_zeros_of_the_record(
    board: Board, name: str, dtype: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = board.find(f"lm/wikitext2 {name} 0.5 seed 0")
    record = board.record(spec)
    score = export_cell(board, spec, tmp_path / "out", dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.dtype == getattr(torch, dtype)
    assert not hasattr(model.config, "quantization_config")  # plain weights: nothing has to be decompressed
    zeros = {layer.name: int((model.get_parameter(layer.name) == 0).sum()) for layer in record.sparsity.layers}
    assert zeros == {layer.name: layer.zeros for layer in record.sparsity.layers}
    if name == "two of four":
        kept = [one.view(one.parameter.detach().view(-1)) != 0 for one in find_prunable(model)]
        assert all((matrix.reshape(-1, 4).sum(1) == 2).all() for matrix in kept)
    prepared = open_task(spec, Options())
    computed = model.to(torch.bfloat16 if spec.precision == "bf16" else torch.float32)
    assert prepared.evaluate(computed, "reported").metrics[record.metric] == score
    if dtype in ("float32", {"bf16": "bfloat16"}.get(spec.precision)):
        assert score == record.score
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    prompt = tokenizer("The river", return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert written.shape == (1, prompt["input_ids"].shape[1] + 4)


def test_kept_weights_are_scored_in_the_precision_of_the_run(board: Board, tmp_path: Path) -> None:
    spec = board.find("lm/wikitext2 two of four 0.5 seed 0")
    kept = make_board(tmp_path / "kept", **yaml.safe_load((board.folder / "suite.yaml").read_text()))
    run_cells(kept, kept.cells("*two of four*"), Watched(), Settings(device="cpu", save_weights=True))
    assert export_cell(kept, spec, tmp_path / "out") == kept.record(spec).score == board.record(spec).score


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rotary_frequencies_are_not_rounded_with_the_weights(tmp_path: Path, dtype: str) -> None:
    """They are in no file: what transformers opens has computed them in fp32."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = checkpoint(tmp_path / "llama", "llama", weights=False, initializer_range=0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    lines = [" ".join(WORDS[(at * at + step * 7) % 30] for step in range(12)) for at in range(100)]
    for name in ("prose", "more"):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    board = make_board(
        tmp_path / "board",
        model=str(folder),
        data=str(tmp_path),
        tasks=["lm[path=prose.txt,train=more.txt]"],
        criteria=["magnitude"],
        seeds=[0],
        schedule="one_shot",
        training={"steps": 0, "batch_size": 4, "max_length": 64, "eval_examples": 8},
    )
    finish(board)
    spec = next(cell for cell in board.cells() if not cell.is_dense)
    score = export_cell(board, spec, tmp_path / "out", dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").float()
    record = board.record(spec)
    assert open_task(spec, Options()).evaluate(model, "reported").metrics[record.metric] == score != record.score


def test_what_bf16_rounds_are_weights_of_fp32_alone(board: Board, tmp_path: Path) -> None:
    spec = board.find("lm/wikitext2 two of four 0.5 seed 0")
    for dtype in ("float32", "bfloat16"):
        export_cell(board, spec, tmp_path / dtype, dtype=dtype)
    full, half = (load_file(tmp_path / dtype / "model.safetensors") for dtype in ("float32", "bfloat16"))
    assert all(torch.equal(full[name].to(torch.bfloat16), weight) for name, weight in half.items())
    exact = all(torch.equal(full[name], weight.float()) for name, weight in half.items())
    assert exact == (spec.precision == "bf16")


def test_tied_weights_take_their_room_once(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.commands.export.room", lambda total, _: str(total))
    told: list[str] = []
    export_cell(
        board, board.find("lm/wikitext2 two of four 0.5 seed 0"), tmp_path / "out", tell=told.append, dtype="bfloat16"
    )
    stored = load_file(tmp_path / "out" / "model.safetensors").values()
    assert told == [f"the model will take {sum(one.numel() * one.element_size() for one in stored)}"]
