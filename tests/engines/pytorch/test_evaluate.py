"""The evaluation of a network: views at test time and dead units, against networks small enough to check by arithmetic."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.engines.pytorch.device import choose
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.evaluate import dead_unit_counter, evaluate
from striate.recipes import Recipe, views


def data_of(images):
    setup = choose(Recipe(precision="float32"), "cpu", 1)
    channels = images.shape[-1]
    return DeviceDataset(images, np.zeros(len(images), np.int64), np.zeros(channels), np.ones(channels), setup)


class Corner(nn.Module):
    """Two logits: the pixels in the first and in the last column of the first row."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], x[:, 0, 0, -1]], 1)


def test_mirrored_views_are_averaged():
    images = np.zeros((1, 3, 3, 1), np.uint8)
    images[0, 0, 0], images[0, 0, 2] = 255, 51
    assert evaluate(Corner(), data_of(images)).logits.tolist() == [[pytest.approx(1.0), pytest.approx(0.2)]]
    assert evaluate(Corner(), data_of(images), "flip").logits.tolist() == [[pytest.approx(0.6), pytest.approx(0.6)]]


def test_shifted_views_have_half_the_weight_between_them():
    """Up-left brings the pixel at (1, 1) to the corner, down-right repeats the edge: 1/2 * 0 + 1/4 * 1 + 1/4 * 0, mirrored 0."""
    images = np.zeros((1, 3, 4, 1), np.uint8)
    images[0, 1, 1] = 255
    first, _ = evaluate(Corner(), data_of(images), "flip+shift").logits[0]
    assert first == pytest.approx(0.125)


@pytest.mark.parametrize("test_time", ["none", "flip", "flip+shift"])
def test_weights_of_the_views_sum_to_one(test_time):
    assert sum(weight for weight, _, _ in views(test_time)) == 1.0


def dead_unit_net():
    """Two units on one pixel: relu(a) is dead where a <= 0, relu(1 - a) where a >= 1."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, -1.0])[:, None, None, None])
        net[0].bias.copy_(torch.tensor([0.0, 1.0]))
    return net


@pytest.mark.parametrize(("pixels", "silent"), [([0], 1), ([255], 1), ([0, 255], 0), ([100], 0)])
def test_a_unit_is_dead_when_it_is_silent_on_every_image(pixels, silent):
    images = np.array(pixels, np.uint8).reshape(-1, 1, 1, 1)
    assert evaluate(dead_unit_net(), data_of(images)).dead_units == silent


@pytest.mark.parametrize("channels", [2, 31, 33])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dead_units_of_maps_are_counted_in_every_layout(channels, layout):
    net, values = nn.ReLU(), -torch.rand(3, channels, 4, 5)
    values[2, ::2, 3, 4] = 0.5  # one pixel of one image, in every other channel
    with dead_unit_counter(net) as counter:
        net(values.contiguous(memory_format=layout))
    assert counter.count() == channels // 2


def test_a_network_without_units_that_can_die_has_no_number():
    assert evaluate(Corner(), data_of(np.zeros((1, 2, 2, 1), np.uint8))).dead_units is None


def test_no_hook_is_left_behind_by_a_failure_either():
    net = dead_unit_net()
    with pytest.raises(ZeroDivisionError, match="planted"), dead_unit_counter(net):
        raise ZeroDivisionError("planted")
    assert not net[1]._forward_hooks


@pytest.mark.parametrize("is_training", [True, False])
def test_the_mode_comes_back_after_a_failure_too(is_training):
    """A network that refuses its images leaves no network in evaluation mode behind."""
    images = np.zeros((2, 3, 3, 1), np.uint8)
    broken = nn.Sequential(nn.ReLU(), nn.Conv2d(5, 1, 1)).train(is_training)
    with pytest.raises(RuntimeError, match="channels"):
        evaluate(broken, data_of(images))
    assert broken.training == is_training


def test_a_layer_that_is_called_twice_is_two():
    """The first call sees -1 and is silent, the second sees +1."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return (self.relu(x.mean((2, 3)) * 0 - 1) + self.relu(x.mean((2, 3)) * 0 + 1)).repeat(1, 2)

    assert evaluate(Twice(), data_of(np.zeros((600, 16, 16, 1), np.uint8))).dead_units == 1
