"""The device's augmentation is the reference's, picture by picture; the draws are shared."""

import numpy as np
import pytest
import torch

from striate.data.augment import Draws, apply, draw
from striate.training.feed import augment


@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (4, 7, 11, 1), (1, 1, 1, 3), (64, 32, 32, 3)])
@pytest.mark.parametrize(("flip", "crop"), [(True, 0), (False, 2), (True, 4), (False, 0)])
def test_both_applications_give_the_same_picture(shape, flip, crop):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    draws = draw(1, 2, len(images), flip=flip, crop=crop)
    done = augment(torch.from_numpy(images.copy()), draws).numpy()
    assert done.dtype == np.uint8
    assert np.array_equal(done, apply(images, draws))


def test_a_planted_fault_is_found():
    """The comparison above can fail: one pixel further is another picture."""
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    draws = Draws(np.array([True, False, True]), np.array([[1, 0], [0, 2], [-1, 1]]))
    off_by_one = Draws(draws.flips, draws.shifts + 1)
    assert not np.array_equal(augment(torch.from_numpy(images), off_by_one).numpy(), apply(images, draws))


def test_a_shift_by_hand():
    """Down by one, right by none: the first row turns black, the others move."""
    image = np.arange(1, 5, dtype=np.uint8).reshape(1, 2, 2, 1)
    moved = apply(image, Draws(np.array([False]), np.array([[1, 0]])))
    assert moved[0, :, :, 0].tolist() == [[0, 0], [1, 2]]
    mirrored = apply(image, Draws(np.array([True]), np.array([[0, 1]])))
    assert mirrored[0, :, :, 0].tolist() == [[0, 2], [0, 4]]


def test_draws_belong_to_seed_and_epoch_and_place():
    a, b = draw(0, 3, 100, flip=True, crop=4), draw(0, 3, 50, flip=True, crop=4)
    assert np.array_equal(a[slice(0, 50)].flips, b.flips)
    assert np.array_equal(a[slice(0, 50)].shifts, b.shifts)
    assert not np.array_equal(a.flips, draw(0, 4, 100, flip=True, crop=4).flips)


def test_one_kind_does_not_move_the_other():
    both, alone = draw(0, 0, 100, flip=True, crop=4), draw(0, 0, 100, flip=False, crop=4)
    assert np.array_equal(both.shifts, alone.shifts)
    assert not alone.flips.any()


def test_draws_are_fair():
    draws = draw(0, 0, 100_000, flip=True, crop=4)
    assert abs(draws.flips.mean() - 0.5) < 0.01
    counts = np.bincount(draws.shifts.ravel() + 4, minlength=9)
    assert len(counts) == 9
    assert abs(counts / counts.sum() - 1 / 9).max() < 0.005
