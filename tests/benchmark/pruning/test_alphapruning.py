"""AlphaPruning: exponents by hand, of known power laws and as the released code finds them, and the shares that follow from them."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.alphapruning import TAU, allocate, alpha_of, alpha_sparsities, eigenvalues, tail_exponent
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.once import Once
from benchmark.pruning.prunable import Matrix, find_prunable
from benchmark.pruning.pruner import Pruner
from tests.benchmark.toys import Blocks, Steps, data, loss_of, weight_of

WIDTH = 32

RELEASED = [
    # seed, out, in, degrees of freedom (None: normal), scale, alpha
    (0, 48, 96, None, 1.0, 2.0211377143859863),
    (1, 96, 48, 3, 1.0, 1.9021565914154053),
    (2, 64, 64, 2, 0.02, 1.833377480506897),
    (3, 40, 200, None, 0.02, 2.832235336303711),
    (4, 33, 70, 4, 5.0, 3.539094924926758),
    (5, 24, 24, 1, 1.0, 1.2657320499420166),
]
"""What `net_esd_estimator(net, fix_fingers="xmin_peak")` of the released code (haiquanlu/AlphaPruning, commit 5f0e984) gave."""


def matrix(rows: Tensor) -> Matrix:
    return Matrix("blocks.0.weight", nn.Parameter(rows.float(), requires_grad=False))


def batches(count: int) -> list[dict[str, Tensor]]:
    return [data(WIDTH, seed=seed) for seed in range(count)]


def heavy_and_light(conv: bool = False) -> Blocks:
    """A first block whose spectrum has a far heavier tail than the second's."""
    model = Blocks(WIDTH, conv=conv)
    with torch.no_grad():
        for block, power in ((0, 3.0), (1, 0.5)):
            stored = weight_of(model, block)
            u, s, v = torch.linalg.svd(stored.detach(), full_matrices=False)
            stored.copy_(u @ torch.diag(torch.arange(1, len(s) + 1) ** -power) @ v)
    return model


def released_shares(alphas: Sequence[float], sizes: Sequence[int], sparsity: float) -> list[float]:
    """As the released code computes them, in torch, where every matrix of a block has its block's alpha."""
    scores, prunables = torch.tensor(alphas), torch.tensor(sizes)
    ratios = ((scores - scores.min()) / (scores.max() - scores.min())) * ((1 + TAU) - (1 - TAU)) + (1 - TAU)
    scaler = prunables.sum() * sparsity / (prunables * ratios).sum()
    found: list[float] = (ratios * scaler).tolist()
    return found


def test_an_exponent_by_hand() -> None:
    """From 1: alpha = 1 + 3 / (ln 2 + ln 4), at most 0.29 off; from 2: alpha = 1 + 2 / ln 2, half off."""
    spectrum = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    assert tail_exponent(spectrum) == pytest.approx(1 + 3 / math.log(8))


@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float, scale: float) -> None:
    """Quantiles of the density (alpha - 1) l^-alpha, l >= 1: their logarithms are those of an exponential distribution."""
    count = 2000
    below = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert tail_exponent(scale * (1 - below) ** (-1 / (exponent - 1))) == pytest.approx(exponent, rel=0.01)


@pytest.mark.parametrize(("seed", "out", "inputs", "freedom", "scale", "alpha"), RELEASED)
@pytest.mark.parametrize("transposed", [False, True])
def test_exponents_are_those_of_the_released_code(
    seed: int, out: int, inputs: int, freedom: int | None, scale: float, alpha: float, transposed: bool
) -> None:
    draws = np.random.RandomState(seed)
    size = (out, inputs)
    rows = torch.tensor(scale * (draws.standard_normal(size) if freedom is None else draws.standard_t(freedom, size)))
    stored = nn.Parameter((rows.T if transposed else rows).float().contiguous())
    assert alpha_of(Matrix("m", stored, transposed)) == pytest.approx(alpha, rel=1e-4)


def test_eigenvalues_are_squared_singular_values_without_zeros() -> None:
    rows = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]], dtype=torch.float64)
    for weight in (rows, rows.T, torch.cat([rows, rows[:1]])):
        expected = torch.linalg.svdvals(weight)[:2].flip(0) ** 2
        torch.testing.assert_close(eigenvalues(weight), expected)
    draws = np.random.RandomState(0)
    assert len(eigenvalues(torch.tensor(draws.standard_normal((40, 3)) @ draws.standard_normal((3, 60))))) == 3


def test_shares_by_hand() -> None:
    # 0.7, 1, 1.3 before scaling, of mean 1
    assert allocate([2.0, 3.0, 4.0], [5, 5, 5], 0.6) == pytest.approx([0.42, 0.6, 0.78])
    # (0.7 + 3 x 1.3) / 4 = 1.15
    assert allocate([2.0, 4.0], [1, 3], 0.5) == pytest.approx([0.35 / 1.15, 0.65 / 1.15])
    assert allocate([2.5, 2.5], [1, 3], 0.3) == pytest.approx([0.3, 0.3])
    assert allocate([2.5], [7], 0.3) == pytest.approx([0.3])


