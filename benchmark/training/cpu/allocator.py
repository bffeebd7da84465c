"""Lets the C library keep freed memory between training steps on a CPU.

By default glibc gives large blocks back to the system when they are freed and asks for them again at the next step, and the system
clears every page of them once more: 4,000 to 11,000 page faults a step of a small encoder, and a masking, whose scores are as long
as the model, waited 150 ms for memory and 20 ms for its arithmetic. If the memory is kept, that of the activations serves the
scores too. The price is fragmentation: some bytes per prunable weight at the peak (`prunebench bench memory`).
"""

import ctypes
import sys
from functools import cache

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2
"""Names of glibc's malloc.h."""
SETTINGS = {MMAP_THRESHOLD: 1 << 30, TRIM_THRESHOLD: (1 << 31) - 1, TOP_PAD: 1 << 26}
"""Bytes: blocks up to this size come from the heap; this much of the heap may lie idle; it grows by this much at a time."""


@cache
def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on; returns False, and does nothing, if the C library is not glibc."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(name, size) == 1 for name, size in SETTINGS.items())
