"""Near duplicates, planted under known transformations: recall by transformation, and the precision."""

import numpy as np
import pytest

from striate.audit.candidates import candidates, describe
from striate.audit.near import near_pairs
from striate.audit.read import shrink
from striate.audit.register import register, start
from striate.audit.spectra import mirrored, whitened
from tests.audit.planted import TRANSFORMATIONS, bases, transformed

EACH = 12  # planted copies of each transformation
# Of the EACH copies at least so many are found. A caption changes too many pixels, and a small cut-out shows too little.
REACHED = dict.fromkeys(TRANSFORMATIONS, EACH) | {
    "caption": 0,
    "cropped to 70 %": EACH // 2,
    "turned by 3 degrees": EACH - 1,
}


@pytest.fixture(scope="module")
def found():
    """The pairs found among 400 random pictures and a copy of some under each transformation, and the planted pairs."""
    pictures = bases(400)
    planted = {}
    for number, name in enumerate(TRANSFORMATIONS):
        for index in range(number * EACH, (number + 1) * EACH):
            planted[index, len(pictures)] = name
            pictures.append(transformed(pictures[index], name))
    small = np.stack([shrink(picture) for picture in pictures])
    pairs = near_pairs(small, np.arange(len(small) * 32, dtype=np.uint16).reshape(-1, 32).view(np.uint8))
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)), planted, pairs


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_copies_under_a_known_transformation_are_found(found, name):
    pairs, planted, _ = found
    assert sum(pair in pairs for pair, kind in planted.items() if kind == name) >= REACHED[name]


def test_pictures_without_likeness_are_not_paired(found):
    pairs, planted, _ = found
    assert len(pairs - set(planted)) <= 0.01 * len(pairs)


def test_mirrored_copies_are_said_to_be_mirrored(found):
    _, planted, pairs = found
    said = dict(
        zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.mirrored.tolist(), strict=True)
    )
    for pair, name in planted.items():
        if pair in said:
            assert said[pair] == ("mirrored" in name), name


def test_a_shift_and_a_scale_are_measured():
    side = 32
    rows, columns = np.mgrid[:side, :side].astype(np.float32)

    def bump(y, x, width):
        return (200 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / width**2)).astype(np.float32)[None]

    first, second = bump(15.5, 15.5, 5) + bump(10, 20, 3), bump(17.5, 14.5, 5) + bump(12, 19, 3)
    laid = register(first, second, start(first, second))
    assert laid.shift[0] == pytest.approx([2, -1], abs=0.1)
    assert laid.scale[0] == pytest.approx([0, 0], abs=0.02)


def test_the_spectrum_of_a_mirror_image_is_the_mirrored_spectrum():
    levels = np.random.default_rng(0).random((3, 32, 32), np.float32) * 255
    assert np.allclose(mirrored(whitened(levels), 32), whitened(levels[:, :, ::-1]), atol=1e-5)


def test_the_nearest_neighbors_are_those_of_every_cosine():
    """Blocks, tiles and groups change nothing: checked against the plain product, mirrored pictures apart."""
    small = np.random.default_rng(0).integers(0, 256, (1500, 32, 32, 1), np.uint8)
    even, odd = describe(small)
    plain, turned = even @ even.T + odd @ odd.T, even @ even.T - odd @ odd.T
    best = np.maximum(plain, turned)
    np.fill_diagonal(best, -2)
    nearest = best.argsort(1)[:, -3:]
    expected = {
        (min(i, int(j)), max(i, int(j))): turned[i, j] > plain[i, j] for i, row in enumerate(nearest) for j in row
    }
    found = candidates(small, 3)
    assert expected == dict(
        zip(zip(found.first.tolist(), found.second.tolist(), strict=True), found.mirrored.tolist(), strict=True)
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_no_error(count):
    small = np.stack([shrink(picture) for picture in bases(count)])
    assert len(near_pairs(small, np.arange(count * 32, dtype=np.uint8).reshape(-1, 32)).first) == 0


def test_blank_pictures_have_no_near_duplicates():
    small = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None, None], 32, 1).repeat(32, 2).repeat(3, 3)
    assert len(near_pairs(small, np.arange(40 * 32, dtype=np.uint16).reshape(40, -1).view(np.uint8)).first) == 0
