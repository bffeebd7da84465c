"""A fixed teacher's outputs, computed once per batch and reused wherever the very same batch comes back.

Exact where cells of one task and seed see the same batches in the same order, as here they do: the same teacher on the same
padded batch gives the same bits on a CPU. (Across batches it would not be exact: other padding moves logits in the last bits.)
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from criteria.regularizers.base import Batch, Forward

LARGEST = 256 << 20
"""Bytes kept, the least recently used dropped first: classification fits whole, generation hardly."""

Outputs = tuple[Tensor, Tensor]


class TeacherCache:
    """Losses and logits by (teacher, data, batch); one for all cells that a process runs."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest, self.bytes = largest, 0
        self.kept: OrderedDict[tuple[object, ...], Outputs] = OrderedDict()

    def forward(self, forward: Forward, teacher: nn.Module, identity: str) -> Forward:
        """`forward`, with the outputs of `teacher` (and of no other model) remembered under its `identity`."""

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
