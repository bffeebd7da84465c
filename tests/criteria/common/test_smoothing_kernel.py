"""The one-pass kernel gives what torch's operations give, run on a CPU by Triton's interpreter; where it cannot run, they do."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from criteria.common import smoothing
from criteria.common.smoothing import Importance, Window


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The kernel's module, interpreted; Triton comes with torch's CUDA builds."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    pytest.importorskip("triton", reason="Triton is not installed here")
    sys.modules.pop("criteria.common.smoothing_kernel", None)
    yield importlib.import_module("criteria.common.smoothing_kernel")
    sys.modules.pop("criteria.common.smoothing_kernel", None)


WINDOWS = [
    Window(0, False, (0.15, 0.01)),
    Window(1, False, (0.15, 0.01)),
    Window(9, False, (0.3, 0.5)),
    Window(0, True, (0.15, 0.01)),
    Window(0, True, (1.0, 0.35)),
]


@pytest.mark.parametrize("n", [1, 1024, 2500])
@pytest.mark.parametrize(
    ("window", "kept"),
    [(window, kept) for window in WINDOWS for kept in range(3) if kept or not window.closing],  # it closes into one
    ids=str,
)
@pytest.mark.parametrize("importance", [Importance(), Importance(1e-3), Importance(0.5, signed=True)], ids=str)
def test_the_same_numbers(importance: Importance, window: Window, kept: int, n: int, kernel: ModuleType) -> None:
    given = (
        torch.randn(5, n, generator=torch.Generator().manual_seed(n))
        * torch.tensor([1, 1e-3, 1e-4, 1e-4, 1e-4])[:, None]
    )
    ours, theirs = given.clone(), given.clone()
    for fold, rows in ((kernel.fold, ours), (smoothing.fold, theirs)):
        fold(importance, window, rows[0], rows[1], rows[2], [rows[3], rows[4]][:kept])
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-9)  # the terms are of 1e-3
    assert torch.equal(ours[:2], given[:2])
    assert torch.equal(ours[3 + kept :], given[3 + kept :])


class Squared(Importance):
    def __call__(self, out: torch.Tensor, theta: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return torch.mul(theta, g, out=out).square_()


def test_a_formula_of_a_plugins_own_is_folded_as_it_is(kernel: ModuleType) -> None:
    """The kernel knows the built-in one alone."""
    for importance in (Squared(), lambda out, theta, g: Squared()(out, theta, g)):
        m = torch.zeros(3)
        kernel.fold(importance, WINDOWS[0], torch.tensor([1.0, 2, 3]), torch.full((3,), 2.0), m, [])
        assert m.tolist() == [4, 16, 36]


def test_it_is_tried_before_it_is_used(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel.checked(torch.device("cpu")) is kernel.fold
    monkeypatch.setattr(kernel, "fold", lambda *_: None)
    with pytest.raises(RuntimeError, match="other numbers than torch's"):
        kernel.checked(torch.device("cpu"))


def test_where_it_cannot_run_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "criteria.common.smoothing_kernel", None)
    smoothing.fold_on.cache_clear()
    with pytest.warns(UserWarning, match="their kernel cannot be used"):
        assert smoothing.fold_on(torch.device("cuda")) is smoothing.fold
    smoothing.fold_on.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_elsewhere_nothing_of_it_is_looked_for(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "criteria.common.smoothing_kernel", raising=False)
    assert smoothing.fold_on(torch.device(device)) is smoothing.fold
    assert "criteria.common.smoothing_kernel" not in sys.modules
