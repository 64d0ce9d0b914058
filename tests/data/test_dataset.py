"""The sealed test part."""

import dataclasses

import pytest

from striate.core.errors import DataError
from striate.data import Dataset, Part


@pytest.fixture
def dataset(pictures):
    return Dataset(
        name="made",
        classes=("a", "b", "c"),
        train=Part(*pictures(6)),
        validation=None,
        test=Part(*pictures(3)),
        digest="0",
    )


def test_the_test_part_opens_with_a_reason_only(dataset):
    assert len(dataset.open_test("the final measurement")) == 3
    for reason in ("", "  "):
        with pytest.raises(DataError, match="'made': opening it needs a reason"):
            dataset.open_test(reason)


def test_nothing_shows_the_test_part_by_accident(dataset):
    assert not hasattr(dataset, "test")
    assert "_test" not in repr(dataset)
    assert dataset.test_size == 3


def test_shape_is_that_of_the_images(dataset):
    assert (dataset.height, dataset.width, dataset.channels) == (8, 8, 3)


def test_a_dataset_cannot_be_changed(dataset):
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        dataset.name = "other"


def test_a_part_has_one_label_an_image(pictures):
    images, labels = pictures(6)
    with pytest.raises(DataError, match="one label an image, got 6 and 5"):
        Part(images, labels[:5])
