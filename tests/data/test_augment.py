"""The draws: what decides them, their distribution, and that one kind does not change another."""

import dataclasses

import numpy as np
import pytest

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.augment import AugmentConfig, boxes, check_fits, draw, randaugment

SHAPE = (12, 16, 3)
KINDS = {
    "flip": True,
    "crop": 4,
    "rotate": 20.0,
    "scale": 0.2,
    "brightness": 0.4,
    "contrast": 1.5,
    "saturation": 0.4,
    "hue": 0.1,
    "cutout": 5,
    "erase": 0.5,
    "mixup": 0.3,
    "cutmix": 1.0,
    "strength": 5.0,
}
ARRAYS = {
    "flips": {"flip"},
    "shifts": {"crop"},
    "affine": {"flip", "crop", "rotate", "scale", "strength"},
    "color_jitter": {"brightness", "contrast", "saturation", "hue", "strength"},
    "levels": {"strength"},
    "fill_boxes": {"cutout", "erase"},
    "fill_colors": {"cutout", "erase"},
    "mixup_lambda": {"mixup", "cutmix"},
    "cutmix_boxes": {"mixup", "cutmix"},
    "label_lambda": {"mixup", "cutmix"},
}


def drawn(count: int = 100, epoch: int = 0, seed: int = 0, **kinds):
    return draw(seed, epoch, np.arange(count), SHAPE, AugmentConfig(**kinds))


def equal_arrays(draws, other) -> list[str]:
    """The arrays in which two draws are equal."""
    names = [field.name for field in dataclasses.fields(draws)]
    return [name for name in names if np.array_equal(getattr(draws, name), getattr(other, name))]


def test_flips_and_shifts_are_those_they_always_were():
    """The numbers of runs that are done must not change."""
    draws = drawn(50, epoch=3, seed=7, flip=True, crop=4)
    assert np.array_equal(draws.flips, stream(7, "augment", "flip", 3).random(50) < 0.5)
    assert np.array_equal(draws.shifts, stream(7, "augment", "crop", 3).integers(-4, 5, (50, 2)))
    assert draws.affine is None


def test_seed_epoch_and_position_decide_the_draws():
    """A shorter epoch has the same first rows; another epoch or seed has others."""
    long, short = drawn(100, **KINDS), drawn(50, **KINDS)
    assert equal_arrays(long[slice(0, 50)], short) == list(ARRAYS)
    assert equal_arrays(long[np.arange(50)], short) == list(ARRAYS)
    assert equal_arrays(long, drawn(100, epoch=1, **KINDS)) == []
    assert equal_arrays(long, drawn(100, seed=1, **KINDS)) == []


def test_every_setting_draws_something():
    """What a study file may say of augmentation is done: no key is without effect."""
    assert set(KINDS) == set(AugmentConfig.model_fields)
    for kind, value in KINDS.items():
        assert len(equal_arrays(drawn(**{kind: value}), drawn())) < len(ARRAYS), kind


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_changes_no_other(kind):
    """Without the kind, every array that it has no part in stays bit for bit."""
    without = drawn(**{name: value for name, value in KINDS.items() if name != kind})
    assert set(equal_arrays(drawn(**KINDS), without)) >= {name for name, kinds in ARRAYS.items() if kind not in kinds}


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation", "hue"])
def test_one_color_changes_no_other(kind):
    alone, all_four = drawn(**{kind: KINDS[kind]}), drawn(brightness=0.4, contrast=1.5, saturation=0.4, hue=0.1)
    column = ["brightness", "contrast", "saturation", "hue"].index(kind)
    assert np.array_equal(alone.color_jitter[:, column], all_four.color_jitter[:, column])
    assert np.delete(alone.color_jitter, column, 1).std(0).tolist() == [0, 0, 0]


def test_flips_and_shifts_are_fair():
    draws = drawn(100_000, flip=True, crop=4)
    assert abs(draws.flips.mean() - 0.5) < 0.01
    counts = np.bincount(draws.shifts.ravel() + 4, minlength=9)
    assert len(counts) == 9
    assert abs(counts / counts.sum() - 1 / 9).max() < 0.005


def test_alternate_flips_are_the_image_s_own():
    """Each image is mirrored in every second epoch, wherever the order puts it; in the first, half of them are."""
    flips = np.empty((6, 1000), bool)
    for epoch in range(6):
        order = np.random.default_rng(epoch).permutation(1000)
        flips[epoch, order] = draw(0, epoch, order, SHAPE, AugmentConfig(flip="alternate")).flips
    assert (flips[1:] ^ flips[:-1]).all()
    assert 0.45 < flips[0].mean() < 0.55


@pytest.mark.parametrize(
    ("kinds", "column", "low", "high"),
    [
        ({"brightness": 0.4}, 0, 0.6, 1.4),
        ({"contrast": 1.5}, 1, 0.0, 2.5),
        ({"saturation": 1.0}, 2, 0.0, 2.0),
        ({"hue": 0.1}, 3, -0.1, 0.1),
    ],
)
def test_color_factors_fill_their_range_evenly(kinds, column, low, high):
    factors = drawn(20_000, **kinds).color_jitter[:, column]
    counts = np.histogram(factors, 10, (low, high))[0]
    assert counts.sum() == 20_000
    assert abs(counts / 20_000 - 0.1).max() < 0.01


