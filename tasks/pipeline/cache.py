"""Tokenized data once per content: kept in memory within a process, and in a folder shared by several processes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock

from tasks.pipeline.features import Features
from tasks.pipeline.whole import make_folder

T = TypeVar("T")


class Recent(Generic[T]):
    """The values of the `size` keys used last. Keys name content, so that a value found is the value wanted."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made where it is not at hand."""
        if key not in self.values:
            self.values[key] = make()
        self.values.move_to_end(key)
        while len(self.values) > self.size:
            self.values.popitem(last=False)
        return self.values[key]


_features: Recent[Features] = Recent(32)


def cached(key: str, folder: Path | None, make: Callable[[], Features]) -> Features:
    """The features named by `key`, a hash of all that decides their content; `make` runs once, however many processes ask."""
    if folder is None:
        return _features.get((key, None), make)
    return _features.get((key, folder), lambda: _from_folder(folder / f"{key}.safetensors", make))


def _from_folder(path: Path, make: Callable[[], Features]) -> Features:
    make_folder(path.parent)
    with FileLock(f"{path}.lock"):
        found = _load(path)
        if found is not None:
            return found
        features = make()
        features.save(path)
    return features


def _load(path: Path) -> Features | None:
    """The cached features, or None where there are none, or a damaged file, which will be written again."""
    from safetensors import SafetensorError

    try:
        return Features.load(path) if path.is_file() else None
    except (SafetensorError, KeyError, ValueError):
        return None
