"""The scripts for a machine without a network, as far as any machine can try them: syntax, packed weights, boards compared."""

import re
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks import mini
from tests.benchmark.boards import finish, make_board
from tests.device import probe, together, weights

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["run", "pack"])
def test_scripts_parse(name: str) -> None:
    subprocess.run(["bash", "-n", HERE / name], check=True)


def test_a_packed_model_is_the_same_in_fp16(tmp_path: Path) -> None:
    folder = Path(mini.__file__).parent / "encoder"
    weights.pack(folder, tmp_path / "packed")
    weights.unpack(tmp_path / "packed", tmp_path / "again")
    packed, raw = (sum(f.stat().st_size for f in path.iterdir()) for path in (tmp_path / "packed", folder))
    assert packed < 0.6 * raw
    assert {path.name for path in (tmp_path / "again").glob("*.json")} == {path.name for path in folder.glob("*.json")}
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "again"))
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value.half())


def test_boards_are_compared_row_by_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(tmp_path)
    finish(board)
    probe.compare(str(board.folder), str(board.folder))
    said = capsys.readouterr().out
    assert "0 of it are not here" in said
    assert "mean +0.00" in said
    assert "glue/sst2 magnitude none 0.5" in said


def test_what_tokenizing_costs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    probe.tokens("mini", "mini", "glue/sst2", "squad")
    said = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in said] == [task for task in ("glue/sst2", "squad") for _ in "12"]
    assert all("s of the processor" in line for line in said)


def test_cells_trained_together_prune_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(together, "DEVICE", torch.device("cpu"))
    monkeypatch.setattr(together, "CUDA", False)
    monkeypatch.setattr(together, "ROWS", [("principled[window=2]", 0.5), ("taylor", 0.8)])
    together.main("6")
    said = capsys.readouterr().out
    assert said.count(": 0 weights are zero in one alone") == 2
    gaps = re.findall("difference ([^,]+),", said)
    assert len(gaps) == 2
    assert all(float(gap) < 1e-3 for gap in gaps)
