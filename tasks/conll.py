"""Any CoNLL-column file: one word and its entity tag a line (first and last column), IOB1, IOB2, BIOES or BILOU, entity F1.

    conll[path=my/corpus]                   my/corpus/train* is trained on, my/corpus/test* reported
    conll[path=my/corpus,reported=dev]
    conll[path=germeval,word=2,tag=3]       other columns, by number or by name

The entity types are those that occur in either file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.base import Setting, TaskError
from tasks.families.tagging import PreparedTagging, WordTagging
from tasks.formats.sources import Layout, first_names, hash_file, wrong_kind
from tasks.formats.tags import Sentence, entity_types
from tasks.pipeline.cache import Recent

_types: Recent[tuple[str, ...]] = Recent(16)


@dataclass(frozen=True)
class Conll(WordTagging):
    """A folder of column files."""

    path: str = ""
    """Folder with one train*, and one test* (or dev*) file; below the data folder if it is there, else where the program runs."""
    reported: str = "test"
    """What is reported: `test`, or `dev` where there is no test file."""

    def prepare(self, setting: Setting) -> PreparedTagging:
        """Read, check and tokenize."""
        folder = self._folder(setting.data)
        files = {"train": _one(folder, "train"), "reported": _one(folder, self.reported)}
        layout = Layout({split: (path.name,) for split, path in files.items()})
        key = (repr(self), *(hash_file(path) for path in files.values()))
        types = _types.get(key, lambda: self._entity_types(files))
        if not types:
            raise TaskError(f"{files['train']}: no entity at all; every tag is O")
        return PreparedTagging(self, replace(setting, data=str(folder)), layout, types)

    def _entity_types(self, files: Mapping[str, Path]) -> tuple[str, ...]:
        """The types of both files; TaskError where they have none in common, for then nothing that is learnt can be found."""
        taught, asked = (
            entity_types([one for one in self.read(files[split]) if isinstance(one, Sentence)])
            for split in ("train", "reported")
        )
        if taught and asked and taught.isdisjoint(asked):
            raise TaskError(
                f"{files['reported']}: the entity types are {', '.join(sorted(asked))}, those of {files['train'].name} "
                f"{', '.join(sorted(taught))}; expected the same names"
            )
        return tuple(sorted(taught | asked))

    def _folder(self, data: str) -> Path:
        if not self.path:
            raise TaskError("conll needs the folder of its files: conll[path=FOLDER]")
        places = [Path(data).expanduser() / self.path, Path(self.path).expanduser()]
        found = [place for place in places if place.is_dir()]
        if not found:
            raise TaskError(f"no folder {self.path!r}, neither below the data folder {data!r} nor below {Path.cwd()}")
        return found[0].resolve()


def _one(folder: Path, part: str) -> Path:
    there = sorted(path for path in folder.iterdir() if path.name.startswith(part))
    found = [path for path in there if path.is_file()]
    if not found and (said := wrong_kind(there)):
        raise TaskError(said)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise TaskError(
            f"expected one file {part}* in {folder}, found {names} (it holds: {first_names(folder.iterdir())})"
        )
    return found[0]