@given(
    st.lists(st.tuples(st.floats(1.01, 20), st.integers(1, 10**6)), min_size=1, max_size=12),
    st.floats(0, 0.999),
)
def test_shares_average_to_the_sparsity_and_grow_with_the_exponent(
    blocks: list[tuple[float, int]], sparsity: float
) -> None:
    alphas, sizes = zip(*blocks, strict=True)
    shares = allocate(alphas, sizes, sparsity)
    assert sum(s * n for s, n in zip(shares, sizes, strict=True)) == pytest.approx(sparsity * sum(sizes))
    ordered = [share for _, share in sorted(zip(alphas, shares, strict=True))]
    assert ordered == sorted(ordered)
    assert max(shares) <= min(shares) * (1 + TAU) / (1 - TAU) * (1 + 1e-9)


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_shares_are_those_of_the_released_code(seed: int, sparsity: float) -> None:
    draws = np.random.default_rng(seed)
    alphas, sizes = (1.5 + 4 * draws.random(7)).tolist(), draws.integers(10, 99, 7).tolist()
    assert allocate(alphas, sizes, sparsity) == pytest.approx(released_shares(alphas, sizes, sparsity), rel=1e-5)


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("scope", ["alphapruning", "alphapruning[row]"])
@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "sparsegpt", "random"])
def test_each_block_of_a_model_is_pruned_to_its_share(criterion: str, scope: str, conv: bool) -> None:
    model = heavy_and_light(conv)
    alphas = [alpha_of(one) for one in find_prunable(model)]
    assert alphas[0] < alphas[1]
    once = Once(model, registry.configure("criteria", criterion), sparsity=0.5, scope=scope)
    once.prune(loss_of, batches)
    zeros = [int((one.parameter == 0).sum()) for one in find_prunable(model)]
    size = 2 * WIDTH * WIDTH
    assert zeros == pytest.approx([0.35 * size, 0.65 * size], abs=1)
    assert sum(zeros) == size  # half of two
    assert once.measure() == 0.5
    if scope == "alphapruning[row]":
        for one in find_prunable(model):
            rows = (one.view(one.parameter.detach().reshape(-1)) == 0).sum(1)
            assert rows.max() - rows.min() <= 1


def test_matrices_of_a_block_share_its_mean_exponent() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Sequential(nn.Linear(16, 16 * (k + 1)), nn.Linear(16, 24)) for k in range(3))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Pairs()
    matrices = find_prunable(model)
    alphas = [alpha_of(one) for one in matrices]
    means = [fmean(alphas[i : i + 2]) for i in (0, 2, 4)]
    sizes = [16 * 16 * (k + 1) + 16 * 24 for k in range(3)]
    expected = [share for share in allocate(means, sizes, 0.5) for _ in range(2)]
    assert alpha_sparsities(model, matrices, 0.5) == pytest.approx(expected)
    assert len({round(share, 6) for share in expected}) == 3


def test_no_calibration_batch_is_asked_for() -> None:
    def none(count: int) -> list[dict[str, Tensor]]:
        raise AssertionError(f"asked for {count} batches")

    once = Once(heavy_and_light(), registry.configure("criteria", "magnitude"), sparsity=0.5, scope="alphapruning")
    once.prune(loss_of, none)
    assert once.measure() == 0.5


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_weights_have_much_the_same_exponents(precision: torch.dtype) -> None:
    model = heavy_and_light()
    full = [alpha_of(one) for one in find_prunable(model)]
    half = [alpha_of(one) for one in find_prunable(model.to(precision))]
    assert half[0] < half[1]
    assert half[1] == pytest.approx(full[1], rel=0.05)


def with_nan(value: float) -> Tensor:
    rows = torch.eye(4)
    rows[1, 2] = value
    return rows


NO_TAIL = {
    "zeros": (torch.zeros(4, 6), "of its 4 eigenvalues none are above 0"),
    "one value": (torch.full((4, 6), 0.3), "of its 4 eigenvalues 1 are above 0"),
    "one row that is not zero": (torch.eye(4)[:1] * torch.ones(4, 1), "of its 4 eigenvalues 1 are above 0"),
    "one row": (torch.ones(1, 6), "of its 1 eigenvalues 1 are above 0"),
    "one column": (torch.arange(1.0, 7).view(6, 1), "of its 1 eigenvalues 1 are above 0"),
    "the identity": (torch.eye(5), "its largest eigenvalues are all the same"),
    "a multiple of a permutation": (3 * torch.eye(5).roll(1, 0), "its largest eigenvalues are all the same"),
    "all the same but for one": (
        torch.diag(torch.tensor([1.0, 32, 32, 32])),
        "its largest eigenvalues are all the same",
    ),
    "nan": (with_nan(math.nan), "it holds weights that are not finite"),
    "infinity": (with_nan(-math.inf), "it holds weights that are not finite"),
}


