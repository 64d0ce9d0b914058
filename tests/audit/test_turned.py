"""Pictures that are alike only when one is turned: what pixels miss, features choose and pixels check."""

import numpy as np
import pytest
from PIL import Image

from striate.audit import near
from striate.audit.audit import Features
from striate.audit.near import distinct_candidates, looked_at_closely, turned_pairs
from striate.audit.read import shrink
from striate.audit.turned import Map, free_start, register_freely, resample
from tests.audit.planted import bases, turned

DEGREES = (-20, -12, 10, 15)
COUNT = 120


def turn(picture, degrees, mirrored):
    return np.asarray(turned(Image.fromarray(picture[:, ::-1] if mirrored else picture), degrees))


@pytest.fixture(scope="module")
def planted():
    """Small pictures with turned copies of the first ones behind them, the planted pairs, and all candidates."""
    pictures, pairs = bases(COUNT, seed=3), {}
    for index, degrees in enumerate(3 * DEGREES):
        pairs[index, len(pictures)] = index >= 2 * len(DEGREES)
        pictures.append(turn(pictures[index], degrees, mirrored=pairs[index, len(pictures)]))
    small = np.stack([shrink(picture) for picture in pictures])
    found = distinct_candidates(small, np.arange(len(small) * 32, dtype=np.uint16).reshape(-1, 32).view(np.uint8))
    close = looked_at_closely(small, found)
    return small, pairs, found, close.select(close.score >= near.THRESHOLD)


def keys(pairs):
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def features_of(small, pairs, sign=1):
    """Random ones, nearly the same for the two pictures of a planted pair; with -1 nearly opposite ones."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(small), 64)).astype(np.float32)
    for first, second in pairs:
        values[second] = sign * values[first] + 0.3 * rng.normal(size=64)
    return values


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Comparisons with turns are slow: as many as the test needs."""
    monkeypatch.setattr(near, "MIN_TURNED", 60)
    monkeypatch.setattr(near, "TURNED_SHARE", 0.0)


def test_turned_copies_are_missed_without_features_and_found_with_them(planted):
    small, pairs, found, close = planted
    reached = set(pairs) & keys(found)
    assert len(reached) >= len(pairs) - 2  # the colors have nearly all among their candidates
    assert not reached & keys(close)
    more = turned_pairs(small, found, close, features_of(small, pairs))
    assert len(reached & keys(more)) >= len(reached) - 1
    assert not keys(more) - set(pairs)
    for pair, is_mirrored in zip(zip(more.first, more.second, strict=True), more.mirrored, strict=True):
        assert pairs[pair] == is_mirrored


def test_features_choose_which_pairs_are_compared(planted):
    """The planted fault: features that call the copies unlike."""
    small, pairs, found, close = planted
    assert not keys(turned_pairs(small, found, close, features_of(small, pairs, sign=-1)))


def test_images_without_features_are_left_out(planted):
    small, pairs, found, close = planted
    values = features_of(small, pairs)
    values[COUNT:] = np.nan
    assert not keys(turned_pairs(small, found, close, values))
    values[:] = np.nan
    assert not keys(turned_pairs(small, found, close, values))


def test_an_affine_map_is_measured():
    angle, shift = np.deg2rad(13), np.array([2.0, -1.5])
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    second = np.stack([shrink(picture)[..., 1] for picture in bases(6, seed=9)]).astype(np.float32)
    inverse = np.linalg.inv(matrix)
    true = Map(
        np.repeat(inverse[None], 6, 0).astype(np.float32), np.repeat(-(inverse @ shift)[None], 6, 0).astype(np.float32)
    )
    first = resample(second[:, None], Map(np.repeat(matrix[None], 6, 0), np.repeat(shift[None], 6, 0)), 0)[0][:, 0]
    laid, is_mirrored = free_start(first.astype(np.float32), second)
    laid = register_freely(first.astype(np.float32), second, laid)
    assert not is_mirrored.any()
    assert np.allclose(laid.matrix, matrix, atol=0.02)
    assert np.allclose(laid.shift, shift, atol=0.2)
    assert not np.allclose(true.matrix, matrix, atol=0.02)  # the direction matters


def test_features_are_matched_by_the_hash_of_the_image_that_the_run_had():
    class Table:
        trained = (b"a" * 32, b"b" * 32, b"c" * 32)

    hashes = np.frombuffer(b"c" * 32 + b"a" * 32, np.uint8).reshape(-1, 32)
    found = Features(hashes, np.array([[3.0], [1.0]], np.float32)).of(Table)
    assert found[[0, 2]].tolist() == [[1.0], [3.0]]
    assert np.isnan(found[1]).all()
