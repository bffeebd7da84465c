"""`prunebench doctor` says what is there, what is missing and what to do about it."""

import socket
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.commands import doctor
from tasks.formats import sources
from tests.benchmark.boards import write_suite

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach no hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_this_machine_can_run_boards() -> None:
    findings = doctor.examine()
    found = {finding.what: finding for finding in findings}
    assert {"Python", "torch", "device", "mini data", "hub", "tensorboard", "accelerate", "pdflatex"} <= set(found)
    assert found["torch"].state == found["mini data"].state == found["device"].state == "ok"
    assert found["device"].found.endswith("threads")
    lines = doctor.report_lines(findings)
    assert lines[0].startswith("ok       Python")
    assert lines[-1] == "everything that runs need is here"


def test_what_is_missing_comes_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"no_such_package": ("some", "nothing")})
    monkeypatch.setattr(doctor, "PROGRAMS", {"no-such-program": (("no-such-program",), "nothing is lost")})
    (extra,), (program,) = list(doctor.extras()), list(doctor.programs())
    assert (extra.state, extra.remedy) == ("missing", "python -m pip install 'prunebench[some]'")
    assert (program.state, program.remedy) == ("missing", "nothing is lost")
    lines = doctor.report_lines([extra, program])
    assert lines[1].strip() == extra.remedy


def test_every_extra_is_one_that_the_package_declares() -> None:
    """And holds the package whose lack it mends."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for package, (extra, _) in doctor.EXTRAS.items():
        assert any(need.startswith(package.replace("_", "-")) for need in declared[extra]), package


def test_what_lets_runs_fail_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9))
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    findings = [doctor.python(), *doctor.packages()]
    assert [finding.state for finding in findings] == ["wrong", "wrong"]
    assert doctor.report_lines(findings)[-1] == "runs will fail until this is mended: Python, no-such-package"


def test_a_hub_is_reached_or_another_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HF_HUB_OFFLINE" in doctor.hub().found
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert doctor.hub().state == "ok"
    gone = doctor.hub(seconds=0.2)
    assert gone.state == "missing"
    assert "--data DIR" in gone.remedy


@pytest.mark.parametrize("address", ["https://host:port", "http://[::1"])
def test_an_address_that_is_none_is_a_hub_that_is_missing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert doctor.hub().state == "missing"


def test_a_board_is_opened(tmp_path: Path) -> None:
    board = Board.open(write_suite(tmp_path / "good"))
    (finding,) = doctor.board_findings(board)
    assert finding.state == "ok"
    assert "train.tsv" in finding.found


@pytest.mark.parametrize(
    ("place", "found", "remedy"),
    [
        ("data", "train.tsv", "for the files each task reads"),
        ("model", "config.json", "for the models that tasks take"),
    ],
)
def test_what_a_board_lacks_is_told_with_where_to_read(place: str, found: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    board = Board.open(write_suite(tmp_path / "bad", **{place: str(tmp_path / "empty")}))
    (finding,) = doctor.board_findings(board)
    assert finding.state == "wrong"
    assert found in finding.found
    assert remedy in finding.remedy


def test_every_embedded_model_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MINI", tmp_path)
    models = ("encoder", "decoder", "writer")
    for name in (*(f"{model}/model.safetensors" for model in models), "glue/SST-2/train.tsv"):
        assert name in doctor.embedded().found
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert doctor.embedded().state == "ok"
