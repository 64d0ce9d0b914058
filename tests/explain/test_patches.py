"""Exciting patches: equal to a brute-force scan, and each one runs again to its stated value at its stated place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import DataError, NetworkError
from striate.core.seeds import stream
from striate.explain import images as image_sets
from striate.explain.images import ImageSet
from striate.explain.patches import GOLDEN, Ranking, cut, excitement, excitements, patch, patches, trace_back, verify
from striate.explain.traced import TracedNetwork
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build

SIDE, COUNT, SHOWN = 12, 70, 5
NETWORKS = {
    "plain": NetworkConfig(layers="conv6 pool conv8k3s2 conv8", norm="batch"),
    "residual": NetworkConfig(layers="conv4 pool res(conv4 conv4) res(conv8s2 conv8)", norm="batch"),
    "grouped, dilated": NetworkConfig(layers="conv6 conv6g3d2 avgpool conv12g6"),
    "one fc": NetworkConfig(layers="conv4 pool fc16"),
}
LAYERS = {"plain": "conv3", "residual": "res2", "grouped, dilated": "conv3", "one fc": "fc1"}


@pytest.fixture(scope="module", params=[3, 1])
def images(request):
    """Random images; some are twice there, so that there are ties."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, SIDE, SIDE, request.param), np.uint8)
    pixels[50:60] = pixels[10:20]
    classes = ("ant", "bee", "cat")
    return ImageSet(
        images=pixels,
        labels=rng.integers(0, 3, COUNT),
        mean=np.full(request.param, 0.5),
        std=np.full(request.param, 0.25),
        classes=classes,
    )


@pytest.fixture(params=NETWORKS)
def case(request, images):
    module = build(NETWORKS[request.param], images.input_shape, 3, seed=1).double()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(generator=torch.Generator().manual_seed(0))
            part.weight.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    network = TracedNetwork(module, images.input_shape)
    return network, images, network.unit_node(LAYERS[request.param]).name


def brute_force(network, images, node, sign, keys=None):
    """For each channel (value, image, position), sorted: from every value that there is, one image at a time."""
    rows = []
    for index in images.indices:
        value = network.values(images.normalized(np.array([index])), [node])[node][0].float().numpy()
        for channel, channel_map in enumerate(value.reshape(len(value), *value.shape[1:])):
            best = None
            for position in np.ndindex(channel_map.shape):
                if keys is None:
                    key = sign * channel_map[position]
                else:
                    turned = (keys[index][position] + np.float32(GOLDEN) * np.float32(channel)) % np.float32(1)
                    key = turned if channel_map[position] > 0 else -1
                if key >= (-np.inf if keys is None else 0) and (best is None or key > best[0]):
                    best = (key, int(index), position, channel_map[position])
            if best:
                rows.append((channel, -best[0], *best[1:]))
    rows.sort(key=lambda row: row[:3])
    channels = range(len(value))
    return [[row[2:] for row in rows if row[0] == channel] for channel in channels]


def check(ranking: Ranking, expected, shown):
    for channel, rows in enumerate(expected):
        found = [
            (int(ranking.images[channel, rank]), tuple(map(int, ranking.positions[channel, rank])))
            for rank in range(ranking.count(channel))
        ]
        assert found == [(image, position) for image, position, _ in rows[:shown]]
        # A batch of another size sums in another order.
        values = [value for *_, value in rows[:shown]]
        np.testing.assert_allclose(ranking.values[channel, : len(found)], values, rtol=1e-6, atol=1e-7)


def test_the_strongest_and_the_weakest_equal_a_brute_force_scan(case):
    network, images, node = case
    found = excitement(network, images, node, shown=SHOWN)
    strongest = brute_force(network, images, node, 1)
    check(found.strongest, strongest, SHOWN)
    check(found.weakest, brute_force(network, images, node, -1), SHOWN)
    for channel, rows in enumerate(strongest):
        labels = images.labels[[image for image, *_ in rows]]
        assert found.classes[channel].tolist() == [(labels == label).sum() for label in range(3)]
    assert found.images_seen == COUNT


