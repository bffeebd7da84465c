"""pdflatex run on what a test has made."""

import re
import shutil
import subprocess
from collections.abc import Mapping
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


def faults(folder: Path, head: str, cases: Mapping[str, str]) -> list[str]:
    """Case by case, the first thing that is not as it should be in a document of all of them; `head` is what stands before."""
    bodies = [f"\\typeout{{CASE {case}}}{body}\\clearpage" for case, body in cases.items()]
    log = compiled(folder, "\n".join([head, r"\begin{document}", *bodies, r"\end{document}"]), timeout=120)
    _, *said = log.split("CASE ")
    assert len(said) == len(cases)
    wrong = (re.search(r"Overfull.*|.*too large.*|.*undefined.*|Missing character.*", one) for one in said)
    return [f"{case}: {found.group()}" for case, found in zip(cases, wrong, strict=True) if found]
