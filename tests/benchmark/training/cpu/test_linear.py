"""Linear layers by oneDNN: the products, gradients and second gradients of torch's own, where the processor asks for it."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from benchmark.bench.stepper import TINY, batch, build, loss_of
from benchmark.pruning.flat import Flat
from benchmark.pruning.prunable import find_prunable
from benchmark.training.cpu import linear
from benchmark.training.cpu.linear import FastLinear, fastest_library, library, multiply_by_onednn, product

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch was built without oneDNN",
)


@pytest.fixture
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product goes to oneDNN, on any machine and at any size."""
    monkeypatch.setattr(linear, "fastest_library", lambda: "oneDNN")
    monkeypatch.setattr(linear, "SMALLEST", 0)
    monkeypatch.setattr(linear, "is_tiny", lambda _: False)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An AMD processor with AVX-512 under a torch that has both libraries; tests change what they ask about."""
    monkeypatch.setattr(linear, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(linear, "is_tiny", lambda _: False)
    fastest_library.cache_clear()
    yield monkeypatch
    fastest_library.cache_clear()


def changed(model: nn.Module) -> nn.Module:
    multiply_by_onednn(model)
    return model


def pair(kind: str) -> tuple[nn.Module, nn.Module]:
    """A layer of 24 inputs and 40 outputs, and the same one changed."""
    torch.manual_seed(0)
    layers = {
        "linear": nn.Linear(24, 40),
        "no bias": nn.Linear(24, 40, bias=False),
        "conv1d": Conv1D(40, 24),
    }
    plain = layers[kind]
    return plain, changed(copy.deepcopy(plain))


KINDS = ("linear", "no bias", "conv1d")


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(24,), (7, 24), (3, 5, 24)])
def test_products_and_gradients_are_the_plain_layers(kind: str, shape: tuple[int, ...]) -> None:
    plain, fast = pair(kind)
    assert (library(plain), library(fast)) == ("torch", "oneDNN")
    seen = []
    for layer in (plain, fast):
        x = torch.linspace(-1, 1, 24).expand(shape).clone().requires_grad_()
        y = layer(x)
        (y * torch.linspace(-2, 2, 40)).square().sum().backward()
        seen.append([y, x.grad, *(parameter.grad for parameter in layer.parameters())])
    for ours, theirs in zip(seen[1], seen[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_land_in_the_flat_vector(kind: str) -> None:
    """In the layout of the weight, whichever way round it is stored."""
    plain, fast = pair(kind)
    flat = Flat(list(fast.parameters()))
    x = torch.randn(9, 24)
    for layer in (plain, fast):
        layer(x).square().sum().backward()
    expected = torch.cat([parameter.grad.reshape(-1) for parameter in plain.parameters() if parameter.grad is not None])
    torch.testing.assert_close(flat.grad, expected, rtol=1e-5, atol=1e-4)


def test_it_is_twice_differentiable() -> None:
    """Criteria that ask for Hessian products differentiate the gradient: by hand, for L = sum y^2 / 2, y = a b^T + c."""
    a, b, c = (torch.randn(*shape, requires_grad=True) for shape in ((6, 4), (5, 4), (5,)))
    y = product(a, b, c)
    grads = torch.autograd.grad((y * y).sum() / 2, (a, b, c), create_graph=True)
    torch.testing.assert_close(grads[0], y @ b)
    torch.testing.assert_close(grads[1], y.t() @ a)
    torch.testing.assert_close(grads[2], y.sum(0))
    second = torch.autograd.grad(grads[1].sum(), b)[0]  # d/db of sum_ij ((a b^T + c)^T a)_ij
    torch.testing.assert_close(second, (a.t() @ a).sum(1).expand_as(b))


@pytest.mark.parametrize(
    "strided",
    [
        lambda: torch.randn(8, 3, 6)[:, 0],
        lambda: torch.randn(6, 8).t(),
        lambda: torch.randn(6).expand(8, 6),
        lambda: torch.randn(8, 12)[:, ::2],
    ],
)
def test_inputs_of_any_strides_are_multiplied(strided: object) -> None:
    a: Tensor = strided()  # type: ignore[operator]
    b = torch.randn(5, 6)
    torch.testing.assert_close(product(a, b), a @ b.t(), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("by_onednn")
def test_a_whole_model_stays_what_it_is() -> None:
    plain, fast = build(TINY, CPU).eval(), changed(build(TINY, CPU)).eval()
    names = [type(module).__name__ for module in fast.modules()]
    assert "Linear" not in names
    assert names.count("FastLinear") == 2 * 6 + 2
    torch.testing.assert_close(loss_of(fast, batch(TINY, CPU)), loss_of(plain, batch(TINY, CPU)))
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert [matrix.name for matrix in find_prunable(fast)] == [matrix.name for matrix in find_prunable(plain)]
    copied = copy.deepcopy(fast)
    assert torch.equal(loss_of(copied, batch(TINY, CPU)), loss_of(fast, batch(TINY, CPU)))


@pytest.mark.usefixtures("by_onednn")
def test_conv1d_is_still_found_as_stored_the_other_way() -> None:
    model = nn.Sequential(nn.ModuleList([Conv1D(40, 24)]))
    (matrix,) = find_prunable(changed(model))
    assert matrix.transposed


def test_small_and_double_products_are_torchs_own_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "fastest_library", lambda: "oneDNN")
    monkeypatch.setattr(linear, "is_tiny", lambda _: False)
    monkeypatch.setattr(linear, "product", lambda *_: pytest.fail("oneDNN was asked"))
    for kind in KINDS:
        plain, fast = pair(kind)
        x = torch.randn(100, 24)
        assert torch.equal(fast(x), plain(x))
        assert fast(x[:0]).shape == (0, 40)
    monkeypatch.setattr(linear, "SMALLEST", 0)
    for kind in KINDS:
        plain, fast = pair(kind)
        assert torch.equal(fast.double()(x.double()), plain.double()(x.double()))


def test_a_large_product_is_onednns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "fastest_library", lambda: "oneDNN")
    asked = []

    def counted(a: Tensor, b: Tensor, bias: Tensor) -> Tensor:
        asked.append(len(a))
        return torch.addmm(bias, a, b.t())

    monkeypatch.setattr(linear, "product", counted)
    monkeypatch.setattr(linear, "is_tiny", lambda _: False)
    layer = changed(nn.Linear(512, 256))
    layer(torch.randn(2, 63, 512))
    assert not asked
    layer(torch.randn(2, 64, 512))  # 2^24 multiplications
    assert asked == [128]


def test_a_tiny_model_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "fastest_library", lambda: "oneDNN")
    assert type(changed(nn.Linear(1000, 1999, bias=False))) is nn.Linear
    assert type(changed(nn.Linear(1000, 2000, bias=False))) is FastLinear


def test_the_processor_decides_whether_layers_are_replaced(processor: pytest.MonkeyPatch) -> None:
    assert fastest_library() == "oneDNN"
    layer = changed(nn.Linear(2, 2))
    assert type(layer) is FastLinear


@pytest.mark.parametrize(
    ("where", "name", "answer"),
    [
        (linear, "cpu_name", "Intel(R) Xeon(R) Platinum"),
        (torch.backends.cpu, "get_cpu_capability", "AVX2"),
        (torch.backends.mkl, "is_available", False),
        (torch.backends.mkldnn, "is_available", False),
    ],
)
def test_elsewhere_torch_multiplies(processor: pytest.MonkeyPatch, where: object, name: str, answer: object) -> None:
    processor.setattr(where, name, lambda: answer)
    assert fastest_library() == "torch"
    assert type(changed(nn.Linear(2, 2))) is nn.Linear
