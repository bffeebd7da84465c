"""Odd environment variables: commands go on as if nothing were said, or end with a sentence that names the variable or the file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.commands.doctor import cache
from benchmark.errors import PrunebenchError
from benchmark.machine import parallel
from benchmark.machine.atomic import WriteError, disk_trouble, require_room
from tests.benchmark.boards import finish, make_board
from tests.command import Command

UTF8_OFF = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = make_board(
        tmp_path_factory.mktemp("odd") / "brett-\u00fc", criteria=["magnitude"], title="Tin\u00fc \u65e5\u672c"
    )
    finish(board)
    return board.folder


@pytest.mark.parametrize(
    "odd",
    [
        *({"COLUMNS": text} for text in ("0", "00", "-1", "abc", "", "1", "9" * 30)),
        {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "nonsense"}, {"TERM": ""}, {"TZ": "Nowhere/None"},
        {"MPLBACKEND": "nonsense"}, {"TMPDIR": "/nowhere"}, {"PRUNEBENCH_PLUGIN_FILES": "maybe"},
        {"PRUNEBENCH_CACHE": "/dev/null"}, {"PRUNEBENCH_CACHE": "x" * 5000}, {"PRUNEBENCH_CACHE": ""}, {"HF_HOME": "/dev/null"},
        {"WORLD_SIZE": "abc"}, {"OMP_NUM_THREADS": "abc"},
    ],
    ids=str,
)  # fmt: skip
def test_looking_is_not_disturbed(
    folder: Path, odd: dict[str, str], command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in odd.items():
        monkeypatch.setenv(name, text)
    for words in (
        ["status", folder],
        ["table", folder],
        ["plot", folder, "--figure", "score-cost", "--output", tmp_path],
    ):
        code, out, err = command(*words)
        assert code == 0, err
        assert "Magnitude" in out or words[0] != "table" or odd == {"COLUMNS": "1"}
        assert out.strip() or words[0] == "plot"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc': expected a whole number"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2': expected a whole number"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is '': expected a whole number"),
        ({"WORLD_SIZE": "2"}, "RANK is not set, though WORLD_SIZE is"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK is 'x': expected a whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2 of WORLD_SIZE 2: expected a smaller number"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_PORT is not set, though WORLD_SIZE is"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "a"}, "MASTER_PORT is 'a'"),
        ({"PRUNEBENCH_CACHE": "/dev/null"}, "/dev/null"),
        ({"PRUNEBENCH_CACHE": "x" * 5000}, "File name too long"),
    ],
    ids=str,
)
def test_running_names_what_is_wrong(
    tmp_path: Path, odd: dict[str, str], said: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, text in odd.items():
        monkeypatch.setenv(name, text)
    board = make_board(tmp_path / "b")
    code, _, err = command("run", board.folder, "--device", "cpu")
    assert code == 2
    assert err.startswith("prunebench: ")
    assert said in err
    assert not board.records_folder.exists()


def test_one_process_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("0", "1"):
        monkeypatch.setenv("WORLD_SIZE", said)
        assert not parallel.launched()


@pytest.mark.parametrize("words", [["table"], ["status"], ["report"], ["verify"]])
def test_names_beyond_ascii_where_the_locale_has_none(folder: Path, words: list[str]) -> None:
    """As in a container without a locale; what cannot be written there is told, and how to mend it."""
    command = [sys.executable, "-P", "-c", "from benchmark.cli import main; main()", *words, folder.name]
    environment = os.environ | UTF8_OFF | {"PYTHONPATH": str(Path(cli.__file__).parents[2])}
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, timeout=120, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0 or (done.returncode == 2 and b"set PYTHONUTF8=1" in done.stderr), done.stderr


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/x", "/proc/version"])
def test_doctor_looks_at_the_cache(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_CACHE", place)
    found = cache()
    assert (found.state, found.remedy) == ("wrong", "set PRUNEBENCH_CACHE to a folder of your own")
    assert "is no folder" in found.found


def test_a_folder_that_is_there_or_can_be_made_has_room(tmp_path: Path) -> None:
    require_room(tmp_path)
    require_room(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(PrunebenchError, match="file: is no folder"):
        require_room(tmp_path / "file" / "b")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO])
def test_a_file_that_may_not_grow_is_the_disks_trouble(number: int) -> None:
    """A limit on the size of files (`ulimit -f`) stops the board as a full disk does, and is no cell's failure."""
    assert isinstance(disk_trouble(OSError(number, os.strerror(number), "f")), WriteError)
