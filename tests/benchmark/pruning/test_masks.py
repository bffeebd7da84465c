"""Masks: the exact count under every scope, where scores compete, and what does not fit."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.pruning.masks import (
    SCOPES,
    Kind,
    Scope,
    _together,
    apportion,
    erk_sparsities,
    make_mask,
    parse_scope,
    total,
)
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.one_shot import OneShot
from benchmark.pruning.selection import keep_highest
from benchmark.suite.parts import Override
from criteria.magnitude import Magnitude
from tests.benchmark.toys import one_matrix, weight_of

SPARSITIES = st.floats(0, 1, exclude_max=True)
ALL = ("global", "published", "layer", "row", "erk", "2:4", "1:4", "block[2,2]", "block[1,4]")

Shapes = list[tuple[int, int]]


@st.composite
def models(draw: st.DrawFn) -> tuple[Tensor, Shapes]:
    """Scores, of few values or of many, of one to four small matrices whose sides every pattern above divides."""
    sides = st.tuples(st.sampled_from([2, 4, 6]), st.sampled_from([4, 8]))
    shapes = draw(st.lists(sides, min_size=1, max_size=4))
    values = draw(st.sampled_from([1, 2, 5, 1000]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    scores = torch.randint(values, (total(shapes),), generator=generator) - values // 2
    return scores.float() * 10.0 ** draw(st.integers(-40, 35)), shapes


def mask_of(device: torch.device, scores: list[list[float]], scope: str, sparsity: float) -> list[list[bool]]:
    """The mask of a single matrix."""
    matrix = torch.tensor(scores, dtype=torch.float32, device=device)
    shape = (matrix.shape[0], matrix.shape[1])
    found: list[list[bool]] = make_mask(matrix.flatten(), [shape], parse_scope(scope), sparsity).view(shape).tolist()
    return found


def final_target(scope: Scope, sparsity: float) -> float:
    """A pattern has but one target; every other scope prunes to any."""
    return 1 - scope.a / scope.b if scope.kind == "n:m" else sparsity


# Exactness.


@pytest.mark.parametrize("text", ["layer", "row", "erk", "2:4", "1:4"])
@given(models(), SPARSITIES, st.sampled_from([4, 8]))
def test_columns_from_left_to_right_give_the_count_of_the_matrix(
    device: torch.device, text: str, model: tuple[Tensor, Shapes], sparsity: float, width: int
) -> None:
    scores, shapes = model[0].to(device), model[1]
    scope = parse_scope(text)
    s = final_target(scope, sparsity)
    quotas = scope.quotas(shapes, s)
    assert quotas is not None
    gone = 0
    for quota, part in zip(quotas, scores.split([out * inputs for out, inputs in shapes]), strict=True):
        matrix = part.view(quota.shape)
        parts = [quota(matrix[:, start : start + width], start) for start in range(0, matrix.shape[1], width)]
        mask = torch.cat(parts, dim=1)
        assert int((~mask).sum()) == quota.count == int((~quota(matrix)).sum())
        gone += quota.count
        if quota.rows:
            rows = (~mask).sum(1)
            assert int(rows.max() - rows.min()) <= 1
    assert gone == scope.count(s, shapes)


@pytest.mark.parametrize(("text", "sparsity"), [("global", 0.5), ("published", 0.5), ("block[2,2]", 0.5), ("2:4", 0.3)])
def test_where_matrices_compete_no_quota_is_known_beforehand(text: str, sparsity: float) -> None:
    assert parse_scope(text).quotas([(4, 8)], sparsity) is None


@pytest.mark.parametrize("text", ALL)
@given(models(), SPARSITIES)
def test_exactly_as_many_go_as_the_scope_counts(
    device: torch.device, text: str, model: tuple[Tensor, Shapes], sparsity: float
) -> None:
    scores, shapes = model[0].to(device), model[1]
    scope = parse_scope(text)
    s = final_target(scope, sparsity)
    mask = make_mask(scores, shapes, scope, s)
    assert mask.dtype == torch.bool
    assert mask.shape == scores.shape
    assert int((~mask).sum()) == scope.count(s, shapes)
    if scope.kind != "block[h,w]":
        assert scope.count(s, shapes) == round(s * total(shapes))


@pytest.mark.parametrize("text", ALL)
@given(models(), SPARSITIES)
def test_ranking_anew_changes_nothing(
    device: torch.device, text: str, model: tuple[Tensor, Shapes], sparsity: float
) -> None:
    """Once the pruned are the lowest of all, ranking anew changes nothing."""
    scores, shapes = model[0].to(device), model[1]
    scope = parse_scope(text)
    s = final_target(scope, sparsity)
    mask = make_mask(scores, shapes, scope, s)
    again = make_mask(mask.float(), shapes, scope, s)
    assert torch.equal(again, mask)


@pytest.mark.parametrize("text", ALL)
@given(models())
def test_nothing_goes_at_zero(device: torch.device, text: str, model: tuple[Tensor, Shapes]) -> None:
    scores, shapes = model[0].to(device), model[1]
    assert make_mask(scores, shapes, parse_scope(text), 0.0).all()


@pytest.mark.parametrize("text", ["global", "layer", "erk", "row"])
@given(models(), SPARSITIES)
def test_within_a_competition_no_pruned_score_is_above_a_kept_one(
    device: torch.device, text: str, model: tuple[Tensor, Shapes], sparsity: float
) -> None:
    scores, shapes = model[0].to(device), model[1]
    mask = make_mask(scores, shapes, parse_scope(text), sparsity)
    for part, kept in competitions(text, scores, mask, shapes):
        if kept.any() and not kept.all():
            assert part[~kept].max() <= part[kept].min()


def competitions(text: str, scores: Tensor, mask: Tensor, shapes: Shapes) -> list[tuple[Tensor, Tensor]]:
    """Scores and mask of each set of weights that compete."""
    if text == "global":
        return [(scores, mask)]
    sizes = [out * inputs for out, inputs in shapes]
    parts = list(zip(scores.split(sizes), mask.split(sizes), strict=True))
    if text != "row":
        return parts
    return [
        (row, kept)
        for (part, m), shape in zip(parts, shapes, strict=True)
        for row, kept in zip(part.view(shape), m.view(shape), strict=True)
    ]


# Where scores compete.


def test_global_hand_computed(device: torch.device) -> None:
    assert mask_of(device, [[1, 4], [3, 2]], "global", 0.5) == [[False, True], [True, False]]


def test_layer_takes_the_same_share_of_each_matrix(device: torch.device) -> None:
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0], device=device)
    mask = make_mask(scores, [(2, 2), (2, 2)], parse_scope("layer"), 0.5)
    assert mask.tolist() == [False, False, True, True] * 2


def test_layer_remainders_make_up_the_exact_total(device: torch.device) -> None:
    """5 of 9 weights: 1.67 of each matrix of three, so 2, 2 and 1."""
    mask = make_mask(torch.arange(9.0, device=device), [(1, 3)] * 3, parse_scope("layer"), 5 / 9)
    assert [int((~part).sum()) for part in mask.split(3)] == [2, 2, 1]


@given(models(), st.data())
def test_matrices_together_are_masked_as_each_alone(
    device: torch.device, model: tuple[Tensor, Shapes], data: st.DataObject
) -> None:
    """On a device those of one size and count are ranked at once."""
    scores, shapes = model[0].to(device), model[1]
    parts = scores.split([out * inputs for out, inputs in shapes])
    counts = [data.draw(st.integers(0, len(part)).map(lambda k: k // 4 * 4)) for part in parts]
    for part, count, mask in zip(parts, counts, _together(parts, counts), strict=True):
        assert torch.equal(keep_highest(part, count), mask)


def test_row_takes_the_same_number_of_each_row(device: torch.device) -> None:
    assert mask_of(device, [[1, 2, 3, 4], [50, 60, 80, 70]], "row", 0.5) == [[False, False, True, True]] * 2


def test_row_remainder_falls_to_the_first_rows(device: torch.device) -> None:
    """3 of 8 weights: one of each row, and the odd one of the first."""
    assert mask_of(device, [[1, 2, 3, 4], [5, 6, 7, 8]], "row", 3 / 8) == [
        [False, False, True, True],
        [False, True, True, True],
    ]


@given(models(), SPARSITIES)
def test_rows_of_a_matrix_differ_by_one_weight_at_most(
    device: torch.device, model: tuple[Tensor, Shapes], sparsity: float
) -> None:
    scores, shapes = model[0].to(device), model[1]
    mask = make_mask(scores, shapes, parse_scope("row"), sparsity)
    for part, shape in zip(mask.split([o * i for o, i in shapes]), shapes, strict=True):
        gone = (~part.view(shape)).sum(dim=1)
        assert gone.max() - gone.min() <= 1


def test_n_of_m_hand_computed(device: torch.device) -> None:
    scores: list[list[float]] = [[1, 2, 3, 4, 8, 7, 6, 5]]
    assert mask_of(device, scores, "2:4", 0.5) == [[False, False, True, True, True, True, False, False]]
    assert mask_of(device, scores, "1:4", 0.75) == [[False, False, False, True, True, False, False, False]]


@given(models())
def test_n_of_m_keeps_n_of_every_m(device: torch.device, model: tuple[Tensor, Shapes]) -> None:
    scores, shapes = model[0].to(device), model[1]
    assert (make_mask(scores, shapes, parse_scope("2:4"), 0.5).view(-1, 4).sum(dim=1) == 2).all()


def test_n_of_m_takes_the_lowest_candidates_first_on_the_way(device: torch.device) -> None:
    """A quarter of 2:4: the candidates are 1, 2 and 5, 6; of these 1 and 2 go."""
    scores: list[list[float]] = [[1, 2, 3, 4, 8, 7, 6, 5]]
    assert mask_of(device, scores, "2:4", 0.25) == [[False, False, True, True, True, True, True, True]]


@given(models(), SPARSITIES)
def test_blocks_live_or_die_together(device: torch.device, model: tuple[Tensor, Shapes], sparsity: float) -> None:
    scores, shapes = model[0].to(device), model[1]
    mask = make_mask(scores, shapes, parse_scope("block[2,2]"), sparsity)
    for part, (out, inputs) in zip(mask.split([o * i for o, i in shapes]), shapes, strict=True):
        tiles = part.view(out // 2, 2, inputs // 2, 2)
        assert (tiles.all(dim=3).all(dim=1) == tiles.any(dim=3).any(dim=1)).all()


def test_blocks_rank_by_their_mean(device: torch.device) -> None:
    """Means 4.5, 3.75, 5 and 4."""
    scores: list[list[float]] = [[9, 0, 4, 4], [9, 0, 4, 3], [5, 5, 4, 4], [5, 5, 4, 4]]
    assert mask_of(device, scores, "block[2,2]", 0.25) == [[True, True, False, False]] * 2 + [[True] * 4] * 2


def test_block_mean_of_extreme_scores_does_not_overflow(device: torch.device) -> None:
    top = 3.4028235e38
    assert mask_of(device, [[top, top, top, top / 2, 0, 0]], "block[1,2]", 2 / 3) == [[True] * 2 + [False] * 4]
    scores: list[list[float]] = [[top, top, -top, 0], [-top, -top, 0, 0]]
    assert mask_of(device, scores, "block[2,2]", 0.5) == [[True, True, False, False]] * 2


def test_scopes_over_several_matrices_compete_globally(device: torch.device) -> None:
    scores = torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0], device=device)
    mask = make_mask(scores, [(1, 4), (1, 4)], parse_scope("block[1,2]"), 0.5)
    assert mask.tolist() == [False] * 4 + [True] * 4


# Shares.


def test_erk_hand_computed() -> None:
    """Keep 32 of 80: (out + in) are 16 and 8, so eps = 32/24 and the densities (64/3)/64 and (32/3)/16."""
    sparsities = erk_sparsities([(8, 8), (4, 4)], 0.6)
    assert sparsities == pytest.approx([2 / 3, 1 / 3])


def test_erk_leaves_small_matrices_dense() -> None:
    """At 0.1 the small one would need density above 1: it stays dense and the large one bears all."""
    sparsities = erk_sparsities([(8, 8), (4, 4)], 0.1)
    assert sparsities == pytest.approx([8 / 64, 0.0])


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6), SPARSITIES)
def test_erk_keeps_the_overall_sparsity(shapes: Shapes, sparsity: float) -> None:
    found = erk_sparsities(shapes, sparsity)
    assert all(-1e-9 <= s <= 1 for s in found)
    gone = sum(s * out * inputs for s, (out, inputs) in zip(found, shapes, strict=True))
    assert gone == pytest.approx(sparsity * total(shapes), abs=1e-6 * total(shapes))


@pytest.mark.parametrize("sparsity", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5))
def test_erk_exact_on_odd_shapes(device: torch.device, sparsity: float, shapes: Shapes) -> None:
    n = total(shapes)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(n)).to(device)
    mask = make_mask(scores, shapes, parse_scope("erk"), sparsity)
    assert int((~mask).sum()) == round(sparsity * n)


def test_apportion_hand_computed() -> None:
    assert apportion([1.5, 1.5, 1.0], [9, 9, 9], 4) == [2, 1, 1]
    assert apportion([0.2, 0.9, 0.9], [9, 9, 9], 2) == [0, 1, 1]
    assert apportion([2.0, 2.0], [1, 9], 4) == [1, 3]
    assert apportion([3.0, 3.0], [9, 9], 4) == [2, 2]
    assert apportion([], [], 0) == []


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 50)), max_size=8), st.data())
def test_apportion_is_exact_and_within_limits(pairs: list[tuple[float, int]], data: st.DataObject) -> None:
    shares, limits = [share for share, _ in pairs], [limit for _, limit in pairs]
    k = data.draw(st.integers(0, sum(limits)))
    counts = apportion(shares, limits, k)
    assert sum(counts) == k
    assert all(0 <= count <= limit for count, limit in zip(counts, limits, strict=True))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), SPARSITIES)
def test_apportion_gives_each_its_share_to_within_one(sizes: list[int], sparsity: float) -> None:
    shares = [sparsity * size for size in sizes]
    counts = apportion(shares, sizes, round(sparsity * sum(sizes)))
    assert all(abs(count - share) <= 1 for count, share in zip(counts, shares, strict=True))


@pytest.mark.parametrize("k", [-1, 6])
def test_apportion_refuses_the_impossible(k: int) -> None:
    with pytest.raises(ValueError, match=f"cannot place {k} among limits that sum to 5"):
        apportion([1.0, 1.0], [2, 3], k)


# The door.


@pytest.mark.parametrize("text", ["global", "layer", "row", "erk", "published", "2:4", "1:16", "block[16,1]"])
def test_a_scope_prints_as_it_is_written(text: str) -> None:
    assert str(parse_scope(text)) == text


@pytest.mark.parametrize("text", ["", "globl", "Global", "block", "block[2]", "layer 2:4", "2:4:8", "-1:4"])
def test_unknown_scopes_name_the_choices(text: str) -> None:
    with pytest.raises(PrunebenchError, match=r"unknown scope .*choices: alphapruning, .*block\[h,w\], erk, global"):
        parse_scope(text)


@pytest.mark.parametrize("text", ["n:m", "block[h,w]", "alphapruning[tau=t]", "alphapruning[row,tau=t]"])
def test_letters_of_the_list_of_choices_want_numbers(text: str) -> None:
    with pytest.raises(PrunebenchError, match=r"scope '.*': numbers take the place of the letters, as in 2:4"):
        parse_scope(text)


@pytest.mark.parametrize("text", ["0:4", "4:4", "5:4"])
def test_patterns_that_keep_none_or_all_are_refused(text: str) -> None:
    with pytest.raises(PrunebenchError, match=f"scope '{text}': of m neighbours n stay, 0 < n < m"):
        parse_scope(text)


@pytest.mark.parametrize("text", ["block[0,4]", "block[4,0]"])
def test_blocks_of_no_size_are_refused(text: str) -> None:
    with pytest.raises(PrunebenchError, match=r"scope 'block.*: h and w are at least 1"):
        parse_scope(text)


def test_a_row_of_the_table_is_all_that_a_new_scope_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope that prunes the last weights, whatever their scores: a suite accepts it, and a pruner uses it."""

    def last(scores: Tensor, shapes: Sequence[tuple[int, int]], scope: Scope, sparsity: float) -> Tensor:
        n = scores.numel()
        return torch.arange(n) < n - scope.count(sparsity, shapes)

    monkeypatch.setitem(SCOPES, "last", Kind(last))
    assert Override(scope="last").scope == "last"
    model = one_matrix([[1.0, -2.0], [3.0, 4.0]])
    pruner = Pruner(model, Magnitude(), OneShot(at=0), sparsity=0.5, total=1, scope="last")
    pruner.observe(0.0)
    pruner.prune()
    pruner.finish()
    assert weight_of(model).tolist() == [[1.0, -2.0], [0.0, 0.0]]


def test_concepts_name_every_scope() -> None:
    concepts = (Path(__file__).parents[3] / "docs" / "concepts.md").read_text()
    assert [key for key in SCOPES if f"`{key}`" not in concepts] == []


@pytest.mark.parametrize(
    ("text", "shape", "sparsity", "message"),
    [
        ("2:4", (4, 6), 0.5, "scope '2:4' does not divide a matrix of 4 x 6"),
        ("block[2,2]", (3, 4), 0.5, "does not divide a matrix of 3 x 4"),
        ("block[2,2]", (4, 3), 0.5, "does not divide a matrix of 4 x 3"),
        ("2:4", (4, 4), 0.8, "scope '2:4' prunes to sparsity 0.5, not 0.8"),
    ],
)
def test_what_does_not_fit_is_said(text: str, shape: tuple[int, int], sparsity: float, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message.replace("[", r"\[")):
        parse_scope(text).check([(4, 4), shape], sparsity)


@pytest.mark.parametrize("text", ["global", "2:4", "block[4,2]", "alphapruning[row,tau=0.2]"])
def test_scopes_can_be_pickled(text: str) -> None:
    assert pickle.loads(pickle.dumps(parse_scope(text))) == parse_scope(text)
