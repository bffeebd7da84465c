"""Where caches lie: in the user's own folder, and for each board by its place."""

from pathlib import Path

import pytest

from benchmark.errors import PrunebenchError
from benchmark.machine.caches import board_cache, cache_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PRUNEBENCH_CACHE": "/scratch/me", "XDG_CACHE_HOME": "/xdg"}, "/scratch/me"),
        ({"PRUNEBENCH_CACHE": "~/mine"}, "/home/me/mine"),
        ({"PRUNEBENCH_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/prunebench"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/prunebench"),
        ({"XDG_CACHE_HOME": ""}, "/home/me/.cache/prunebench"),
        ({}, "/home/me/.cache/prunebench"),
    ],
)
def test_caches_lie_where_the_variables_say(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PRUNEBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_without_a_home_the_variable_to_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNEBENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(PrunebenchError, match="set PRUNEBENCH_CACHE to a folder of your own"):
        cache_folder()


def test_each_board_has_its_own_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/board", "b/board", "odd name ü"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "board")
    found = [board_cache(tmp_path / name) for name in ("a/board", "b/board", "odd name ü")]
    assert len(set(found)) == 3
    assert found[0].name.startswith("board-")
    assert found[2].name.isascii()
    assert board_cache(tmp_path / "link") == found[0]
    assert board_cache(tmp_path / "b" / ".." / "a" / "board") == found[0]
    monkeypatch.chdir(tmp_path / "a")
    assert board_cache(Path("board")) == found[0]