def test_the_random_ones_are_a_sample_of_all_positions_above_zero(case):
    network, images, node = case
    found = excitement(network, images, node, shown=SHOWN)
    sides = network.graph[node].output_shape[1:]
    keys = (
        stream(0, "random patches").random((COUNT, int(np.prod(sides, dtype=int))), np.float32).reshape(COUNT, *sides)
    )
    check(found.random, brute_force(network, images, node, 1, keys), SHOWN)
    assert all(
        (found.random.values[channel, : found.random.count(channel)] > 0).all() for channel in range(found.channels)
    )


def test_the_size_of_the_batches_changes_nothing(case, monkeypatch):
    network, images, node = case
    one = excitement(network, images, node, shown=SHOWN)
    monkeypatch.setattr(image_sets, "VALUES_AT_ONCE", 7 * SIDE * SIDE * images.input_shape[0])
    other = excitement(network, images, node, shown=SHOWN)
    for name in ("strongest", "weakest", "random"):
        np.testing.assert_array_equal(getattr(one, name).images, getattr(other, name).images)
        np.testing.assert_array_equal(getattr(one, name).positions, getattr(other, name).positions)


def shown_patches(network, images, node):
    found = excitement(network, images, node, shown=SHOWN)
    rankings = (found.strongest, found.weakest, found.random)
    return [
        one
        for ranking in rankings
        for channel in range(found.channels)
        for one in patches(network, images, node, ranking, channel)
    ]


def test_every_patch_runs_again_to_its_value_with_noise_around_it(case):
    """In float64: so no pixel outside the box has a say."""
    network, images, node = case
    shown = shown_patches(network, images, node)
    result = verify(network, images, node, shown)
    assert (result.patches, result.reproduced) == (len(shown), len(shown))
    assert result.difference < 1e-6  # the stated value is float32
    assert str(result).startswith(f"{len(shown)} of {len(shown)} reproduce to 1e-05 (largest difference ")


def test_a_box_that_is_too_small_or_a_wrong_place_is_found(images):
    network = TracedNetwork(build(NETWORKS["plain"], images.input_shape, 3, seed=1), images.input_shape)
    shown = shown_patches(network, images, "conv2_norm")
    inner = [one for one in shown if one.inside.all()]
    assert inner
    smaller = [replace(one, box=((one.box[0][0] + 1, one.box[0][1]), one.box[1])) for one in inner]
    assert verify(network, images, "conv2_norm", smaller).reproduced < len(inner)
    elsewhere = [replace(one, unit=(one.unit[0], 0, 0)) for one in inner if one.unit[1:] != (0, 0)]
    assert verify(network, images, "conv2_norm", elsewhere).reproduced < len(elsewhere)


def test_what_lies_in_the_padding_is_marked():
    picture = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1)
    pixels, inside = cut(picture, ((-1, 2), (1, 5)))
    assert pixels[..., 0].tolist() == [[0, 0, 0, 0], [2, 3, 0, 0], [5, 6, 0, 0]]
    assert inside.tolist() == [[False] * 4, [True, True, False, False], [True, True, False, False]]


def test_a_field_of_the_whole_image_is_the_image(images):
    network = TracedNetwork(
        build(NetworkConfig(layers="conv4k5 pool conv4k5 pool conv4k5"), images.input_shape, 3, seed=0),
        images.input_shape,
    )
    whole = patch(network, images, "conv3", 3, (0, 1, 1), 1.0)
    assert (whole.status, whole.inside.all()) == ("whole image", True)
    np.testing.assert_array_equal(whole.pixels, images.images[3])


def test_a_patch_has_the_pixels_of_its_box(images):
    network = TracedNetwork(
        build(NetworkConfig(layers="conv4 pool conv4"), images.input_shape, 3, seed=0), images.input_shape
    )
    corner = patch(network, images, "conv2", 3, (0, 0, 0), 1.0)
    assert corner.box == ((0, 5), (0, 5))
    assert (corner.pixels.shape[:2], corner.status) == ((8, 8), "exact")
    np.testing.assert_array_equal(corner.pixels[corner.inside].reshape(5, 5, -1), images.images[3, :5, :5])


