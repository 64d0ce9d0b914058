"""What the network sees: pixels normalized as the formula says, in the layout that convolutions want."""

import numpy as np
import pytest
import torch

from striate.data import augment, batch_slices
from striate.engines.pytorch.device import choose
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.recipes import Recipe


def make_data(precision: str, channels: int = 3):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5, channels), np.uint8)
    mean, std = np.linspace(0.3, 0.5, channels), np.linspace(0.2, 0.3, channels)
    setup = choose(Recipe(precision=precision), "cpu", 1)
    return images, mean, std, DeviceDataset(images, np.arange(6), mean, std, setup)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_normalized_as_the_formula_says(channels):
    images, mean, std, data = make_data("float32", channels)
    places = np.array([4, 0, 2])
    batch = data.batch(places)
    x, y = batch.images, batch.labels
    expected = ((images[places] / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert np.abs(x.numpy() - expected).max() < 1e-6
    assert y.tolist() == [4, 0, 2]


def test_bf16_is_rounded_once_at_the_end():
    images, mean, std, data = make_data("bf16")
    x = data.batch(np.arange(6)).images
    expected = torch.from_numpy(((images / 255 - mean) / std).astype(np.float32)).to(torch.bfloat16).permute(0, 3, 1, 2)
    assert x.dtype == torch.bfloat16
    assert (x != expected).float().mean() < 0.01  # the last bit of float32 may tip a few


def test_images_come_channels_last():
    assert make_data("float32")[3].batch(np.arange(6)).images.is_contiguous(memory_format=torch.channels_last)


def test_the_split_in_order_is_the_split():
    _, _, _, data = make_data("float32")
    batches = list(data.in_order(4))
    assert torch.equal(torch.cat([x for x, _ in batches]), data.batch(np.arange(6)).images)
    assert torch.cat([y for _, y in batches]).tolist() == list(range(6))


def test_a_read_only_array_is_taken():
    images = np.zeros((2, 4, 4, 1), np.uint8)
    images.setflags(write=False)
    DeviceDataset(images, np.zeros(2), np.zeros(1), np.ones(1), choose(Recipe(), "cpu", 1)).batch(np.arange(2))


@pytest.mark.parametrize(
    "kinds",
    [{}, {"flip": True, "crop": 1}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1.0, "strength": 7.0, "hue": 0.1}],
)
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_what_comes_out_does_not_depend_on_where_the_batches_are_cut(kinds, size):
    _, _, _, data = make_data("float32")
    order = np.array([3, 1, 5, 0, 4, 2])
    draws = augment.draw(0, 0, order, data.shape, augment.AugmentConfig(**kinds))
    whole = data.batch(order, draws)
    parts = [data.batch(order, draws, places) for places in batch_slices(6, size)]
    for name in ("images", "labels", "partners", "label_lambda"):
        if getattr(whole, name) is not None:
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert (whole.partners is None) == (whole.label_lambda is None) == ("cutmix" not in kinds)


def test_the_partner_is_the_next_in_the_order_as_it_is_augmented():
    images, mean, std, data = make_data("float32")
    order = np.array([3, 1, 5, 0, 4, 2])
    kinds = {"flip": True, "crop": 1, "mixup": 0.5, "cutmix": 1.0}
    draws = augment.draw(0, 0, order, data.shape, augment.AugmentConfig(**kinds))
    batch = data.batch(order, draws, slice(2, 6))
    done = (augment.apply(images[order], draws) / 255 - mean) / std
    expected = augment.mix(done, np.roll(done, -1, axis=0), draws)[2:]
    assert np.abs(batch.images.permute(0, 2, 3, 1).numpy() - expected).max() < 1e-5
    assert batch.labels.tolist() == [5, 0, 4, 2]
    assert batch.partners.tolist() == [0, 4, 2, 3]  # the partner of the last is the first
    assert batch.label_lambda.tolist() == draws.label_lambda[2:].tolist()
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
