"""Splits by class and seed, and exact means."""

import numpy as np
import pytest

from striate.core.errors import DataError
from striate.data import Dataset, Part, mean_std, split


def dataset_of(labels, validation=None):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    part = Part(images, np.array(labels))
    names = tuple(f"class {i}" for i in range(max(labels) + 1))
    return Dataset(name="made", classes=names, train=part, validation=validation, test=part, digest="0")


def test_both_sides_together_are_the_whole_and_every_class_is_split():
    dataset = dataset_of([0] * 50 + [1] * 30 + [2] * 20)
    splits = split(dataset, 0.1, seed=0)
    assert np.array_equal(np.sort(np.concatenate([splits.train, splits.validation])), np.arange(100))
    assert np.bincount(splits.part("validation").labels).tolist() == [5, 3, 2]
    assert (splits.size("train"), splits.size("validation")) == (90, 10)
    for rows in (splits.train, splits.validation):
        assert (np.diff(rows) > 0).all()


def test_images_keep_their_labels():
    part = split(dataset_of([0, 1] * 20), 0.25, seed=3).part("train")
    assert np.array_equal(part.images[:, 0, 0, 0] % 2, part.labels)


def test_the_seed_decides_and_nothing_else_does():
    dataset = dataset_of([0, 1] * 50)
    np.random.seed(1)
    rows = split(dataset, 0.1, seed=5).validation
    np.random.seed(2)
    assert np.array_equal(rows, split(dataset, 0.1, seed=5).validation)
    assert not np.array_equal(rows, split(dataset, 0.1, seed=6).validation)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_each_class_keeps_one_image_on_each_side(share):
    splits = split(dataset_of([0] * 40 + [1] * 2 + [2] * 3), share, seed=0)
    for which in ("train", "validation"):
        assert np.bincount(splits.part(which).labels, minlength=3).min() >= 1


def test_a_class_that_cannot_be_split():
    with pytest.raises(DataError, match=r"class 'class 1' of 'made' has 1 training image: .* one each; add images"):
        split(dataset_of([0, 0, 0, 1]), 0.5, seed=0)


def test_a_part_that_was_set_aside_is_the_validation_split():
    aside = dataset_of([0, 1, 0, 1]).train
    dataset = dataset_of([0, 1, 1], validation=aside)
    splits = split(dataset, 0.5, seed=0)
    assert splits.part("train") is dataset.train
    assert splits.part("validation") is aside
    assert (splits.size("train"), splits.size("validation"), len(splits.validation)) == (3, 4, 0)


def test_mean_and_deviation_are_those_of_floats():
    images = np.random.default_rng(0).integers(0, 256, (2500, 5, 4, 3), dtype=np.uint8)  # more than two chunks
    rows = np.arange(0, 2500, 2)
    mean, std = mean_std(images, rows)
    floats = images[rows].astype(np.float64) / 255
    assert np.allclose(mean, floats.mean((0, 1, 2)), rtol=1e-12)
    assert np.allclose(std, floats.std((0, 1, 2)), rtol=1e-12)
    assert not np.allclose(mean, mean_std(images)[0], rtol=1e-6)  # the rows have a say


def test_a_constant_channel_has_deviation_one():
    images = np.zeros((4, 2, 2, 2), np.uint8)
    images[..., 1] = 51
    images[0, 0, 0, 0] = 255
    mean, std = mean_std(images)
    assert mean.tolist() == [1 / 16, 0.2]
    assert std[1] == 1.0
    assert np.isclose(std[0], (15 / 256) ** 0.5)


def test_the_mean_of_nothing():
    with pytest.raises(DataError, match="at least one image, got none"):
        mean_std(np.zeros((0, 2, 2, 3), np.uint8))
