"""What the network sees: pixels normalized as the formula says, in the layout that convolutions want."""

import numpy as np
import pytest
import torch

from striate.recipes import Recipe
from striate.training.device import choose
from striate.training.feed import Feed


def make_feed(precision: str, channels: int = 3):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5, channels), np.uint8)
    mean, std = np.linspace(0.3, 0.5, channels), np.linspace(0.2, 0.3, channels)
    setup = choose(Recipe(precision=precision), "cpu", 1)
    return images, mean, std, Feed(images, np.arange(6), mean, std, setup)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_normalized_as_the_formula_says(channels):
    images, mean, std, feed = make_feed("float32", channels)
    places = np.array([4, 0, 2])
    x, y = feed.batch(places)
    expected = ((images[places] / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert np.abs(x.numpy() - expected).max() < 1e-6
    assert y.tolist() == [4, 0, 2]


def test_bf16_is_rounded_once_at_the_end():
    images, mean, std, feed = make_feed("bf16")
    x, _ = feed.batch(np.arange(6))
    expected = torch.from_numpy(((images / 255 - mean) / std).astype(np.float32)).to(torch.bfloat16).permute(0, 3, 1, 2)
    assert x.dtype == torch.bfloat16
    assert (x != expected).float().mean() < 0.01  # the last bit of float32 may tip a few


def test_images_come_channels_last():
    assert make_feed("float32")[3].batch(np.arange(6))[0].is_contiguous(memory_format=torch.channels_last)


def test_the_split_in_order_is_the_split():
    _, _, _, feed = make_feed("float32")
    batches = list(feed.in_order(4))
    assert torch.equal(torch.cat([x for x, _ in batches]), feed.batch(np.arange(6))[0])
    assert torch.cat([y for _, y in batches]).tolist() == list(range(6))


def test_a_read_only_array_is_taken():
    images = np.zeros((2, 4, 4, 1), np.uint8)
    images.setflags(write=False)
    Feed(images, np.zeros(2), np.zeros(1), np.ones(1), choose(Recipe(), "cpu", 1)).batch(np.arange(2))
