"""E2E NLG challenge: a restaurant described in one or two sentences from its attributes, scored on the test set.

    name[Alimentum], area[city centre]   ->   name : Alimentum | area : city centre   ->   a text

Dusek et al. 2020, https://arxiv.org/abs/1901.11528. An example is a distinct meaning representation with all its texts: 4,862
train on 42,061 texts, 630 are reported. BLEU ignores case, as the challenge's script does.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.base import TaskError
from tasks.families.data_to_text import TextGeneration, grouped
from tasks.formats.reading import as_text, bounded, each, each_row, field, shown, single_spaced
from tasks.formats.sources import Hub, Layout, Row, open_text
from tasks.formats.triples import Pair

COLUMNS = ("mr", "ref")
"""The columns that are read, by the header; releases with corrections have more."""

_SLOT = re.compile(r"\s*([^\[\],\s][^\[\],]*)\[([^\[\]]*)\]\s*(?:,|$)")


@dataclass(frozen=True)
class E2e(TextGeneration):
    """The challenge's own CSV files: trainset.csv, testset_w_refs.csv."""

    max_target: int = 96
    """Longest target, in tokens, in training and in generation."""
    revision: str = "refs/convert/parquet"
    """Revision of tuetschek/e2e_nlg that `data: hub` reads; the hub's parquet copy of it has stood still since March 2024."""

    @property
    def lowercase(self) -> bool:
        """The challenge's script ignores case."""
        return True

    def layout(self, data: str) -> Layout:
        """trainset.csv is trained on, testset_w_refs.csv reported."""
        return Layout(
            {"train": ("e2e/trainset.csv",), "reported": ("e2e/testset_w_refs.csv",)},
            Hub("tuetschek/e2e_nlg", self.revision, converted=True),
            {"train": 4862, "reported": 630},
        )

    def read_file(self, path: Path, split: str) -> Iterable[Pair | TaskError]:
        """The columns `mr` and `ref` of a quoted CSV, gathered by their representation."""
        return grouped(each(_csv_rows(path), _pair, self.skip_malformed))

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair | TaskError]:
        """Rows with the columns `meaning_representation` and `human_reference`."""
        names = ("meaning_representation", "human_reference")

        def pair(row: Row, place: str) -> Pair:
            meaning, told = (as_text(field(row, name, place), name, place) for name in names)
            return Pair(linearise(meaning, place), (single_spaced(told),))

        return grouped(each_row(rows, where, pair, self.skip_malformed))


def linearise(representation: str, place: str) -> str:
    """`name[X], area[Y]` as `name : X | area : Y`; TaskError at `place` where it is not of that form."""
    slots, at = [], 0
    while at < len(representation):
        found = _SLOT.match(representation, at)
        if not found:
            raise TaskError(
                f"{place}: meaning {shown(representation)} is not of the form name[value], name[value], ..."
            )
        slots.append(f"{found[1].strip()} : {found[2].strip()}")
        at = found.end()
    if not slots:
        raise TaskError(f"{place}: an empty meaning representation")
    return " | ".join(slots)


def _pair(row: tuple[str, list[str], list[str]]) -> Pair:
    """The pair of a CSV row, given with its place and the header."""
    place, cells, header = row
    named = dict(zip(header, cells, strict=False))
    if len(cells) != len(header) or not named["ref"].strip():
        raise TaskError(f"{place}: {len(cells)} fields {shown(cells)}; expected a meaning representation and a text")
    return Pair(linearise(named["mr"], place), (single_spaced(named["ref"]),))


def _csv_rows(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """(place, cells, header) of every row; blank lines are none."""
    lines = (bounded(line, f"{path}:{number}") for number, line in enumerate(open_text(path), 1))
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if any(header.count(name) != 1 for name in COLUMNS):
            raise TaskError(f"{path}:1: header {header}; expected {','.join(COLUMNS)}, each once")
        begin = reader.line_num + 1
        for row in reader:
            place, begin = f"{path}:{begin}", reader.line_num + 1  # a quoted text may run over several lines
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield place, row, header
    except csv.Error as error:
        raise TaskError(f"{path}:{reader.line_num}: {error}") from error
