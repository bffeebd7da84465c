"""Outputs of a fixed teacher, computed once per batch and reused by other cells that train on the same batch.

On a CPU that is exact: cells of one task and seed see the same batches, and the same teacher on the same padded batch gives the
same bits. (Caching by example would not be exact, because other padding changes the last bits of the logits.)
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from criteria.regularizers.base import Batch, Forward

LARGEST = 256 << 20
"""Bytes that are kept; the least recently used outputs are dropped first."""

Outputs = tuple[Tensor, Tensor]


class TeacherCache:
    """Losses and logits by (teacher, data, batch), shared by all cells that a process runs."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest, self.bytes = largest, 0
        self.kept: OrderedDict[tuple[object, ...], Outputs] = OrderedDict()

    def forward(self, forward: Forward, teacher: nn.Module, identity: str) -> Forward:
        """`forward`, with the outputs of `teacher` (and of no other model) cached under `identity`."""

        def remembered(model: nn.Module, batch: Batch) -> Outputs:
            if model is not teacher:
                return forward(model, batch)
            key = (identity, tuple(batch["index"].tolist()))
            return self._get(key, lambda: forward(model, batch))

        return remembered

    def _get(self, key: tuple[object, ...], compute: Callable[[], Outputs]) -> Outputs:
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        outputs = compute()
        self.kept[key] = outputs
        self.bytes += _bytes(outputs)
        while self.bytes > self.largest:
            self.bytes -= _bytes(self.kept.popitem(last=False)[1])
        return outputs


def _bytes(outputs: Outputs) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in outputs)