@pytest.mark.parametrize("name", NO_TAIL)
def test_a_spectrum_without_a_tail_is_refused(name: str) -> None:
    rows, why = NO_TAIL[name]
    with pytest.raises(
        PrunebenchError, match=f"scope 'alphapruning' .* spectrum of blocks.0.weight, which has none: {why}"
    ):
        alpha_of(matrix(rows))


def test_a_model_is_left_as_it_was_where_a_matrix_has_no_tail() -> None:
    model = heavy_and_light()
    weight_of(model, 1).data.zero_()
    before = weight_of(model).detach().clone()
    once = Once(model, registry.configure("criteria", "magnitude"), sparsity=0.5, scope="alphapruning")
    with pytest.raises(PrunebenchError, match=r"spectrum of blocks\.1\.weight, which has none"):
        once.prune(loss_of, batches)
    assert torch.equal(weight_of(model), before)


@pytest.mark.parametrize(("scope", "tau"), [("alphapruning[tau=0.2]", 0.2), ("alphapruning[row,tau=.125]", 0.125)])
def test_tau_says_how_far_blocks_differ(scope: str, tau: float) -> None:
    model = heavy_and_light()
    Once(model, registry.configure("criteria", "magnitude"), sparsity=0.8, scope=scope).prune(loss_of, batches)
    zeros = [int((one.parameter == 0).sum()) for one in find_prunable(model)]
    size = 2 * WIDTH * WIDTH
    assert zeros == pytest.approx([0.8 * (1 - tau) * size, 0.8 * (1 + tau) * size], abs=1)
    assert sum(zeros) == round(0.8 * 2 * size)


@pytest.mark.parametrize("rows", ["", "row,"])
@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("0.2", "0.2"),
        (".2", "0.2"),
        ("0.20", "0.2"),
        ("00.2", "0.2"),
        ("0.05", "0.05"),
        ("0.0001", "0.0001"),
        ("0.125", "0.125"),
        ("0.9999", "0.9999"),
    ],
)
def test_tau_is_read_and_written(written: str, canonical: str, rows: str) -> None:
    scope = parse_scope(f"alphapruning[{rows}tau={written}]")
    assert str(scope) == f"alphapruning[{rows}tau={canonical}]"
    assert scope.tau == float(canonical)
    assert parse_scope(str(scope)) == scope


@pytest.mark.parametrize("text", ["alphapruning", "alphapruning[row]"])
def test_without_a_number_tau_is_the_released_codes(text: str) -> None:
    assert str(parse_scope(text)) == text
    assert parse_scope(text).tau == TAU == 0.3


@pytest.mark.parametrize("tau", ["0", "0.0", "1", "1.0", "7", "999999"])
def test_a_tau_out_of_its_range_is_refused(tau: str) -> None:
    with pytest.raises(PrunebenchError, match=r"scope 'alphapruning.*': tau is above 0 and below 1"):
        parse_scope(f"alphapruning[row,tau={tau}]")


@pytest.mark.parametrize(
    "text",
    [
        "[tau=]",
        "[tau=nan]",
        "[tau=0.00001]",
        "[tau=-0.1]",
        "[tau=1e-2]",
        "[tau=0,2]",
        "[0.2]",
        "[tau=0.2,row]",
        "[row, tau=0.2]",
        "[]",
    ],
)
def test_another_spelling_names_the_choices(text: str) -> None:
    with pytest.raises(PrunebenchError, match=r"unknown scope .*choices: alphapruning, alphapruning\[row,tau=t\]"):
        parse_scope(f"alphapruning{text}")


def test_what_alphapruning_cannot_do_is_said() -> None:
    magnitude = registry.configure("criteria", "magnitude")
    once = Once(heavy_and_light(), magnitude, sparsity=0.8, scope="alphapruning")
    with pytest.raises(
        PrunebenchError,
        match=r"would prune 1\.040 of blocks\.1 at sparsity 0\.8: expected a share in \[0, 1\) .* a tau smaller than 0\.3 gives",
    ):
        once.prune(loss_of, batches)
    with pytest.raises(
        PrunebenchError, match=r"scope 'alphapruning\[row\]' .* spectra .* prunes once, without training"
    ):
        Pruner(Blocks(WIDTH), magnitude, Steps(), sparsity=0.5, total=1, scope="alphapruning[row]")
    with pytest.raises(PrunebenchError, match=r"unknown scope 'alphaprunning'.*alphapruning"):
        Once(Blocks(WIDTH), magnitude, sparsity=0.5, scope="alphaprunning")
