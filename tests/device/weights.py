"""A model folder made small for the way, with the standard library and numpy alone.

weights.py pack FOLDER OUT          the tokenizer's files, and the weights as fp16, their high and low bytes apart, by xz
weights.py unpack FOLDER OUT        the model folder again, its weights rounded to fp16
"""

import json
import lzma
import shutil
import sys
from pathlib import Path

WEIGHTS, PACKED = "model.safetensors", "weights.xz"


def pack(source: Path, target: Path) -> None:
    """The folder `source` into the folder `target`."""
    import numpy as np
    from safetensors.numpy import load_file, save

    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.suffix in (".json", ".txt", ".model"):
            shutil.copyfile(path, target / path.name)
    tensors = load_file(source / WEIGHTS)
    half = {name: value.astype(np.float16) if value.dtype == np.float32 else value for name, value in tensors.items()}
    raw = save(half, {"format": "pt"})
    raw += b" " * (len(raw) % 2)
    high, low = (lzma.compress(raw[start::2], preset=4) for start in (0, 1))
    (target / PACKED).write_bytes(json.dumps([len(raw), len(high)]).encode().ljust(64) + high + low)


def unpack(source: Path, target: Path) -> None:
    """The inverse."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != PACKED:
            shutil.copyfile(path, target / path.name)
    packed = (source / PACKED).read_bytes()
    size, first = json.loads(packed[:64])
    raw = bytearray(size)
    raw[0::2] = lzma.decompress(packed[64 : 64 + first])
    raw[1::2] = lzma.decompress(packed[64 + first :])
    (target / WEIGHTS).write_bytes(raw)


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
