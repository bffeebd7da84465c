"""Shell completion: commands, options, kinds and plugins' names; a script for each shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli import completing


def shell(*arguments: str, **variables: str) -> str:
    """What the console script prints when a shell asks it."""
    code = "from benchmark.cli import main; import sys; sys.argv[0] = 'prunebench'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=os.environ | variables, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("prunebench stat", {"status", "statistics"}),
        ("prunebench list cri", {"criteria"}),
        ("prunebench table board --form", {"--format"}),
        ("prunebench check princ", {"principled"}),
        ("prunebench check glue/r", {"glue/rte"}),
        ("prunebench compare board --add mag", {"magnitude"}),
        ("prunebench check ./mine", set()),  # the shell goes on with files
    ],
)
def test_bash_is_offered(line: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    assert set(shell(_PRUNEBENCH_COMPLETE="complete_bash", **words).split()) == offered


@pytest.mark.parametrize(("name", "rc"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_completion_is_installed_for_the_shell(tmp_path: Path, name: str, rc: str) -> None:
    there = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert f"{name} completion installed" in shell("--install-completion", name, **there)
    assert (tmp_path / rc).is_file()
    assert "_PRUNEBENCH_COMPLETE" in shell("--show-completion", name, **there)


def test_names_are_those_that_can_be_given() -> None:
    from benchmark.plugins import registry

    assert "squad" in completing.plugins("")
    assert "magnitude" in completing.criteria("")
    assert not [name for name in completing.criteria("") if name not in registry.names("criteria")]
