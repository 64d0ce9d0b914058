"""Batches cover an epoch once, and none is too small for batch norm."""

import numpy as np
import pytest

from striate.data import batch_slices, epoch_order


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 5), (11, 5), (1, 4), (4, 1), (129, 128), (257, 128)])
def test_every_place_comes_once(count, size):
    places = np.concatenate([np.arange(count)[cut] for cut in batch_slices(count, size)])
    assert places.tolist() == list(range(count))


def test_a_single_one_left_over_joins_the_batch_before():
    assert [cut.stop - cut.start for cut in batch_slices(11, 5)] == [5, 6]
    assert [cut.stop - cut.start for cut in batch_slices(12, 5)] == [5, 5, 2]
    assert [cut.stop - cut.start for cut in batch_slices(1, 5)] == [1]


def test_an_order_is_a_permutation_that_seed_and_epoch_decide():
    assert sorted(epoch_order(0, 0, 50)) == list(range(50))
    assert epoch_order(0, 0, 50).tolist() == epoch_order(0, 0, 50).tolist()
    assert epoch_order(0, 0, 50).tolist() != epoch_order(0, 1, 50).tolist()
    assert epoch_order(0, 0, 50).tolist() != epoch_order(1, 0, 50).tolist()
