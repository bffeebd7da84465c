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
from tasks.families.data_to_text import Pair, TextGeneration, grouped
from tasks.formats.sources import Hub, Layout, Row, open_text

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
            Hub(
                "tuetschek/e2e_nlg", self.revision, splits={"train": ("train",), "reported": ("test",)}, converted=True
            ),
            {"train": 4862, "reported": 630},
        )

    def read_file(self, path: Path, split: str) -> Iterable[Pair]:
        """The rows `mr,ref` of a quoted CSV, gathered by their representation."""
        return grouped(_csv_rows(path))

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair]:
        """Rows with the columns `meaning_representation` and `human_reference`."""
        return grouped(_hub_rows(rows, where))


def linearise(representation: str, place: str) -> str:
    """`name[X], area[Y]` as `name : X | area : Y`; TaskError at `place` where it is not of that form."""
    slots, at = [], 0
    while at < len(representation):
        found = _SLOT.match(representation, at)
        if not found:
            raise TaskError(f"{place}: meaning {representation!r} is not of the form name[value], name[value], ...")
        slots.append(f"{found[1].strip()} : {found[2].strip()}")
        at = found.end()
    if not slots:
        raise TaskError(f"{place}: an empty meaning representation")
    return " | ".join(slots)


def _csv_rows(path: Path) -> Iterator[tuple[str, str]]:
    reader = csv.reader(open_text(path), strict=True)
    try:
        header = next(reader, [])
        if header != ["mr", "ref"]:
            raise TaskError(f"{path}:1: header {header}; expected mr,ref")
        begin = reader.line_num + 1
        for row in reader:
            place, begin = f"{path}:{begin}", reader.line_num + 1  # a quoted text may run over several lines
            if len(row) != 2 or not row[1].strip():
                raise TaskError(f"{place}: {len(row)} fields {row}; expected a meaning representation and a text")
            yield linearise(row[0], place), " ".join(row[1].split())
    except csv.Error as error:
        raise TaskError(f"{path}:{reader.line_num}: {error}") from error


def _hub_rows(rows: Iterable[Row], where: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows):
        place = f"{where}, row {number}"
        try:
            representation, text = str(row["meaning_representation"]), str(row["human_reference"])
        except KeyError as error:
            raise TaskError(f"{place}: no column {error}; it has {', '.join(row)}") from error
        yield linearise(representation, place), " ".join(text.split())
