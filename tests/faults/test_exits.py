"""Third parties' plugins that end the process, or raise what is no Exception: one sentence, and no command ends with them."""

from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.commands.doctor import board_findings
from benchmark.commands.rerun import Rerun
from benchmark.commands.verify import verify_board
from benchmark.commands.views import table_text
from benchmark.engine.sources import open_sources
from benchmark.plugins import registry
from benchmark.training.run import Options
from tests.benchmark.boards import finish, make_board
from tests.command import Command

RAISED = {
    "exits": "raise SystemExit(3)",
    "exits silently": "raise SystemExit",
    "an own kind": "raise type('Odd', (BaseException,), {})('so')",
    "generator": "raise GeneratorExit",
    "an error": "raise RuntimeError('so')",
    "asserts": "assert False, 'so'",
}
TASK = '''"""Sentiment with a fault."""
from dataclasses import dataclass
from typing import ClassVar
from tasks.glue import Glue

{at_import}

@dataclass(frozen=True)
class Mine(Glue):
    """Mine."""
    variants: ClassVar[tuple[str, ...]] = ()
    variant: str = "sst2"

    def prepare(self, setting):
        {prepare}
        return super().prepare(setting)

    def aggregate(self, outcomes):
        {aggregate}
        return super().aggregate(outcomes)
'''
FINE = {"at_import": "pass", "prepare": "pass", "aggregate": "pass"}


def task(folder: Path, **faults: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "mine.py"
    path.write_text(TASK.format(**FINE | faults))
    registry.load.cache_clear()
    return path


@pytest.mark.parametrize("form", RAISED)
@pytest.mark.parametrize("place", ["at_import", "prepare"])
def test_a_task_that_cannot_be_opened(tmp_path: Path, place: str, form: str) -> None:
    """`doctor` and `run` say so; its cells fail, the others run."""
    path = task(tmp_path, **{place: RAISED[form]})
    board = make_board(tmp_path / "board", tasks=["glue/sst2", str(path)], criteria=["magnitude"])
    findings = {finding.what: finding for finding in board_findings(board)}
    assert findings["glue/sst2"].state == "ok"
    (found,) = (finding for what, finding in findings.items() if what != "glue/sst2")
    assert found.state == "wrong"
    assert "\n" not in found.found
    assert "cannot be" in found.found
    open_sources(board, board.suite.cells(), Options())
    done = finish(board)
    assert len(done.finished) == len(done.failed) == 2
    assert all("cannot be" in reason for reason in done.failed.values())


@pytest.mark.parametrize("form", RAISED)
def test_metrics_that_end_the_process_end_no_looking_command(tmp_path: Path, form: str) -> None:
    path = task(tmp_path)
    board = make_board(tmp_path / "board", tasks=[str(path)], criteria=["magnitude", "random"])
    finish(board)
    task(tmp_path, aggregate=RAISED[form])
    lines: list[str] = []
    board = Board.open(board.folder)
    (spec,) = board.cells("*magnitude*")
    assert verify_board(board, [spec], Rerun(board, "cpu"), tell=lines.append)
    assert any("its metrics cannot be made again from its outcomes" in line for line in lines), lines
    assert any("cannot be run again" in line for line in lines), lines
    assert "Magnitude" in table_text(board, "text")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("status", 0, "leaver: 0 done, 0 failed, 3 missing"),
        ("table", 0, "Random     missing"),
        ("list tasks", 0, "leaver  [leaver 1.0]"),
        ("doctor", 1, "task 'leaver' (leaver 1.0 (leaver.mine:Mine)) cannot be imported: SystemExit: 7"),
    ],
)
def test_an_installed_package_that_exits_when_it_is_imported_ends_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, words: str, code: int, said: str
) -> None:
    package = tmp_path / "site" / "leaver"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit(7)\n")
    (package / "mine.py").write_text("")
    claim = tmp_path / "site" / "leaver-1.0.dist-info"
    claim.mkdir()
    (claim / "METADATA").write_text("Metadata-Version: 2.1\nName: leaver\nVersion: 1.0\n")
    (claim / "entry_points.txt").write_text("[prunebench.tasks]\nleaver=leaver.mine:Mine\n")
    board = make_board(tmp_path / "board").folder
    (board / "suite.yaml").write_text((board / "suite.yaml").read_text().replace("glue/sst2", "leaver"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # for doctor, which would ask for the hub
    monkeypatch.syspath_prepend(tmp_path / "site")
    ended, printed, err = command(*words.split(), *([] if words.startswith("list") else [board]))
    assert ended == code, err
    assert said in printed
    assert "Traceback" not in err
