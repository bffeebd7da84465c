"""WebNLG: DBpedia triples told in English, scored on the test set, categories seen and unseen in training also apart.

    Aarhus | leaderName | Jacob_Bundsgaard   ->   Aarhus : leaderName : Jacob Bundsgaard   ->   a text

    webnlg/2017   the challenge's data; 971 of 1,862 test entries are of the 10 categories of its training set
    webnlg/2020   WebNLG+ 2020 (release v3.0), English; 3 of its 19 test categories do not occur in training

Gardent et al. 2017, https://aclanthology.org/W17-3518; Castro Ferreira et al. 2020, https://aclanthology.org/2020.webnlg-1.7.
An example is an entry with all its texts. Every metric is also given as `<metric>_seen` and `<metric>_unseen`. BLEU ignores case
in 2017 and not in 2020, as the challenges' scripts do. Those read only the first three (2017) or four (2020) references, and an
empty line for each that is missing: `bleu_script` counts so, `bleu` counts all and no empty one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from tasks.base import Outcomes, TaskError, resample
from tasks.families.data_to_text import TextGeneration, grouped, references
from tasks.formats.reading import as_list, as_text, each_row, field
from tasks.formats.sources import Hub, Layout, Row
from tasks.formats.triples import Pair, linearise, parse_triple, plain, read_xml

FILES = {
    "2017": ("webnlg/webnlg_challenge_2017/train/*/*.xml", "webnlg/webnlg_challenge_2017/test/testdata_with_lex.xml"),
    "2020": (
        "webnlg/release_v3.0/en/train/*/*.xml",
        "webnlg/release_v3.0/en/test/rdf-to-text-generation-test-data-with-refs-en.xml",
    ),
}
PUBLISHED = {"2017": {"train": 6940, "reported": 1862}, "2020": {"train": 13211, "reported": 1779}}


@dataclass(frozen=True)
class Webnlg(TextGeneration):
    """The XML files of the webnlg-dataset repository, `webnlg/2017` or `webnlg/2020`."""

    variants: ClassVar[tuple[str, ...]] = tuple(FILES)

    revision: str = "ff142a004e8ca9e04220e05142b9bdcc268c8b88"
    """Revision of GEM/web_nlg (its parquet copy) that `data: hub` reads; the hub has the data of 2020 alone."""

    @property
    def lowercase(self) -> bool:
        """The script of 2017 ignores case (multi-bleu -lc), that of 2020 does not."""
        return self.variant == "2017"

    @property
    def script(self) -> int:
        """The references that the challenge's script reads."""
        return {"2017": 3, "2020": 4}.get(self.variant, 0)

    def layout(self, data: str) -> Layout:
        """The challenge's training and test files."""
        if self.variant not in FILES:
            raise TaskError(f"unknown variant webnlg/{self.variant}; the choices are {', '.join(FILES)}")
        train, test = FILES[self.variant]
        hub = Hub("GEM/web_nlg", self.revision, "en", converted=True)
        return Layout(
            {"train": (train,), "reported": (test,)}, hub if self.variant == "2020" else None, PUBLISHED[self.variant]
        )

    def read_file(self, path: Path, split: str) -> Iterable[Pair | TaskError]:
        """The entries of an XML file."""
        return read_xml(path, clean=True, skip=self.skip_malformed)

    def read_rows(self, rows: Iterable[Row], where: str, split: str) -> Iterable[Pair | TaskError]:
        """Rows with `input` (a list of triples), `category`, and `references` or, in training, a row per `target`."""

        def pair(row: Row, place: str) -> Pair:
            given = as_list(field(row, "input", place), "input", place)
            triples = [parse_triple(as_text(one, "a triple", place), place) for one in given]
            if not triples:
                raise TaskError(f"{place}: a record without triples")
            category = as_text(field(row, "category", place), "category", place)
            source = linearise([(plain(s), p, plain(o)) for s, p, o in triples])
            return Pair(source, references(row, place), category)

        return grouped(each_row(rows, where, pair, self.skip_malformed))

    def marks(self, examples: Sequence[Pair], trained: Iterable[Pair]) -> Outcomes:
        """`unseen` [examples]: whether no training example is of the category."""
        known = {example.category for example in trained}
        return {"unseen": np.array([example.category not in known for example in examples])}

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """Every metric over all entries, and over those of seen and of unseen categories where there are both."""
        metrics = super().aggregate(outcomes)
        unseen = outcomes["unseen"]
        if unseen.all() or not unseen.any():
            return metrics
        for name, chosen in (("seen", ~unseen), ("unseen", unseen)):
            part = super().aggregate(resample(outcomes, np.flatnonzero(chosen)))
            metrics |= {f"{metric}_{name}": value for metric, value in part.items()}
        return metrics
