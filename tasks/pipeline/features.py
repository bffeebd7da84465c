"""Tokenized rows as flat arrays: ragged integer columns, scalar columns, and the example each row belongs to.

pack([[{"input_ids": [5, 6, 7], "label": 1}], ...])     one list of rows per example; long inputs make several rows
collate(features, rows, {"input_ids": 0})               a padded batch, attention_mask included
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.base import Batch
from tasks.pipeline.sealed import BLANK, intact, seal
from tasks.pipeline.whole import write_whole

Feature = Mapping[str, Sequence[int] | int | float]
"""One row: sequences of integers are ragged columns, numbers are scalar columns."""


@dataclass(frozen=True)
class Features:
    """`rows` tokenized rows; row i of a ragged column is values[offsets[i]:offsets[i + 1]]."""

    ragged: dict[str, tuple[NDArray[np.int32], NDArray[np.int64]]]
    scalar: dict[str, NDArray[Any]]
    example: NDArray[np.int64]
    """[rows] position of each row's example, ascending; one example's rows stand together."""

    def __len__(self) -> int:
        return len(self.example)

    def row(self, column: str, index: int) -> NDArray[np.int32]:
        """One row of a ragged column."""
        values, offsets = self.ragged[column]
        return values[offsets[index] : offsets[index + 1]]

    def lengths(self) -> NDArray[np.int64]:
        """[rows] length of the longest ragged column of each row: what a batch must pad to."""
        longest: NDArray[np.int64] = np.max([np.diff(offsets) for _, offsets in self.ragged.values()], axis=0)
        return longest

    def take(self, examples: NDArray[np.intp]) -> "Features":
        """The rows of the examples at `examples` (ascending), which are renumbered 0, 1, ..."""
        rows = np.flatnonzero(np.isin(self.example, examples))
        ragged = {name: _take_ragged(values, offsets, rows) for name, (values, offsets) in self.ragged.items()}
        scalar = {name: values[rows] for name, values in self.scalar.items()}
        return Features(ragged, scalar, np.searchsorted(examples, self.example[rows]).astype(np.int64))

    def save(self, path: Path) -> None:
        """Write as safetensors, whole or not at all."""
        from safetensors.numpy import save

        arrays = {"example": self.example} | {f"scalar/{name}": values for name, values in self.scalar.items()}
        for name, (values, offsets) in self.ragged.items():
            arrays |= {f"values/{name}": values, f"offsets/{name}": offsets}
        write_whole(path, seal(save(arrays, BLANK)))

    @staticmethod
    def load(path: Path) -> "Features":
        """Read what `save` wrote; ValueError where its checksum does not hold."""
        from safetensors.numpy import load

        data = path.read_bytes()
        if not intact(data):
            raise ValueError(f"{path}: damaged")
        arrays = load(data)
        names = [name.removeprefix("values/") for name in arrays if name.startswith("values/")]
        ragged = {name: (arrays[f"values/{name}"], arrays[f"offsets/{name}"]) for name in names}
        scalar = {name.removeprefix("scalar/"): a for name, a in arrays.items() if name.startswith("scalar/")}
        return Features(ragged, scalar, arrays["example"])


def pack(examples: Iterable[Sequence[Feature]]) -> Features:
    """Flat arrays of the rows of every example, in order; all rows have the same columns."""
    columns: dict[str, list[Any]] = {}
    owner: list[int] = []
    for position, rows in enumerate(examples):
        for row in rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
            owner.append(position)
    ragged = {name: _flatten(column) for name, column in columns.items() if isinstance(column[0], Sequence)}
    scalar = {name: _numbers(column) for name, column in columns.items() if name not in ragged}
    for name, column in columns.items():
        assert len(column) == len(owner), f"column {name} is missing in some rows"
    return Features(ragged, scalar, np.asarray(owner, np.int64))


def collate(features: Features, rows: NDArray[np.intp], pads: Mapping[str, int]) -> Batch:
    """Rows as tensors padded to the longest of them; `pads` names the ragged columns wanted and their padding.

    `input_ids` brings `attention_mask` [batch, length]; scalar columns come as [batch]; `index` [batch] is the row's position.
    """
    batch: Batch = {"index": torch.from_numpy(np.ascontiguousarray(rows, np.int64))}
    for name, pad in pads.items():
        padded, mask = _pad(*features.ragged[name], rows, pad)
        batch[name] = torch.from_numpy(padded)
        if name == "input_ids":
            batch["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
    for name, values in features.scalar.items():
        batch[name] = torch.from_numpy(values[rows])
    return batch


def _pad(
    values: NDArray[np.int32], offsets: NDArray[np.int64], rows: NDArray[np.intp], pad: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    lengths = offsets[rows + 1] - offsets[rows]
    width = int(lengths.max(initial=1))
    mask = np.arange(width) < lengths[:, None]
    padded = np.full((len(rows), width), pad, np.int64)
    padded[mask] = values[_positions(offsets[rows], lengths)]
    return padded, mask


def _take_ragged(
    values: NDArray[np.int32], offsets: NDArray[np.int64], rows: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    lengths = offsets[rows + 1] - offsets[rows]
    taken = values[_positions(offsets[rows], lengths)]
    return taken, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _positions(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... of every piece, one after the other."""
    before = np.cumsum(lengths) - lengths
    positions: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return positions


def _flatten(column: list[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum([len(row) for row in column], out=offsets[1:])
    values = np.fromiter((value for row in column for value in row), np.int32, int(offsets[-1]))
    return values, offsets


def _numbers(column: list[int | float]) -> NDArray[Any]:
    return np.asarray(column, np.float32 if isinstance(column[0], float) else np.int64)
