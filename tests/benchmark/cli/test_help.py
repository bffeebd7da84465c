"""Help and version: every name is shown whole, however narrow the terminal."""

from importlib.metadata import version
from typing import Any

import pytest
import typer

from benchmark.cli import app

ROOT: Any = typer.main.get_command(app)
COMMANDS = sorted(ROOT.commands)


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """What the command prints."""
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == status
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", ["80", "60"])
def test_help_shows_the_whole_name_of_every_option(
    command: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = shown([command, "--help"], capsys)
    parameters = ROOT.commands[command].params
    names = [name for one in parameters for name in (*one.opts, *one.secondary_opts) if name.startswith("-")]
    assert [name for name in names if name not in text.split() and f"{name}," not in text.split()] == []
    assert "\u2026" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_h_is_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = [command] if command else []
    assert shown([*before, "-h"], capsys) == shown([*before, "--help"], capsys)


def test_every_command_is_listed_with_its_first_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(shown(["--help"], capsys).split())
    assert "A benchmark of pruning criteria for pretrained language models." in text
    for name in COMMANDS:
        assert f" {name} {' '.join(ROOT.commands[name].help.partition(chr(10) * 2)[0].split())}" in text


def test_version_prints_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(["--version"], capsys) == f"prunebench {version('prunebench')}\n"
