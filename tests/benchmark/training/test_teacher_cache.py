"""A fixed teacher is asked once per batch, and nobody else is remembered."""

import torch
from torch import Tensor, nn

from benchmark.training.teacher_cache import TeacherCache
from criteria.regularizers.base import Batch


class Counting:
    """A forward that counts its calls by model."""

    def __init__(self) -> None:
        self.calls: list[nn.Module] = []

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        self.calls.append(model)
        return torch.zeros(2), torch.zeros(2, 3)


def batch(*index: int) -> dict[str, Tensor]:
    return {"index": torch.tensor(index)}


def test_a_teacher_answers_each_batch_once_also_in_another_cell() -> None:
    forward, cache, first, second = Counting(), TeacherCache(), nn.Linear(1, 1), nn.Linear(1, 1)
    for teacher in (first, second):  # two cells build their own copies of one teacher
        remembered = cache.forward(forward, teacher, "task and seed")
        for _ in range(2):
            remembered(teacher, batch(0, 1))
            remembered(teacher, batch(1, 0))
    assert forward.calls == [first, first]


def test_the_student_and_other_teachers_are_not_remembered() -> None:
    forward, cache, teacher, student = Counting(), TeacherCache(), nn.Linear(1, 1), nn.Linear(1, 1)
    remembered = cache.forward(forward, teacher, "seed 0")
    remembered(student, batch(0))
    remembered(student, batch(0))
    remembered(teacher, batch(0))
    cache.forward(forward, teacher, "seed 1")(teacher, batch(0))
    assert forward.calls == [student, student, teacher, teacher]


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    forward, teacher = Counting(), nn.Linear(1, 1)
    cache = TeacherCache(largest=2 * (2 + 6) * 4)  # two outputs of 2 + 6 floats
    remembered = cache.forward(forward, teacher, "")
    for at in (0, 1, 0, 2, 0, 1):
        remembered(teacher, batch(at))
    # 0 and 1 are computed; 0 is used again, so 2 displaces 1, which is computed anew.
    assert len(forward.calls) == 4
    assert cache.bytes <= cache.largest
