"""pdflatex run on what a test has made."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compiled(folder: Path, text: str, timeout: float = 60) -> str:
    """What pdflatex says of this document, which must compile."""
    (folder / "a.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "a.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
