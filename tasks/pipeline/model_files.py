"""Checks what lies in a checkpoint's folder before the library opens it: plain files, a configuration that can be built, the weights
and the tokenizer.

The library accepts too much: without a tokenizer's files it makes up a vocabulary of five words, weights that it cannot read count as
none, it waits for a pipe without end, builds a thousand million layers where a configuration asks for them, and downloads the
attention code that one names.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.base import ModelError
from tasks.formats.reading import shown
from tasks.formats.sources import first_names, is_pointer
from tasks.pipeline.loaded import Stored

SINGLE = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
"""What the list of the shards is called, behind the name of the file that was split."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json")
"""Files that hold a whole tokenizer of any class."""

UNUSED, NOTED, SHARE = 128, 0.03, 0.1
"""Rows of an embedding that no token stands for: so many are padding, above the first share of them a record says so, and above the
second it is another tokenizer."""

ENTRIES = 10_000
"""Files and folders that a checkpoint's folder may hold, those in its folders among them."""

CONFIG = 16 << 20
"""Bytes of the largest configuration that is read."""

LAYERS, SIZE = 2**11, 2**24
"""Far above any model that exists: how many layers, and any other number of a configuration that is a size."""

_LAYERS = re.compile("(^|_)(layers?|blocks|depths?|stages|loops)$")
_NO_SIZE = re.compile("theta|base|length|token|flos|seed|version|_id$")
"""Names of whole numbers that are no sizes: a token's id, a seed, a version."""

_DROPOUT = re.compile("dropout|(^|_)(drop|pdrop|layerdrop)($|_)")
_EPSILON = re.compile("norm_(eps|epsilon)$")
"""Names of shares, and of what a normalization adds to a variance."""

ATTENTION = ("eager", "sdpa", "flex_attention")
"""What transformers has itself. Others it may fetch, as code, where the package `kernels` is installed."""


