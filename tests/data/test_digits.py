"""The dataset that comes with the installation."""

import numpy as np
from sklearn.datasets import load_digits

from striate.data import DataConfig, load


def test_digits_need_no_file_and_never_change():
    dataset = load(DataConfig(source="digits"))
    assert (len(dataset.train), dataset.test_size, dataset.classes) == (1438, 359, tuple("0123456789"))
    assert (dataset.height, dataset.width, dataset.channels) == (32, 32, 1)
    # Golden: another digest means that every result with digits before is about other images.
    assert dataset.digest.startswith("56697373c7ee")


def test_digits_are_those_of_scikit_learn():
    dataset = load(DataConfig(source="digits"))
    both = [dataset.train, dataset.open_test("to count all")]
    assert sum(np.bincount(part.labels) for part in both).tolist() == np.bincount(load_digits().target).tolist()
    # An image averaged back to 8 x 8 is near its original, and the mean over all images is far more exact.
    mean = np.concatenate([part.images for part in both]).reshape(-1, 8, 4, 8, 4).mean((0, 2, 4)) * 16 / 255
    assert np.abs(mean - load_digits().images.mean(0)).max() < 1.5
