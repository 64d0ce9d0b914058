"""Features: the input of the last layer with weights."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.explain import features as module
from striate.explain.features import _flat, _last_input, features
from striate.runs.records import DataFacts

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


class Backwards(nn.Module):
    """Its last layer is defined first."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.last(self.conv(images).relu().mean((2, 3)))


@pytest.fixture
def of(monkeypatch):
    """`features` of a module in place of a run's."""

    def call(network, images):
        facts = DataFacts(classes=("a", "b"), shape=(3, 8, 8), mean=MEAN, std=STD)
        run = type("Run", (), {"summary": type("Summary", (), {"data": facts})})
        monkeypatch.setattr(module, "trained_module", lambda folder: (network, (3, 8, 8)))
        monkeypatch.setattr(module.reader, "read", lambda folder: run)
        return features("run", images)

    return call


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (600, 8, 8, 3), np.uint8)


def test_they_are_the_input_of_the_layer_that_is_called_last(of, images):
    network = Backwards()
    found = of(network, images)
    pixels = (images / 255 - np.array(MEAN)) / np.array(STD)
    with torch.no_grad():
        expected = network.conv(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).relu().mean((2, 3)).numpy()
    assert found.shape == (600, 4)
    assert np.allclose(found, expected, atol=1e-5)
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_maps_and_tokens_are_averaged():
    values = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert torch.equal(_flat(nn.Conv2d(3, 5, 1), values), values.mean((2, 3)))
    tokens = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(_flat(nn.Linear(4, 5), tokens), tokens.mean(1))


def test_a_projection_keeps_cosines():
    generator = torch.Generator().manual_seed(1)
    many = torch.randn(6, 4000, generator=generator) + 0.5
    few = _flat(nn.Linear(4000, 2), many)
    assert few.shape == (6, module.MOST)
    cosine = nn.functional.cosine_similarity
    assert torch.allclose(cosine(few[:3], few[3:]), cosine(many[:3], many[3:]), atol=0.15)


def test_hooks_are_removed_when_the_network_fails():
    network = Backwards()
    with pytest.raises(RuntimeError, match="expected input"), _last_input(network):
        network(torch.zeros(1, 5, 8, 8))
    assert not any(layer._forward_pre_hooks for layer in network.modules())


@pytest.mark.parametrize(
    ("network", "side", "message"),
    [(Backwards(), 9, "takes images of"), (nn.Flatten(), 8, "no linear or convolution layer")],
)
def test_what_does_not_fit_is_refused(of, network, side, message):
    with pytest.raises(NetworkError, match=message):
        of(network, np.zeros((2, side, side, 3), np.uint8))
