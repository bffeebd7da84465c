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
from benchmark.report.statistics.intervals import t_interval

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "results" / "FINDINGS.md", ROOT / "results" / "APPENDIX.md")
TABLES = [
    (page, name, text.strip())
    for page in PAGES
    for name, text in re.findall(
        r"<!-- table (\S+) -->\n(.*?)<!-- /table -->", page.read_text(encoding="utf-8"), re.DOTALL
    )
]

NUMBER = re.compile(r"(?<![\w.])\d*\.\d+")
ELSEWHERE = {
    "0.99999999996": "minilm-sst2/diagnose/correlation-glue-sst2.csv",
    "0.996": "minilm-sst2/diagnose/correlation-glue-sst2.csv",
    "0.0004": "minilm-sst2/diagnose/churn.csv",
    "0.016": "minilm-sst2/diagnose/churn.csv",
    "81.3": "minilm-tuning/tuning/glue-sst2-principled-0-9-2c13e65fbfab3817.json",
    "72.3": "minilm-tuning/tuning/glue-sst2-magnitude-0-9-62912fd5356da93e.json",
    "0.46": "minilm-movement/table.md",
    "52.7": "minilm-pilots/records/*.json",
    "84.3": "published/figures.csv",
    "86.4": "published/figures.csv",
    "44.3": "published/figures.csv",
    "58.3": "published/figures.csv",
    "55.6": "minilm-rte/records/*.json",
    "59.6": "minilm-rte/records/*.json",
}
"""Numbers of the prose that no table has, and the file of results/ that does."""
SETTINGS = ("0.99", ".25", ".0625")
"""What is no result: beta2, and the smallest p of exact tests over three and five seeds."""


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


def test_the_findings_have_these_tables() -> None:
    assert {name for _, name, _ in TABLES} >= {"family", "headline", "fidelity", "principled-sensitivity"}
    assert all(text for _, _, text in TABLES)


@pytest.mark.parametrize(("page", "name", "text"), TABLES, ids=[f"{page.stem}-{name}" for page, name, _ in TABLES])
def test_a_table_is_what_the_records_say(findings: ModuleType, page: Path, name: str, text: str) -> None:
    if name in findings.WHOLE:
        assert text == findings.table(name)
        return
    lines = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    for line, one in zip(lines, findings.comparisons(findings.TABLES[name]), strict=True):
        sides = [" ".join(f"{record.score:.1f}" for record in side) for side in (one.ours, one.theirs)]
        words = [one.task, f"{one.sparsity:g}", one.first.words, one.second.words, str(len(one.ours)), *sides]
        gaps = [ours.score - theirs.score for ours, theirs in zip(one.ours, one.theirs, strict=True)]
        assert line[:8] == [*words, f"{fmean(gaps):+.1f}"]
        low, high = map(float, line[8].split(" to "))  # over items, by a bootstrap that takes minutes for all of them
        assert low <= float(line[7]) <= high
        if len(gaps) > 1:
            found = t_interval(gaps)
            assert line[9] == f"{found.low:+.1f} to {found.high:+.1f}"
        else:
            assert line[9] == "one seed"


def test_scores_that_are_printed_one_by_one_are_in_the_order_of_seeds(findings: ModuleType) -> None:
    row = findings.Row("principled", board="minilm-glue")
    assert findings.cell(row, "glue/qnli", 0.8) == "76.5 / 72.9 / 51.9"


def test_a_number_of_the_prose_is_in_a_table_or_in_the_file_that_is_named_for_it() -> None:
    tables = {number.lstrip("0") for _, _, text in TABLES for number in NUMBER.findall(text)}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = [readme.split("## What it has shown so far")[1].split("\n## ")[0]]
    prose += [re.sub(r"<!-- table .*?<!-- /table -->", "", page.read_text("utf-8"), flags=re.DOTALL) for page in PAGES]
    said = {number for text in prose for number in NUMBER.findall(text)}
    for number in sorted(said):
        if number in ELSEWHERE:
            files = (ROOT / "results").glob(ELSEWHERE[number])
            found = {found for file in files for found in NUMBER.findall(file.read_text(encoding="utf-8"))}
            digits = len(number.split(".")[1])
            assert number in {f"{float(one):.{digits}f}" for one in found}, number
        else:
            assert number.lstrip("0") in tables or number in SETTINGS, f"{number} is in no table"
    assert set(ELSEWHERE) <= said
