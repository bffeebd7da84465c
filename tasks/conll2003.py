"""CoNLL-2003 English: persons, organisations, locations and others in Reuters news, entity F1 on testb.

Trained on eng.train, reported on eng.testb, the shared task's test set; eng.testa is left alone, as selection goes by `heldout`,
a part of eng.train. Tags come in IOB1 and are trained in IOB2. Tjong Kim Sang and De Meulder 2003,
https://aclanthology.org/W03-0419.
"""

from dataclasses import dataclass

from tasks.base import Setting
from tasks.families.tagging import PreparedTagging, WordTagging
from tasks.formats.sources import Hub, Layout

TYPES = ("LOC", "MISC", "ORG", "PER")


@dataclass(frozen=True)
class Conll2003(WordTagging):
    """The shared task's files eng.train and eng.testb."""

    revision: str = "645d8a1e6610499ea08990f5c5935a8d54ee76a1"
    """Revision of lhoestq/conll2003 (the hub's parquet copy of it) that `data: hub` reads."""

    def prepare(self, setting: Setting) -> "PreparedConll2003":
        """Read, check and tokenize."""
        layout = Layout(
            {"train": ("conll2003/eng.train",), "reported": ("conll2003/eng.testb",)},
            Hub("lhoestq/conll2003", self.revision, converted=True),
            {"train": 14041, "reported": 3453},
        )
        return PreparedConll2003(self, setting, layout, TYPES)


class PreparedConll2003(PreparedTagging):
    """CoNLL-2003 opened."""

    hub_tags = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
