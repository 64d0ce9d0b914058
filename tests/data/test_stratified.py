"""Class quotas: examples, and properties over random counts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from striate.data.splits import class_quotas, draw_stratified


def test_examples():
    """10 of 50, 30, 20 are 5, 3, 2; 4 of 10, 10, 10 are 1.33 each, and the first of equal classes gets the rest."""
    counts = np.array([50, 30, 20])
    assert class_quotas(counts, 10, counts * 0, counts).tolist() == [5, 3, 2]
    assert class_quotas(counts * 0 + 10, 4, counts * 0, counts).tolist() == [2, 1, 1]
    assert class_quotas(np.array([98, 2]), 3, np.array([2, 2]), np.array([98, 2])).tolist() == [2, 2]


@given(st.lists(st.integers(2, 60), min_size=2, max_size=9), st.floats(0.01, 0.99))
def test_quotas_keep_their_bounds_reach_the_total_and_grow_with_it(counts, share):
    counts = np.array(counts)
    total = round(share * counts.sum())
    take, more = (class_quotas(counts, n, np.ones_like(counts), counts - 1) for n in (total, total + 1))
    assert ((take >= 1) & (take < counts)).all()
    assert take.sum() == np.clip(total, len(counts), (counts - 1).sum())
    assert (more >= take).all()


@given(st.lists(st.integers(20, 60), min_size=2, max_size=9), st.integers(20, 60))
def test_quotas_are_in_proportion(counts, total):
    counts = np.array(counts)
    take = class_quotas(counts, total, counts * 0, counts)
    # Webster's promise: nobody's last image had its turn after the next image of somebody else.
    assert ((take - 0.5) / counts).max() <= ((take + 0.5) / counts).min()


def test_a_smaller_quota_draws_a_subset():
    labels = np.arange(90) % 3
    small, large = (set(draw_stratified(labels, np.array([n, n, n]), np.random.default_rng(0))) for n in (4, 9))
    assert small < large