def test_turns_and_scales_fill_their_range():
    matrices = drawn(20_000, rotate=30.0, scale=0.2).affine[:, :, :2]
    degrees = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    scales = 1 / np.sqrt(np.linalg.det(matrices))
    for values, low, high in ((degrees, -30.001, 30.001), (scales, 0.7999, 1.2001)):
        counts = np.histogram(values, 10, (low, high))[0]
        assert counts.sum() == 20_000
        assert abs(counts / 20_000 - 0.1).max() < 0.01


def test_a_cutout_is_a_square_around_any_pixel_cut_at_the_edges():
    top, bottom, left, right = drawn(20_000, cutout=5).fill_boxes[:, 0].T
    height, width = bottom - top, right - left
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 12, 0, 16)
    assert ((height == 5) | (top == 0) | (bottom == 12)).all()
    assert height.min() == width.min() == 3  # 5 around the first or the last pixel
    assert abs((height == 5).mean() - 8 / 12) < 0.01  # rows 2 to 9 of 12
    assert not drawn(10, cutout=5).fill_colors.any()


def test_an_erased_box_is_as_in_the_paper():
    draws = draw(0, 0, np.arange(20_000), (40, 40, 3), AugmentConfig(erase=0.25))
    top, bottom, left, right = draws.fill_boxes[:, 0].T
    area = (bottom - top) * (right - left)
    on = area > 0
    assert abs(on.mean() - 0.25) < 0.01
    assert (top.min(), left.min()) == (0, 0)
    assert (bottom.max(), right.max()) == (40, 40)
    share = area[on] / 1600
    assert 0.01 < share.min() < 0.03
    assert 0.38 < share.max() < 0.42  # whole pixels
    aspect = ((bottom - top) / np.maximum(right - left, 1))[on]
    assert boxes.ASPECT[0] * 0.8 < aspect.min() < boxes.ASPECT[0] * 1.2
    assert abs(np.median(np.log(aspect))) < 0.05
    assert len(np.unique(draws.fill_colors[:, 0, 0])) == 256


def test_mixup_and_cutmix_share_the_images():
    """Half and half when both are on; the share of an image with a box is what is left of its pixels."""
    both = drawn(20_000, mixup=0.4, cutmix=1.0)
    top, bottom, left, right = both.cutmix_boxes.T
    area = (bottom - top) * (right - left) / (12 * 16)
    assert abs((both.mixup_lambda < 1).mean() - 0.5) < 0.02
    assert not area[both.mixup_lambda < 1].any()
    assert np.allclose(both.label_lambda, np.where(both.mixup_lambda < 1, both.mixup_lambda, 1 - area))
    assert abs(drawn(20_000, mixup=1.0).label_lambda.mean() - 0.5) < 0.01


def test_a_cutmix_box_has_the_area_that_was_drawn_unless_an_edge_cuts_it():
    draws = draw(0, 0, np.arange(20_000), (100, 100, 1), AugmentConfig(cutmix=1.0))
    own_share = stream(0, "augment", "cutmix", 0).beta(1.0, 1.0, 20_000)
    top, bottom, left, right = draws.cutmix_boxes.T
    whole = (top > 0) & (bottom < 100) & (left > 0) & (right < 100)
    assert whole.sum() > 1000
    assert np.abs(draws.label_lambda - own_share)[whole].max() < 0.015
    assert (draws.label_lambda >= own_share - 0.015).all()


def test_every_image_gets_two_operations_and_each_comes_equally_often():
    table = randaugment.draw_signs(stream(0, "x").random((24_000, 4)))
    assert (np.abs(table).sum(1) == 2).all()
    assert abs(np.abs(table).mean(0) - 2 / len(randaugment.OPERATIONS)).max() < 0.01
    assert abs(table.sum(0) / np.abs(table).sum(0)).max() < 0.06


def test_strength_is_a_share_of_the_strongest():
    """At 10 a solarized image is inverted whole but for black, and a posterized one has 16 levels; at 0 nothing is drawn."""
    table = np.ones((1, len(randaugment.OPERATIONS)))
    assert randaugment.operations(table, 10, SHAPE).levels.tolist() == [[1, 4, 1]]
    assert randaugment.operations(table, 5, SHAPE).levels.tolist() == [[1, 6, 128]]
    assert np.allclose(randaugment.operations(table, 5, SHAPE).color_factors, 1.45)
    assert drawn(strength=0).affine is None


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"cutout": 13}, "augment.cutout: must be at most 12, the shorter side of these images, got 13; use a smaller"),
        ({"crop": 12}, "augment.crop: must be under 12, the shorter side of these images, got 12; use a smaller one"),
    ],
)
def test_what_is_too_large_for_the_images_is_refused(kinds, message):
    with pytest.raises(DataError, match=message):
        drawn(**kinds)
    with pytest.raises(DataError, match=message):
        check_fits(AugmentConfig(**kinds), SHAPE)


def test_what_is_off_is_not_there():
    draws = drawn()
    assert [field.name for field in dataclasses.fields(draws) if getattr(draws, field.name) is not None] == [
        "flips",
        "shifts",
    ]
    assert not draws.flips.any()
    assert not draws.shifts.any()
