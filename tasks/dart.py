"""DART: open-domain triple sets from tables, WebNLG and E2E told in English, scored on the test set.

    [Mars Hill College, JOINED, 1973]   ->   Mars Hill College : JOINED : 1973   ->   a text

Nan et al. 2021, https://arxiv.org/abs/2007.02871, version 1.1.1: 30,526 triple sets train, 5,097 are reported. An example is a
triple set with all its texts. BLEU heeds case, as DART's script does; that counts only the first three references, here all count.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.base import TaskError
from tasks.families.data_to_text import TextGeneration, grouped, references
from tasks.formats.reading import as_list, each_row, field
from tasks.formats.sources import MINI, Hub, Layout, Row
from tasks.formats.triples import Pair, as_triple, linearise, read_json, read_xml

CHOICES = ("train", "dev")
PUBLISHED = {"train": 30526, "dev": 2768}


@dataclass(frozen=True)
class Dart(TextGeneration):
    """DART's own files, JSON where both forms are there, else XML."""

    train: str = "train"
    """What is trained on: `train`, or `dev` where the training file is not at hand (with heldout, a seeded part of it)."""
    revision: str = "refs/convert/parquet"
    """Revision of GEM/dart that `data: hub` reads; the hub's parquet copy of it has stood still since March 2024."""

    def layout(self, data: str) -> Layout:
        """The training (or dev) file and the test file; TaskError says so where there is no training file but a dev file."""
        if self.train not in CHOICES:
            raise TaskError(f"train is {self.train!r}; the choices are {', '.join(CHOICES)}")
        folder = MINI if data == "mini" else Path(data).expanduser()
        train, test = _name(folder, self.train), _name(folder, "test")
        if self.train == "train" and not (folder / train).is_file() and (folder / _name(folder, "dev")).is_file():
            raise TaskError(
                f"no train data: looked for {folder / train} (or .xml); there is a dev file: dart[train=dev] trains on that"
            )
        split = {"train": "train", "dev": "validation"}[self.train]
        return Layout(
            {"train": (train,), "reported": (test,)},
            Hub("GEM/dart", self.revision, splits={"train": (split,), "reported": ("test",)}, converted=True),
            {"train": PUBLISHED[self.train], "reported": 5097},
        )

    def read_file(self, path: Path, split: str) -> Iterable[Pair | TaskError]:
        """The triple sets of a JSON or XML file."""
        skip = self.skip_malformed
        found = read_xml(path, clean=False, skip=skip) if path.suffix == ".xml" else read_json(path, skip)
        return (pair if isinstance(pair, TaskError) else replace(pair, category="") for pair in found)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair | TaskError]:
        """Rows with `tripleset` and `references` or, in training, a row per `target`."""

        def pair(row: Row, place: str) -> Pair:
            triples = [as_triple(one, place) for one in as_list(field(row, "tripleset", place), "tripleset", place)]
            if not triples:
                raise TaskError(f"{place}: a record without triples")
            return Pair(linearise(triples), references(row, place))

        return grouped(each_row(rows, where, pair, self.skip_malformed))


def _name(folder: Path, part: str) -> str:
    names = [f"dart/dart-v1.1.1-full-{part}{suffix}" for suffix in (".json", ".xml")]
    return next((name for name in names if (folder / name).is_file()), names[0])
