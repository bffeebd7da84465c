"""The compiled passes against torch's operations, bit for bit; and that nothing changes where there is no compiler."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from criteria import kernels
from criteria.base import State
from criteria.kernels import Kernels, load
from criteria.principled import Principled
from criteria.sensitivity import Sensitivity
from criteria.smoothing import Smoothed, agree
from tests.criteria.helpers import compiled_here, generator, start, step


@pytest.fixture(scope="module")
def compiled() -> Kernels:
    """The compiled passes of this machine."""
    return compiled_here()


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is loaded before a test, nor what it loaded after it."""
    load.cache_clear()
    yield
    load.cache_clear()


def after(criterion: Smoothed, steps: int, *, least: int, patch: pytest.MonkeyPatch) -> State:
    """The criterion's state after `steps` steps on 5,003 weights, compiled where vectors have `least` entries."""
    patch.setattr(kernels, "LEAST", least)
    g = generator()
    weight = torch.randn(5003, generator=g)
    weight[:1000] = 0  # pruned
    state = start(criterion, weight)
    for index in range(steps):
        criterion.observe(state, weight, torch.randn(5003, generator=g), step(index, lr=1e-2))
    return state


@pytest.mark.parametrize(
    "criterion",
    [
        Sensitivity(window=3),
        Principled(window=3),
        Principled(window=2, beta1=0.3, beta2=0.4),
        Principled(window=3, uncertainty=False),
        Principled(smooth=False),
        Principled(window=3, lr_term=False),
    ],
    ids=repr,
)
def test_states_have_the_bits_of_torchs_operations(
    criterion: Smoothed, compiled: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = after(criterion, 11, least=0, patch=monkeypatch)
    theirs = after(criterion, 11, least=1 << 60, patch=monkeypatch)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_the_compiled_passes_are_taken(compiled: Kernels, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """Else the test above would compare torch with torch."""
    seen = []

    def observe(
        self: Kernels, statistics: object, weight: Tensor, grad: Tensor, eta: float, share: float, *_: object
    ) -> None:
        seen.append(share)

    found = load()
    assert found is not None
    assert agree(found)
    monkeypatch.setattr(Kernels, "observe", observe)
    after(Principled(window=2), 4, least=0, patch=monkeypatch)
    after(Principled(window=2, signed=True), 4, least=0, patch=monkeypatch)
    assert seen == [1.0, 0.5, 1.0, 0.5], "signed has no compiled pass"


def test_several_threads_leave_no_seams(compiled: Kernels) -> None:
    weight, grad, mean = torch.randn(3, 100_001, generator=generator()).unbind()
    expected = mean.clone()
    for vector, threads in ((expected, 1), (mean, 3)):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        compiled.observe([vector], weight, grad, 1e-3, 0.3)
        torch.set_num_threads(before)
    assert torch.equal(mean, expected)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=200), st.floats(-4, 4, width=32), st.integers(1, 5))
def test_look_finds_what_lies_between(values: list[float], low: float, threads: int) -> None:
    found = compiled_here()
    array = torch.tensor(values, dtype=torch.float32).numpy()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    looked = found.look(array, low, low + 1)
    torch.set_num_threads(before)
    assert looked is not None
    keep, places = looked
    assert keep.tolist() == [value > low for value in values]
    assert places.tolist() == [i for i, value in enumerate(values) if low < value < low + 1]


def test_look_gives_up_where_too_many_lie_between(compiled: Kernels) -> None:
    assert compiled.look(torch.rand(1 << 16).numpy(), -1.0, 2.0) is None


@pytest.mark.parametrize("compiler", ["", "no-such-compiler", "false", "true", "'"])
def test_without_a_compiler_torchs_operations_are_taken(
    compiler: str, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    """None named, one that is not there, one that fails, one that writes nothing, half a name."""
    expected = after(Principled(window=2), 5, least=1 << 60, patch=monkeypatch)
    monkeypatch.setenv("CC", compiler)
    assert load() is None
    state = after(Principled(window=2), 5, least=0, patch=monkeypatch)
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_passes_that_round_otherwise_are_not_taken(
    compiled: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    """A last bit that depended on who has a compiler would make records differ for no reason."""
    wrong = tmp_path / "kernels.c"
    source = kernels.SOURCE.read_text()
    assert "fmaf(-eta, g, theta)" in source
    wrong.write_text(source.replace("fmaf(-eta, g, theta)", "(theta - eta * g)"))
    monkeypatch.setattr(kernels, "SOURCE", wrong)
    found = load()
    assert found is not None
    assert not agree(found)
    expected = after(Principled(window=2), 5, least=1 << 60, patch=monkeypatch)
    state = after(Principled(window=2), 5, least=0, patch=monkeypatch)
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_nothing_is_left_behind(
    compiled: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = load()
    assert found is not None
    assert list(tmp_path.iterdir()) == []
    mean = torch.ones(3)
    found.observe([mean], torch.full((3,), 2.0), torch.full((3,), -3.0), 0.0, 1.0)
    assert mean.tolist() == [6.0, 6.0, 6.0]


def test_short_vectors_are_not_worth_compiling() -> None:
    assert kernels.load_for(torch.empty(kernels.LEAST - 1)) is None
    assert kernels.load_for(torch.empty(kernels.LEAST)) is load()


def test_other_precisions_are_left_to_torch(compiled: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "LEAST", 0)
    criterion, weight, grad = Sensitivity(smooth=False), torch.tensor([3.0, -2.0]), torch.tensor([1.0, 0.5])
    state = start(criterion, weight)
    criterion.observe(state, weight.double(), grad.double(), step(0))
    assert state["M"].tolist() == [3.0, 1.0]
