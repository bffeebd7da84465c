"""Models in one GGUF file, as llama.cpp keeps them: configuration, tokenizer and weights, the weights mostly quantised.

The library reads such a file and dequantises its weights; that is said in the record, because the model then scores as its quantised
form does, not as the one it was made from.
"""

import io
import re
from collections import Counter
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from tasks.base import ModelError
from tasks.pipeline.model_files import INDEX, SINGLE, check_size

PLAIN = ("F64", "F32", "F16", "BF16")
"""Types of a GGUF file that are not quantised."""
BLOCK = re.compile(r"blk\.(\d{1,9})\.")
"""Before the names of a layer's tensors."""


def gguf_file(model: str, place: Path) -> Path | None:
    """The GGUF file that `place` is, or that a folder without other weights holds; None where there is none.

    ModelError where a folder holds several.
    """
    if place.is_file() and place.suffix == ".gguf":
        return place
    if not place.is_dir() or any((place / f"{single}{end}").is_file() for single in SINGLE for end in ("", INDEX)):
        return None
    found = sorted(path for path in place.glob("*.gguf") if path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:5])
        raise ModelError(
            f"model {model!r}: {place} holds {len(found)} GGUF files ({names}): name one of them, {found[0]}"
        )
    return found[0] if found else None


def require_gguf(model: str) -> None:
    """ModelError, with what to install, where a package that reads GGUF is missing."""
    if find_spec("gguf") is None or find_spec("accelerate") is None:
        raise ModelError(
            f"model {model!r} is a GGUF file, which needs the packages gguf and accelerate: pip install 'prunebench[gguf]'"
        )


def check_gguf(model: str, path: Path) -> None:
    """ModelError where the file is damaged: it ends early, asks for impossible sizes, or holds tensors that its numbers deny."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        fields = {key: field.contents() for key, field in reader.fields.items() if len(field.data) == 1}
    # Whatever the library meets where it reads past the end, or numbers for which it knows no type.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"model {model!r}: {path.name} is damaged, or no GGUF file: {reason}") from error
    for key, value in fields.items():
        check_size(model, path, key, value)
    layers = fields.get(f"{fields.get('general.architecture')}.block_count")
    found = [int(match[1]) for tensor in reader.tensors if (match := BLOCK.match(tensor.name))]
    if isinstance(layers, int) and max(found, default=-1) >= layers:
        raise ModelError(
            f"model {model!r}: {path.name} holds tensors of {max(found) + 1} layers, its numbers say {layers}"
        )
    places = sorted((int(tensor.data_offset), int(tensor.n_bytes), tensor.name) for tensor in reader.tensors)
    for (offset, size, name), (following, _, other) in pairwise(places):
        if offset + size > following:
            raise ModelError(f"model {model!r}: {path.name} is damaged: {name} and {other} lie in the same bytes")


def loading(name: str) -> dict[str, Any]:
    """What `from_pretrained` is told so that it gives plain weights: later versions of the library may keep quantised ones."""
    import transformers

    kind = getattr(transformers, "GgufConfig", None)
    return {"gguf_file": name} | ({"quantization_config": kind(dequantize=True)} if kind else {})


def without_bar(name: str) -> AbstractContextManager[object]:
    """Of a GGUF file's tensors the library shows a bar of progress that its settings do not reach."""
    return redirect_stderr(io.StringIO()) if name else nullcontext()


def quantised(path: Path) -> str:
    """What a record must say of the weights' types; "" where none is quantised."""
    from gguf import GGUFReader

    counts = Counter(tensor.tensor_type.name for tensor in GGUFReader(path).tensors)
    kinds = sorted(set(counts) - set(PLAIN))
    if not kinds:
        return ""
    few = sum(counts[kind] for kind in kinds)
    return (
        f"{few} of the model's {counts.total()} tensors are stored as {', '.join(kinds)} in {path.name} and were dequantised: "
        "it is not the model in full precision"
    )
