"""The formulas of docstrings as LaTeX and MathML: known cases, and every formula of every plugin."""

import importlib
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytest.importorskip("latex2mathml")


@pytest.fixture(scope="module")
def formulas() -> Iterator[ModuleType]:
    """docs/formulas.py."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("formulas")
    sys.path.remove(str(ROOT / "docs"))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("S <- beta1 S + (1 - beta1) |theta g|", r"S\leftarrow\beta_{1}S+{(1-\beta_{1})}\left|\thetag\right|"),
        ("M <- (M k + I)/(k + 1)", r"M\leftarrow\frac{Mk+I}{k+1}"),
        ("1/2 theta^2 / [F^-1]_ii", r"\frac{1}{2}\theta^{2}/{[F^{-1}]}_{ii}"),
        ("-g (theta - eta g)", r"{-g}{(\theta-\etag)}"),
        ("sum_{i: theta_i != 0} theta0_i", r"\sum_{i:\:\theta_{i}\ne0}\theta_{0,i}"),
        ("W_i,j: - U_jj", r"W_{i,\:j:}-U_{jj}"),
        ("(1 - x/y)^3", r"\left(1-\frac{x}{y}\right)^{3}"),
        ("r^(i / rounds)", r"r^{i/\:\text{rounds}\,}"),
        ("norm2(X_j) sqrt(q) + 1e-8", r"\left\|X_{j}\right\|_{2}\,\sqrt{q}+10^{-8}"),
        ("u ~ Uniform[0, 1)", r"u\:\sim\:\mathrm{Uniform}{[0,\:1)}"),
        ("z'_d", r"z_{d}^{\prime}"),
        ("b log x", r"b\,\mathrm{log}\,x"),
    ],
)
def test_plain_formulas_become_latex(formulas: ModuleType, plain: str, expected: str) -> None:
    assert squeezed(formulas.latex(plain)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A, U: the moving average of I's window means", ["the moving average of", "'s window means"]),
        ("mean over the steps so far of |g|", ["mean over the steps so far of"]),
        ("score = A U", []),
        ("lambda = final_lambda p / matrices", ["final_lambda", "matrices"]),
        ("one draw a weight", ["one draw a weight"]),
    ],
)
def test_words_stay_words(formulas: ModuleType, text: str, words: list[str]) -> None:
    assert [part for is_formula, part in formulas._runs(text) if not is_formula] == words


def blocks(formulas: Any) -> dict[str, list[str]]:
    """What is typeset for each page of the reference."""
    hooks = importlib.import_module("hooks")
    pages = hooks.pages()
    return {
        name: re.findall(r'<div class="formula">.*?\n</div>', pages[name], re.DOTALL) for name in hooks.INTRODUCTIONS
    }


def test_every_formula_is_well_formed_and_leaves_no_code_behind(formulas: ModuleType) -> None:
    found = blocks(formulas)
    assert len(found["criteria"]) >= 15
    assert len(found["regularizers"]) >= 6
    assert len(found["schedules"]) >= 6
    for block in (block for page in found.values() for block in page):
        tree = ET.fromstring(block)
        assert not [text for text in tree.itertext() if re.search(r"[\\^]|<-|\bnorm2\b", text)], block
        for code in tree.iter("code"):
            code.text = ""
        assert not [text for text in tree.itertext() if "_" in text], block
