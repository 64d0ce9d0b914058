"""On a GPU the same numbers, and every image that is given on the CPU finds its way there."""

import numpy as np
import pytest
import torch

from striate.explain.attribution import METHODS, Options, Target, attribute
from striate.explain.images import ImageSet
from striate.explain.patches import excitement, patches, verify
from striate.explain.score import scores
from striate.explain.traced import TracedNetwork
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build

pytestmark = pytest.mark.gpu
SHAPE = (3, 16, 16)


def network_on(device):
    config = NetworkConfig(layers="conv8 pool res(conv8 conv8) fc16", norm="batch")
    return TracedNetwork(build(config, SHAPE, 3, seed=0).double().to(device), SHAPE)


@pytest.mark.parametrize("method", METHODS)
def test_attribution_is_the_same(method):
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    arrays = [
        attribute(network_on(device), image, Target(unit=(1,)), method, Options(steps=8)).array
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(*arrays, rtol=1e-9, atol=1e-12)


def test_patches_are_the_same():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 16, 16, 3), np.uint8)
    images = ImageSet(
        images=pixels,
        labels=rng.integers(0, 3, 80),
        mean=np.full(3, 0.5),
        std=np.full(3, 0.25),
        classes=("a", "b", "c"),
    )
    cpu, gpu = (excitement(network_on(device), images, "conv1") for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(cpu.strongest.images, gpu.strongest.images)
    np.testing.assert_array_equal(cpu.random.positions, gpu.random.positions)
    shown = patches(network_on("cuda"), images, gpu.node, gpu.strongest, 0)
    assert verify(network_on("cuda"), images, gpu.node, shown).reproduced == len(shown)
    assert scores(network_on("cuda"), images, gpu, [0])[0].pairs > 0
