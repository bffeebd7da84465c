"""What lies in a checkpoint's folder: the files of its weights, and those of its tokenizer.

The library is forgiving: without a tokenizer's files it makes up a vocabulary of five words, and a folder without weights that
it can read is told from one that never had any by nobody.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from tasks.base import ModelError
from tasks.pipeline.loaded import Stored

SINGLE = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
"""What the list of the shards is called, behind the name of the file that was split."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json")
"""Files that hold a whole tokenizer of any class."""

UNUSED, SHARE = 128, 0.1
"""Rows of an embedding that no token stands for: so many, or this share of them, is padding; more is another tokenizer."""


def weight_files(name: str, folder: Path) -> list[Path]:
    """The files that hold the weights, as the library chooses them; ModelError where there are none, or a shard is missing."""
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"model {name!r}: {folder} holds an adapter (adapter_config.json): merge it into its model first"
        )
    for single in SINGLE:
        if (folder / single).is_file():
            return [folder / single]
        if (folder / (single + INDEX)).is_file():
            return _shards(name, folder / (single + INDEX))
    held = ", ".join(sorted(entry.name for entry in folder.iterdir())[:12])
    raise ModelError(
        f"model {name!r}: no weights in {folder}: expected {' or '.join(SINGLE)}, or an index and its shards; it holds: {held}. "
        f"A model drawn at random is asked for as 'random:{name}'"
    )


def _shards(name: str, index: Path) -> list[Path]:
    try:
        found = sorted({str(file) for file in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"model {name!r}: {index} is no index of shards: {error}") from error
    absent = [file for file in found if not (index.parent / file).is_file()]
    if absent or not found:
        raise ModelError(
            f"model {name!r}: {index.name} names {', '.join(absent[:3]) or 'no file'}, not in {index.parent}"
        )
    return [index.parent / file for file in found]


def stored(files: Iterable[Path]) -> Stored:
    """Types of the tensors in `files`, of which only headers are read."""
    places: dict[str, Path] = {}
    types: dict[str, str] = {}
    for path in files:
        found = _header(path)
        types |= found
        places |= dict.fromkeys(found, path)

    def read(names: Iterable[str]) -> dict[str, Tensor]:
        return {name: _tensor(places[name], name) for name in names}

    return Stored(types, read)


def _header(path: Path) -> dict[str, str]:
    if path.suffix != ".safetensors":
        return {name: str(tensor.dtype) for name, tensor in _pickled(path).items() if isinstance(tensor, Tensor)}
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - it is no mapping


def _tensor(path: Path, name: str) -> Tensor:
    if path.suffix != ".safetensors":
        found: Tensor = _pickled(path)[name]
        return found
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor


def _pickled(path: Path) -> dict[str, Any]:
    """Tensors alone are read: the file runs no code."""
    import torch

    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def check_tokenizer(name: str, tokenizer: Any, vocabulary: int | None, folder: Path | None) -> None:
    """ModelError where the tokenizer was made up, or its vocabulary is not the one that the model has an embedding for.

    `vocabulary` is the number of the embedding's rows (None where the model has no such embedding), `folder` a local
    checkpoint's (None for the hub's).
    """
    wanted = dict(tokenizer.vocab_files_names)
    if folder is not None and wanted and not _has_tokenizer(folder, wanted):
        raise ModelError(
            f"model {name!r}: no tokenizer in {folder}: expected {' or '.join(dict.fromkeys(wanted.values()))}; save the "
            "tokenizer beside the model"
        )
    if vocabulary is None:
        return
    ids = tokenizer.get_vocab().values()
    known, highest = len(set(ids)), max(ids, default=-1)
    if highest >= vocabulary:
        raise ModelError(
            f"the tokenizer of model {name!r} has token ids up to {highest}, its embedding {vocabulary} rows: resize the "
            "embedding, or save the tokenizer without the tokens that were added"
        )
    if vocabulary - known > max(UNUSED, SHARE * vocabulary):
        raise ModelError(
            f"the tokenizer of model {name!r} knows {known} tokens, its embedding has {vocabulary}: it is another model's, or "
            "not whole"
        )


def _has_tokenizer(folder: Path, wanted: dict[str, str]) -> bool:
    if any((folder / file).is_file() for file in TOKENIZERS):
        return True
    parts = [wanted[part] for part in ("vocab_file", "merges_file") if part in wanted]
    if "merges_file" in wanted:  # neither is a tokenizer alone
        return all((folder / file).is_file() for file in parts)
    return any((folder / file).is_file() for file in wanted.values())