def test_a_unit_is_traced_back_through_every_layer(case):
    """In each earlier map the gradient's support lies in the box, and reaches its edges on some image."""
    network, images, node = case
    shape = network.graph[node].output_shape
    unit = (0, *(side // 2 for side in shape[1:]))
    steps = trace_back(network, node, unit)
    assert steps[-1].node == "input"
    assert steps[-1].box == network.fields.box(node, unit)
    pixels = images.normalized(images.indices[:40]).double().requires_grad_()
    with network.running():
        values = network.differentiable(pixels, [*(step.node for step in steps), node])
        total = values[node][(slice(None), *unit)].sum()
        gradients = torch.autograd.grad(total, [values[step.node] for step in steps])
    for step, gradient in zip(steps, gradients, strict=True):
        support = gradient.ne(0).any(0).any(0).nonzero()
        low, high = support.min(0).values, support.max(0).values + 1
        assert all(a <= x and y <= b for (a, b), x, y in zip(step.box, low.tolist(), high.tolist(), strict=True))
        # A relu or a max pool may hide an edge on these images.
        assert all(b - a - 2 <= y - x for (a, b), x, y in zip(step.box, low.tolist(), high.tolist(), strict=True))


def test_the_most_excited_unit_of_a_class(images):
    network = TracedNetwork(build(NETWORKS["plain"], images.input_shape, 3, seed=1), images.input_shape)
    bees = images.of_class("bee")
    assert len(bees) == (images.labels == 1).sum()
    found = excitement(network, bees, "conv2", shown=2)
    channel = found.most_excited_channel()
    values = network.values(images.normalized(bees.indices), ["conv2_norm"])["conv2_norm"]
    assert found.strongest.values[channel, 0] == pytest.approx(values.max().item(), rel=1e-6)
    assert images.labels[found.strongest.images[channel, 0]] == 1
    assert found.classes[:, [0, 2]].sum() == 0


def test_units_are_chosen_by_their_selectivity(images):
    network = TracedNetwork(build(NETWORKS["plain"], images.input_shape, 3, seed=1), images.input_shape)
    found = replace(
        excitement(network, images, "conv1"),
        classes=np.array([[5, 5, 0], [9, 1, 0], [4, 3, 3], [9, 0, 1], [6, 2, 2], [6, 4, 0]]),
    )
    assert found.typical_channels() == (1, 5, 2)


def test_progress_is_told(images):
    network = TracedNetwork(build(NETWORKS["plain"], images.input_shape, 3, seed=1), images.input_shape)
    shares = []
    together = excitements(network, images, ["conv1", "conv2"], progress=shares.append)
    assert shares[-1] == 1
    assert [found.node for found in together] == ["conv1_norm", "conv2_norm"]
    np.testing.assert_array_equal(together[1].random.images, excitement(network, images, "conv2").random.images)


def test_what_has_no_patches_is_refused(images):
    volume = TracedNetwork(build(NetworkConfig(layers="conv4 conv4", dims=3), (3, 6, 6), 3, seed=0), (3, 6, 6))
    small = replace(
        images,
        images=np.zeros((2, 6, 6, 3), np.uint8),
        labels=np.zeros(2, int),
        mean=np.full(3, 0.5),
        std=np.full(3, 0.5),
    )
    with pytest.raises(
        NetworkError, match="layer 'conv2': its values are no 2D map over the image, so they have no patches"
    ):
        excitement(volume, small, "conv2")
    with pytest.raises(DataError, match=r"^class 'dog': there is none; the classes are ant, bee, cat"):
        images.of_class("dog")
    broken = build(NETWORKS["plain"], images.input_shape, 3, seed=1)
    broken.conv1.weight.data.fill_(np.nan)
    with pytest.raises(NetworkError, match="layer 'conv3_norm': gives values that are not finite numbers"):
        excitement(TracedNetwork(broken, images.input_shape), images, "conv3")


class Planted(nn.Module):
    """A convolution, and one value added at one place of its second channel."""

    def __init__(self, value, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2, 1)
        self.plant = nn.Parameter(torch.zeros(1, 2, SIDE, SIDE))
        self.plant.data[0, 1, 3, 5] = value

    def forward(self, x):
        return self.conv(x) + self.plant


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(value, images):
    channels = images.input_shape[0]
    planted = TracedNetwork(Planted(value, channels), images.input_shape)
    with pytest.raises(NetworkError, match="gives values that are not finite numbers, so none is the strongest"):
        excitement(planted, images, planted.graph.output)
    sound = TracedNetwork(Planted(1.0, channels), images.input_shape)
    assert excitement(sound, images, sound.graph.output).channels == 2
