"""The two engines agree on every layer, and a layer that is wrong shows."""

import pytest

from striate.core.errors import NetworkError
from striate.engines.compare import PRECISIONS, compare
from striate.engines.scratch.optimized.layers import Dense
from striate.nets import NetworkConfig

LAYERS = "conv4k2psame:batch pool avgpool2s1p1 res(conv4:gelu conv8s2):elu drop0.2 flatten~3 fc6:layer,sigmoid"
LIMITS = {"float32": 1e-5, "float64": 1e-12}


def differences(comparisons):
    return [
        (comparison.layer, precision, name, difference)
        for comparison in comparisons
        for precision in PRECISIONS
        for name, difference in getattr(comparison, precision).difference.items()
    ]


def test_the_engines_agree_on_every_layer():
    comparisons = compare(NetworkConfig(layers=LAYERS), (3, 9, 9), 5)
    names = [comparison.layer for comparison in comparisons]
    assert names[:3] == ["conv1", "conv1_norm", "pool1"]
    assert {"res1", "flatten1", "fc2"} <= set(names)
    assert [row for row in differences(comparisons) if not row[3] <= LIMITS[row[1]]] == []
    assert ("res1", "float32", "shortcut.conv1.weight") in {row[:3] for row in differences(comparisons)}
    assert comparisons[0].output == (9, 9, 4)
    for comparison in comparisons:
        assert min(comparison.float32.numpy_ms, comparison.float64.torch_ms) > 0


def test_frozen_layers_are_compared_too():
    comparisons = compare(NetworkConfig(layers="conv4 pool fc6", norm="batch", freeze="up-to conv1"), (1, 6, 6), 3)
    assert "weight" in comparisons[0].float64.difference


def test_a_wrong_layer_shows(monkeypatch):
    right = Dense.backward
    monkeypatch.setattr(Dense, "backward", lambda self, g, context: right(self, g, context) * 1.01)
    comparisons = compare(NetworkConfig(layers="conv2 fc3"), (3, 6, 6), 4)
    wrong = {(layer, name) for layer, _, name, difference in differences(comparisons) if difference > 1e-3}
    assert wrong == {("fc1", "input"), ("fc2", "input")}


def test_a_3d_network_is_refused():
    with pytest.raises(NetworkError, match="numpy has no 3D conv"):
        compare(NetworkConfig(layers="conv2", dims=3), (3, 6, 6), 4)
