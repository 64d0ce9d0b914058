"""A first layer that whitens, held against what whitening means: torch's convolution of the images gives unit covariance."""

import re

import numpy as np
import pytest
import torch

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig, init, whitening
from striate.nets.pytorch.build import build
from striate.nets.summary.summarize import count_parameters
from striate.nets.whitening import whitening_weights

SHAPE = (3, 12, 10)


@pytest.fixture(scope="module")
def images():
    """Smooth noise, in which neighbors and channels go together as in photographs."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 15, 13, 1)) + 0.5 * rng.normal(size=(300, 15, 13, 3))
    smooth = sum(noise[:, i : i + 12, j : j + 10] for i in range(4) for j in range(4))
    return np.clip(128 + 15 * smooth, 0, 255).astype(np.uint8)


def outputs(layers, images, weights=None):
    """What the first layer gives for the images, one row a pixel."""
    mean, std = images.mean((0, 1, 2)) / 255, images.std((0, 1, 2)) / 255
    network = NetworkConfig(layers=layers, bias=False, activation="none")
    module = build(network, SHAPE, 10, 0)
    arrays = (
        whitening_weights(network, SHAPE, 10, images, np.arange(len(images)), mean, std) if weights is None else weights
    )
    assert not module.load_state_dict({name: torch.from_numpy(w) for name, w in arrays.items()}, strict=False)[1]
    x = torch.from_numpy(((images / 255 - mean) / std).transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        y = module.get_submodule("conv1")(x)
    return y.movedim(1, -1).reshape(-1, y.shape[1]).double()


def whitens(y):
    """Unit variance and nothing in common, among one of each pair of filters."""
    half = y[:, : y.shape[1] // 2]
    return bool(torch.allclose(half.T @ half / len(half), torch.eye(half.shape[1]).double(), atol=0.05))


@pytest.mark.parametrize("layers", ["conv24k2p0:whiten", "conv16k2p0:whiten", "conv18k(1,3)p0:whiten conv4"])
def test_the_outputs_are_white_and_come_in_pairs(layers, images):
    y = outputs(layers, images)
    assert whitens(y)
    half = y.shape[1] // 2
    assert torch.equal(y[:, half:], -y[:, :half])


def test_other_filters_are_found_not_to_whiten(images):
    assert not whitens(outputs("conv24k2p0:orthogonal", images, weights={}))


def made(images, rows=None, layers="conv24k2p0:whiten"):
    rows = np.arange(len(images)) if rows is None else rows
    return whitening_weights(NetworkConfig(layers=layers), SHAPE, 10, images, rows, np.full(3, 0.5), np.full(3, 0.2))


def test_an_axis_has_the_sign_that_its_largest_number_is_positive(images):
    (weight,) = made(images).values()
    half = weight[:12].reshape(12, -1)
    assert (half[np.arange(12), np.abs(half).argmax(1)] > 0).all()
    assert weight.dtype == np.float32


def test_only_the_training_rows_are_used(images):
    noise = np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)
    both = np.concatenate([noise, images])
    (expected,), (weight,) = made(images).values(), made(both, np.arange(len(noise), len(both))).values()
    assert np.allclose(weight, expected, rtol=1e-4, atol=1e-5)


def test_rows_that_lie_class_by_class_are_all_used(images, monkeypatch):
    """Of so many images a part is enough, but a part of every class."""
    flat = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None, None], 12, 1).repeat(10, 2).repeat(3, 3)
    both = np.concatenate([images, np.repeat(flat, 3, 0)])

    def strongest(rows):
        return np.linalg.norm(*[weight[0] for weight in made(both, rows).values()])

    expected = strongest(np.arange(len(both)))
    monkeypatch.setattr("striate.nets.whitening.SAMPLE_PIXELS", 300 * 12 * 10)
    assert strongest(np.arange(len(both))) == pytest.approx(expected, rel=0.1)
    assert strongest(np.arange(300)) != pytest.approx(expected, rel=0.2)


def test_the_sample_has_a_random_stream_of_its_own():
    rows = np.arange(1000, 2000)
    sample = whitening._sample(rows, 10)
    assert sample.tolist() == [1074, 1078, 1167, 1268, 1537, 1547, 1827, 1878, 1952, 1969]
    assert sample.tolist() != np.sort(rows[init.permutation(0, 1000)[:10]]).tolist()
    assert whitening._sample(rows, 5000).tolist() == rows.tolist()


def test_the_size_of_a_chunk_is_irrelevant(images, monkeypatch):
    (whole,) = made(images).values()
    monkeypatch.setattr("striate.nets.whitening.CHUNK_NUMBERS", 5000)
    (parts,) = made(images).values()
    assert np.allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_without_one_there_is_nothing_to_set(images):
    assert made(images, layers="conv24k2p0") == {}
    foreign = NetworkConfig(torchvision="resnet18")
    assert whitening_weights(foreign, SHAPE, 10, images, np.arange(9), np.zeros(3), np.ones(3)) == {}


@pytest.mark.parametrize("width", [0.3, 2])
def test_a_wider_network_has_the_same_first_layer(width):
    module = build(NetworkConfig.model_validate({"layers": "speedrun", "width": width}), (3, 32, 32), 10, 0)
    assert module.get_submodule("conv1").out_channels == 24
    assert module.get_submodule("conv2").out_channels == round(64 * width)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": "conv8 conv24k2p0:whiten"}, "layer conv2: init whiten is for the first layer"),
        ({"layers": "conv24k2p0", "init": "whiten"}, "layer fc1: init whiten is for the first layer"),
        ({"layers": "res(conv3k1:whiten)"}, "layer res1.conv1: init whiten is for the first layer"),
        ({"layers": "conv25k2p0:whiten"}, "axis of a 3x2x2 patch, so an even number up to 24; got 25"),
        ({"layers": "conv26k2p0:whiten"}, "so an even number up to 24; got 26"),
        ({"layers": "conv6d2:whiten"}, "without groups or dilation"),
        ({"layers": "conv6g3:whiten"}, "without groups or dilation"),
        ({"layers": "conv6:whiten", "dims": 3}, "is for a 2D conv layer"),
        ({"layers": "conv6k(3,11):whiten"}, "a kernel of 3x11 is larger than 12x10; take a smaller one"),
    ],
)
def test_what_cannot_whiten_is_refused(fields, message):
    with pytest.raises(NetworkError, match=re.escape(message)):
        count_parameters(NetworkConfig.model_validate(fields), SHAPE, 10)
