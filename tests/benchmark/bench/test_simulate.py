"""The simulation against what can be reckoned by hand, and against what must hold whatever the numbers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark.bench.simulate import Cell, Policy, World, simulate

POLICIES: tuple[Policy, ...] = ("runners", "spread", "driver")
PLAIN = [Cell(10.0)] * 6
TAUGHT = [Cell(10.0), *[Cell(4.0, teacher=0)] * 3]


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_cells_share_out(policy: Policy) -> None:
    assert [simulate(PLAIN, workers, World(), policy).seconds for workers in (1, 2, 3, 4, 6, 60)] == [
        60,
        30,
        20,
        20,
        10,
        10,
    ]
    assert simulate(PLAIN, 2, World(start=5.0), policy).seconds == 35
    assert simulate(PLAIN, 2, World(), policy).per_hour == 720


@pytest.mark.parametrize("policy", POLICIES)
def test_students_wait_for_their_teacher(policy: Policy) -> None:
    found = simulate(TAUGHT, 4, World(), policy)
    assert found.seconds == 14
    assert found.spent["work"] == 22
    assert found.spent["teacher"] == 30
    assert simulate(TAUGHT, 1, World(), policy).seconds == 22


def test_the_driver_gives_out_another_cell_meanwhile() -> None:
    cells = [*TAUGHT, *[Cell(10.0)] * 3]
    assert simulate(cells, 4, World(), "driver").seconds == 14
    assert simulate(cells, 4, World(), "driver").spent["teacher"] == 0
    assert simulate(cells, 4, World(), "runners").seconds == 24


def test_runners_look_at_every_cell_of_the_others() -> None:
    """Each of W runners passes each of n cells once: n locks, and n (W - 1) looks."""
    for workers in (1, 2, 5):
        found = simulate(PLAIN, workers, World(lock=1), "runners")
        assert found.operations == len(PLAIN) * workers
    few = simulate([Cell(1.0)] * 1000, 5, World(lock=1, patience=10), "spread").operations
    assert few < 0.3 * simulate([Cell(1.0)] * 1000, 5, World(lock=1), "runners").operations


def test_the_folder_serves_one_at_a_time() -> None:
    slow = World(service=1.0, latency=1.0, lock=1)
    assert simulate([Cell(0.0)] * 4, 1, slow, "driver").seconds == 4
    assert simulate([Cell(0.0)] * 4, 4, slow, "driver").seconds == 4
    assert simulate([Cell(100.0)] * 4, 4, slow, "driver").seconds == 104
    waits = World(service=0.0, latency=1.0, lock=1)
    assert simulate([Cell(0.0)] * 4, 4, waits, "driver").seconds == 1


def test_preemption_costs_what_was_not_saved() -> None:
    calm = simulate([Cell(1000.0)] * 50, 1, World(), "driver").seconds
    rough = World(preemptions=1 / 500, checkpoint=100.0)
    saved = simulate([Cell(1000.0)] * 50, 1, rough, "driver")
    lost = simulate([Cell(1000.0)] * 50, 1, World(preemptions=1 / 500, checkpoint=2000.0), "driver")
    assert calm == 50_000 < saved.seconds < lost.seconds
    assert saved.spent["again"] == pytest.approx(saved.seconds - calm)
    assert saved.spent["again"] / 50 < 4 * 100  # some two preemptions a cell, each at most a checkpoint


@example(seconds=[0.1015625], workers=12, policy="runners", taught=False, tail=0.5)
@given(
    seconds=st.lists(st.floats(0.1, 100), min_size=1, max_size=20),
    workers=st.integers(1, 12),
    policy=st.sampled_from(POLICIES),
    taught=st.booleans(),
    tail=st.sampled_from([0.0, 0.5]),
)
def test_never_faster_than_can_be(
    seconds: list[float], workers: int, policy: Policy, taught: bool, tail: float
) -> None:
    cells = [Cell(much, 0 if taught and i else None) for i, much in enumerate(seconds)]
    world = World(service=0.01, latency=0.01, start=1.0, tail=tail)
    found = simulate(cells, workers, world, policy, seed=3)
    assert found == simulate(cells, workers, world, policy, seed=3)
    assert found.cells == len(cells)
    assert found.operations >= len(cells) * world.lock
    assert found.seconds >= 1.0 + found.spent["work"] / workers
    late = world.latency + workers * world.service  # when the last cell ends, each may be waiting for the folder
    busy = sum(found.spent.values()) + workers - workers * late
    assert found.seconds * workers >= busy * (1 - 1e-9) or policy == "driver"
    if not tail:
        assert found.spent["work"] == pytest.approx(sum(seconds))