def check_folder(name: str, folder: Path) -> None:
    """ModelError where the folder holds what is no plain file or folder, for a pipe or a device never ends, where it has no
    configuration, or where that is refused. Nothing else in it is read."""
    _refuse_adapter(name, folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {name!r}: no config.json in {folder} (it holds: {first_names(folder.iterdir())})")
    for path, mode, size in _entries(name, folder):
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ModelError(f"model {name!r}: {path} is a pipe, a socket or a device; expected a plain file")
        if path.name == "config.json" and size > CONFIG:
            raise ModelError(f"model {name!r}: {path} has {size:,} bytes; expected {CONFIG:,} at most")
    check_config(name, folder / "config.json")


def _refuse_adapter(name: str, folder: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"model {name!r}: {folder} holds an adapter (adapter_config.json): merge it into its model first"
        )


def check_config(name: str, path: Path) -> None:
    """ModelError where a configuration is no JSON object, asks for impossible sizes, quantised weights, or an attention that may
    be fetched as code. Read as it stands, for the library begins to build what it says."""
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"cannot open model {name!r}: {path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"cannot open model {name!r}: {path} holds no JSON object")
    if config.get("quantization_config"):
        raise ModelError(
            f"model {name!r}: {path} has a quantization_config, and quantised weights are not read; save the model in full or "
            "half precision"
        )
    for key, value in _leaves(config):
        check_size(name, path, key, value)
        _check_share(name, path, key, value)
        if key.endswith("attn_implementation") and value is not None and value not in ATTENTION:
            raise ModelError(
                f"model {name!r}: {key} is {value!r} in {path}, which may be code of another's: remove it, or say "
                f"{' or '.join(ATTENTION)}"
            )


def _entries(name: str, folder: Path) -> Iterator[tuple[Path, int, int]]:
    """(path, mode, bytes) of all that lies below `folder`, links followed; links to nowhere are left out."""
    count = 0
    for holder, folders, files in os.walk(folder, followlinks=True):
        for entry in sorted([*folders, *files]):
            count += 1
            if count > ENTRIES:
                raise ModelError(
                    f"model {name!r}: {folder} holds more than {ENTRIES:,} files: expected a model's folder"
                )
            path = Path(holder) / entry
            try:
                found = path.stat()
            except OSError:
                continue
            yield path, found.st_mode, found.st_size


def _leaves(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a configuration that holds nothing itself; what lists hold has the list's key."""
    waiting: list[tuple[str, Any]] = list(config.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):  # an attention for each part of a model is a part's name and its attention's
            attention = key.endswith("attn_implementation")
            waiting += [(key if attention else str(inner), one) for inner, one in value.items()]
        elif isinstance(value, list):
            waiting += [(key, one) for one in value]
        else:
            yield key, value


def check_size(name: str, path: Path, key: str, value: Any) -> None:
    """ModelError where a number of a configuration is a size that no model has."""
    largest = LAYERS if _LAYERS.search(key) else SIZE
    if isinstance(value, int) and value > largest and not _NO_SIZE.search(key):
        raise ModelError(f"model {name!r}: {key} is {shown(value)} in {path}; expected {largest:,} at most")


def _check_share(name: str, path: Path, key: str, value: Any) -> None:
    """ModelError where a dropout drops everything or is no share, and where a normalization's epsilon drowns what it normalizes."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and _DROPOUT.search(key) and not 0 <= value < 1:
        raise ModelError(f"model {name!r}: {key} is {shown(value)} in {path}; expected a share from 0 to below 1")
    if number and _EPSILON.search(key) and not 0 < value < 1:
        raise ModelError(
            f"model {name!r}: {key} is {shown(value)} in {path}; expected a small number above 0, such as 1e-12"
        )


def weight_files(name: str, folder: Path) -> list[Path]:
    """The files that hold the weights, as the library chooses them; ModelError where there are none, or a shard is missing."""
    _refuse_adapter(name, folder)
    for single in SINGLE:
        if (folder / single).is_file():
            return _fetched(name, [folder / single])
        if (folder / (single + INDEX)).is_file():
            return _fetched(name, _shards(name, folder / (single + INDEX)))
    raise ModelError(
        f"model {name!r}: no weights in {folder}: expected {' or '.join(SINGLE)}, or an index and its shards; it holds: "
        f"{first_names(folder.iterdir())}. A model drawn at random is asked for as 'random:{name}'"
    )


def _fetched(name: str, files: list[Path]) -> list[Path]:
    for path in files:
        if is_pointer(path):
            raise ModelError(
                f"model {name!r}: {path} is a pointer of Git LFS, not the weights: `git lfs pull` fetches them"
            )
    return files


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
    return {name: kind for path in files for name, kind in _header(path).items()}


def _header(path: Path) -> dict[str, str]:
    if path.suffix != ".safetensors":  # pickled: tensors alone are read, so that the file runs no code
        held = torch.load(path, map_location="cpu", weights_only=True)
        return {name: str(tensor.dtype) for name, tensor in held.items() if isinstance(tensor, Tensor)}
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - it is no mapping


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
    _try_tokenizer(name, tokenizer, vocabulary)
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


def unused_rows(tokenizer: Any, vocabulary: int | None) -> str:
    """A note where the embedding of `vocabulary` rows has more without a token than padding takes, else "". BERT's cased vocabulary
    would fit its uncased model, whose rows stand for other words."""
    known = len(set(tokenizer.get_vocab().values()))
    if vocabulary is None or vocabulary - known <= max(UNUSED, NOTED * vocabulary):
        return ""
    return f"the tokenizer knows {known:,} tokens, and the model's embedding has {vocabulary:,}: they may not be of one model"


PROBE = "The 1st text, \u00e9\u4e2d\u00a0\U0001f600\u0237."
"""A text with words and letters that most vocabularies do not hold."""


def _try_tokenizer(name: str, tokenizer: Any, vocabulary: int | None) -> None:
    """ModelError where the tokenizer fails at a text, or gives numbers that its model has no embedding for."""
    bound = tokenizer.model_max_length
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise ModelError(
            f"the tokenizer of model {name!r} has the model_max_length {bound!r}; expected a number of tokens"
        )
    try:
        ids = tokenizer(PROBE)["input_ids"]
    except Exception as error:  # of the library's own, which has no class for them
        raise ModelError(f"the tokenizer of model {name!r} cannot read a text: {error}") from error
    if vocabulary is not None and max(ids, default=0) >= vocabulary:
        raise ModelError(
            f"the tokenizer of model {name!r} makes the token id {max(ids)} of a text, the embedding has {vocabulary} rows: save the "
            "model's own tokenizer"
        )


def _has_tokenizer(folder: Path, wanted: dict[str, str]) -> bool:
    if any((folder / file).is_file() for file in TOKENIZERS):
        return True
    parts = [wanted[part] for part in ("vocab_file", "merges_file") if part in wanted]
    if "merges_file" in wanted:  # neither is a tokenizer alone
        return all((folder / file).is_file() for file in parts)
    return any((folder / file).is_file() for file in wanted.values())
