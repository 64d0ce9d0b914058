"""The device's augmentation is the reference's, picture by picture; torchvision and plain loops say what it should be."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from striate.data.augment import AugmentConfig, Draws, apply, draw, mix
from striate.engines.pytorch import augment as device

ALL = {
    "flip": True,
    "crop": 2,
    "rotate": 20.0,
    "scale": 0.2,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.2,
    "cutout": 1,
    "erase": 0.5,
    "mixup": 0.3,
    "cutmix": 1.0,
    "strength": 6.0,
}


def pictures(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Noise, with some gray pixels and some flat images, where hue and contrast have nothing to divide by."""
    images = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    images[:, ::2] = images[:, ::2, :, :1]
    images[::5] = images[::5, :1, :1]
    return images


def fitting(shape: tuple[int, ...], kinds: dict) -> AugmentConfig:
    """`kinds` without those that images of this shape are too small for."""
    side = min(shape[1:3])
    too_large = {kind for kind, limit in (("crop", side - 1), ("cutout", side)) if kinds.get(kind, 0) > limit}
    return AugmentConfig(**{kind: value for kind, value in kinds.items() if kind not in too_large})


def none(count: int, **changes) -> Draws:
    """Draws that change nothing but what is given."""
    return dataclasses.replace(Draws(np.zeros(count, bool), np.zeros((count, 2), np.int64)), **changes)


def assert_equal_pictures(images: np.ndarray, draws: Draws, other: Draws | None = None) -> None:
    """The device's picture with `other` draws is the reference's with `draws`; the same ones, unless a fault is planted."""
    before = images.copy()
    done = device.augment(torch.from_numpy(images), draws if other is None else other).numpy()
    assert done.dtype == np.uint8
    assert np.array_equal(done, apply(images, draws)), "the device's picture is another one"
    assert np.array_equal(images, before)


