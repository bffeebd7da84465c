"""Overlap of kept weights, by hand."""

import numpy as np
import pytest

from benchmark.diagnose.overlap import chance, jaccard, overlaps
from tests.benchmark.report.factory import make_record, make_spec


def kept(*bits: int) -> np.ndarray:
    return np.array(bits, dtype=bool)


def test_jaccard_by_hand() -> None:
    assert jaccard(kept(1, 1, 0, 0), kept(1, 0, 1, 0)) == pytest.approx(1 / 3)
    assert jaccard(kept(1, 0), kept(1, 0)) == 1.0
    assert jaccard(kept(0, 0), kept(0, 0)) == 1.0


def test_chance_is_what_random_sets_give() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random(200_000) < 0.2, generator.random(200_000) < 0.2
    assert chance(0.2, 0.2) == pytest.approx(0.2 / 1.8)
    assert jaccard(a, b) == pytest.approx(chance(0.2, 0.2), abs=0.005)


def test_rows_compare_at_equal_seeds_and_themselves_across_seeds() -> None:
    cells = [("magnitude", 0), ("magnitude", 1), ("random", 0), ("random", 1)]
    records = [make_record(make_spec(criterion, seed=seed)) for criterion, seed in cells]
    sets = [kept(1, 1, 0, 0), kept(1, 1, 0, 0), kept(1, 0, 1, 0), kept(0, 0, 1, 1)]
    names, table = overlaps(records, sets)
    assert names == ["magnitude", "random"]
    # magnitude across seeds 1; random across seeds {0,2} against {2,3}: 1/3; between rows: (1/3 + 0)/2.
    np.testing.assert_allclose(table, [[1, 1 / 6], [1 / 6, 1 / 3]])


def test_one_seed_has_no_overlap_with_itself() -> None:
    records = [make_record(make_spec("magnitude"))]
    assert np.isnan(overlaps(records, [kept(1, 0)])[1]).all()
