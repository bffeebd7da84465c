"""What results/FINDINGS.md, its appendix and the tables of the boards claim is what the records beside them say."""

import importlib.util
import re
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from benchmark.board.board import Board
from benchmark.commands.views import table_text
from benchmark.plugins.files import only_look

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "results" / "FINDINGS.md", ROOT / "results" / "APPENDIX.md")
TABLES = [
    (page, name, text.strip())
    for page in PAGES
    for name, text in re.findall(
        r"<!-- table (\S+) -->\n(.*?)<!-- /table -->", page.read_text(encoding="utf-8"), re.DOTALL
    )
]


@pytest.fixture(scope="module")
def findings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("findings", ROOT / "results" / "findings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _only_looking() -> object:
    yield
    only_look(False)


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/table.md")), ids=lambda path: path.parent.name)
def test_the_table_of_a_board_is_the_one_that_its_records_give(path: Path) -> None:
    only_look(True)
    assert path.read_text(encoding="utf-8") == table_text(Board.open(path.parent), "markdown") + "\n"


def test_there_are_tables() -> None:
    assert {name for _, name, _ in TABLES} >= {"family", "headline", "fidelity", "principled-sensitivity"}
    assert all(text for _, _, text in TABLES)


@pytest.mark.parametrize(("page", "name", "text"), TABLES, ids=[f"{page.stem}-{name}" for page, name, _ in TABLES])
def test_a_table_is_what_the_records_say(findings: ModuleType, page: Path, name: str, text: str) -> None:
    if name in findings.WHOLE:
        assert text == findings.table(name)
        return
    lines = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert lines
    for line in lines:
        scores = [[float(score) for score in line[column].split()] for column in (5, 6)]
        assert len(scores[0]) == len(scores[1]) == int(line[4])
        assert float(line[7]) == pytest.approx(fmean(scores[0]) - fmean(scores[1]), abs=0.11)  # of rounded scores
        low, high = map(float, line[8].split(" to "))
        assert low <= float(line[7]) <= high