@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (4, 7, 11, 1), (1, 1, 1, 3), (64, 32, 32, 3)])
@pytest.mark.parametrize("kinds", [{}, *({key: value} for key, value in ALL.items()), {"flip": True, "crop": 4}, ALL])
def test_both_applications_give_the_same_picture(shape, kinds):
    assert_equal_pictures(pictures(shape), draw(1, 2, np.arange(shape[0]), shape[1:], fitting(shape, kinds)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
    kinds=st.sets(st.sampled_from(sorted(ALL))),
    seed=st.integers(0, 2**32),
)
def test_both_applications_agree_whatever_is_asked_for(shape, kinds, seed):
    draws = draw(seed, 1, np.arange(shape[0]), shape[1:], fitting(shape, {kind: ALL[kind] for kind in kinds}))
    assert_equal_pictures(pictures(shape, seed), draws)


FAULTS = {
    "flips": lambda flips: ~flips,
    "shifts": lambda shifts: shifts + 1,
    "affine": lambda affine: affine + np.float32(0.02),
    "color_jitter": lambda jitter: jitter + np.float32(0.02),
    "levels": lambda levels: levels - np.array([0, 1, 40], np.float32),
    "fill_boxes": lambda boxes: boxes + 1,
    "fill_colors": lambda colors: colors + np.uint8(1),
}


@pytest.mark.parametrize("field", FAULTS)
def test_a_planted_fault_is_found(field):
    """The comparison above can fail, whichever array is a little off."""
    kinds = {"flip": True, "crop": 2} if field in ("flips", "shifts") else ALL
    draws = draw(0, 0, np.arange(20), (8, 8, 3), AugmentConfig(**kinds))
    wrong = dataclasses.replace(draws, **{field: FAULTS[field](getattr(draws, field))})
    with pytest.raises(AssertionError, match="another one"):
        assert_equal_pictures(pictures((20, 8, 8, 3)), draws, wrong)


def test_a_shift_by_hand():
    """Down by one, right by none: the first row turns black, the others move."""
    image = np.arange(1, 5, dtype=np.uint8).reshape(1, 2, 2, 1)
    moved = apply(image, Draws(np.array([False]), np.array([[1, 0]])))
    assert moved[0, :, :, 0].tolist() == [[0, 0], [1, 2]]
    mirrored = apply(image, Draws(np.array([True]), np.array([[0, 1]])))
    assert mirrored[0, :, :, 0].tolist() == [[0, 2], [0, 4]]


def test_levels_by_hand():
    """Stretched from 10..110 to 0..255; 4 bits dropped; from level 100 on inverted."""
    image = np.array([10, 60, 110, 110], np.uint8).reshape(1, 2, 2, 1)
    for row, expected in (
        ((1, 8, 256), [0, 128, 255, 255]),
        ((0, 4, 256), [0, 48, 96, 96]),
        ((0, 8, 100), [10, 60, 145, 145]),
    ):
        draws = none(1, levels=np.array([row], np.float32))
        assert apply(image, draws).ravel().tolist() == expected
        assert_equal_pictures(image, draws)


def test_resampling_without_a_turn_is_the_copy_of_pixels():
    """Where a matrix only mirrors and shifts, the four neighbors are one, and nothing is rounded."""
    images = pictures((30, 9, 12, 3))
    order = np.arange(30)
    copied = draw(3, 0, order, (9, 12, 3), AugmentConfig(flip=True, crop=3))
    resampled = draw(3, 0, order, (9, 12, 3), AugmentConfig(flip=True, crop=3, rotate=1e-30))
    assert resampled.affine is not None
    assert np.array_equal(apply(images, copied), apply(images, resampled))


@pytest.mark.parametrize("column", [0, 1, 2, 3], ids=["brightness", "contrast", "saturation", "hue"])
def test_colors_are_torchvision_s(column):
    from torchvision.transforms.v2 import functional

    judge = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    factors = np.random.default_rng(1).uniform(-0.5, 0.5, 40) if column == 3 else np.linspace(0, 2, 40)
    images = pictures((40, 9, 7, 3))
    colors = np.tile(np.array([1, 1, 1, 0], np.float32), (40, 1))
    colors[:, column] = factors
    done = apply(images, none(40, color_jitter=colors))
    planes = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    theirs = [judge[column](plane, float(factor)) for plane, factor in zip(planes, factors, strict=True)]
    expected = (torch.stack(theirs) * 255).permute(0, 2, 3, 1).numpy()
    # Half a level is rounding; contrast's mean is of whole levels here, and of fractions there.
    assert np.abs(done - expected).max() < 0.6


@pytest.mark.parametrize("size", [(16, 16), (11, 18)])
def test_turns_and_scales_are_torchvision_s(size):
    from torchvision.transforms.v2 import InterpolationMode, functional

    images = pictures((30, *size, 3))
    draws = draw(5, 0, np.arange(30), (*size, 3), AugmentConfig(rotate=60.0, scale=0.4))
    place = {kind: _uniform(5, kind, 30) for kind in ("rotate", "scale")}
    degrees, scales = -60 + 120 * place["rotate"], 0.6 + 0.8 * place["scale"]
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    theirs = [
        functional.affine(
            plane, -float(angle), [0.0, 0.0], float(scale), [0.0, 0.0], interpolation=InterpolationMode.BILINEAR
        )
        for plane, angle, scale in zip(planes, degrees, scales, strict=True)
    ]
    rotated = functional.rotate(planes[0], float(degrees[0]), interpolation=InterpolationMode.BILINEAR)
    expected = torch.stack(theirs).permute(0, 2, 3, 1).numpy()
    assert np.abs(apply(images, draws) - expected).max() < 0.6
    only = draw(5, 0, np.arange(1), (*size, 3), AugmentConfig(rotate=60.0))
    assert np.abs(apply(images[:1], only)[0] - rotated.permute(1, 2, 0).numpy()).max() < 0.6


@pytest.mark.parametrize("operation", ["rotate", "shear-x", "shear-y", "move-x", "move-y"])
def test_the_geometry_of_strong_operations_is_torchvision_s(operation):
    from torchvision.transforms.v2 import InterpolationMode, functional

    from striate.data.augment import randaugment

    images = pictures((2, 12, 15, 3))
    signs = np.zeros((2, len(randaugment.OPERATIONS)))
    signs[:, randaugment.OPERATIONS.index(operation)] = (1, -1)
    operations = randaugment.operations(signs, 10, (12, 15, 3))
    done = apply(images, none(2, affine=operations.affine[:, :2].astype(np.float32)))
    lean = float(np.degrees(np.arctan(randaugment.SHEAR)))
    for image, its, sign in zip(images, done, (1, -1), strict=True):
        asked = {
            "rotate": (-30.0 * sign, [0, 0], [0.0, 0.0]),
            "shear-x": (0.0, [0, 0], [-lean * sign, 0.0]),
            "shear-y": (0.0, [0, 0], [0.0, -lean * sign]),
            "move-x": (0.0, [7 * sign, 0], [0.0, 0.0]),
            "move-y": (0.0, [0, 5 * sign], [0.0, 0.0]),
        }
        angle, move, shear = asked[operation]
        plane = torch.from_numpy(image).permute(2, 0, 1).float()
        theirs = functional.affine(plane, angle, move, 1.0, shear, interpolation=InterpolationMode.BILINEAR)
        assert np.abs(its - theirs.permute(1, 2, 0).numpy()).max() < 0.6


@pytest.mark.parametrize("operation", ["autocontrast", "posterize", "solarize"])
def test_levels_are_torchvision_s(operation):
    from torchvision.transforms.v2 import functional

    images = pictures((20, 6, 6, 3)) // 3 + 20
    row = {"autocontrast": (1, 8, 256), "posterize": (0, 5, 256), "solarize": (0, 8, 60)}[operation]
    done = apply(images, none(20, levels=np.tile(np.array([row], np.float32), (20, 1))))
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    theirs = {
        "autocontrast": lambda: torch.stack([functional.autocontrast(plane) for plane in planes]),
        "posterize": lambda: functional.posterize(planes, 5),
        "solarize": lambda: functional.solarize(planes, 60),
    }[operation]()
    apart = np.abs(done.astype(int) - theirs.permute(0, 2, 3, 1).numpy()).max()
    assert apart <= (1 if operation == "autocontrast" else 0)  # torchvision cuts off where we round


def _uniform(seed: int, kind: str, count: int) -> np.ndarray:
    from striate.core.seeds import stream

    return stream(seed, "augment", kind, 0).random((count, 1))[:, 0]


def test_boxes_are_those_of_a_loop_over_pixels():
    draws = draw(0, 0, np.arange(50), (9, 12, 3), AugmentConfig(cutout=5, erase=0.6))
    images = pictures((50, 9, 12, 3))
    expected = images.copy()
    for n, row, column in np.ndindex(50, 9, 12):
        for (top, bottom, left, right), fill in zip(draws.fill_boxes[n], draws.fill_colors[n], strict=True):
            if top <= row < bottom and left <= column < right:
                expected[n, row, column] = fill
    assert np.array_equal(apply(images, draws), expected)


@pytest.mark.parametrize("kinds", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1.0}])
def test_mixing_is_that_of_a_loop_over_pixels(kinds):
    draws = draw(0, 0, np.arange(40), (6, 7, 3), AugmentConfig(**kinds))
    rng = np.random.default_rng(0)
    own, partners = rng.normal(size=(2, 40, 6, 7, 3)).astype(np.float32)
    expected = own.copy()
    for n, row, column in np.ndindex(40, 6, 7):
        top, bottom, left, right = draws.cutmix_boxes[n]
        weight = 0 if top <= row < bottom and left <= column < right else draws.mixup_lambda[n]
        expected[n, row, column] = own[n, row, column] * weight + partners[n, row, column] * (1 - weight)
    assert np.array_equal(mix(own, partners, draws), expected)
    done = device.mix(torch.from_numpy(own), torch.from_numpy(partners), draws)
    assert np.array_equal(done.numpy(), expected)
    # Of pictures that are 1 everywhere, mixed with 0, the mean is the share.
    shares = mix(np.ones_like(own), np.zeros_like(own), draws).mean((1, 2, 3))
    assert np.abs(shares - draws.label_lambda).max() < 1e-5
