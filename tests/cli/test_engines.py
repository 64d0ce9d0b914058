"""`striate engines`: the two engines agree on every layer, and a layer that is wrong shows."""

import json

import numpy as np
import pytest

from striate.cli import engines
from striate.core.errors import NetworkError
from striate.engines.scratch.optimized import layers as others
from striate.nets import NetworkConfig

LAYERS = "conv4k2psame:batch pool avgpool2s1p1 res(conv4:gelu conv8s2):elu drop0.2 flatten~3 fc6:layer,sigmoid"
LIMITS = {"float32": 1e-5, "float64": 1e-12}


def differences(rows):
    return [
        (row["layer"], p, name, apart) for row in rows for p in LIMITS for name, apart in row[p]["difference"].items()
    ]


def test_the_engines_agree_on_every_layer():
    rows = engines.compare(NetworkConfig(layers=LAYERS), (3, 9, 9), 5)
    names = [row["layer"] for row in rows]
    assert names[:3] == ["conv1", "conv1_norm", "pool1"]
    assert {"res1", "flatten1", "fc2"} <= set(names)
    found = differences(rows)
    assert [one for one in found if not one[3] <= LIMITS[one[1]]] == []
    assert ("res1", "float32", "shortcut.conv1.weight") in {one[:3] for one in found}
    assert all(row[p][key] > 0 for row in rows for p in LIMITS for key in ("numpy_ms", "torch_ms"))


def test_a_wrong_layer_shows(monkeypatch):
    right = others.Dense.backward
    monkeypatch.setattr(others.Dense, "backward", lambda self, g, trip: right(self, g, trip) * 1.01)
    wrong = [
        one for one in differences(engines.compare(NetworkConfig(layers="conv2 fc3"), (3, 6, 6), 4)) if one[3] > 1e-3
    ]
    assert {one[:1] + one[2:3] for one in wrong} == {("fc1", "input"), ("fc2", "input")}


def test_it_prints_a_table_or_json(capsys):
    engines.engines(["conv2 pool fc3"], "1x6x6", 3, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith("layer")
    assert out.count("conv1 ") == 2
    engines.engines(["conv2 pool fc3"], "1x6x6", 3, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in found["layers"]] == [
        "conv1",
        "pool1",
        "conv1_activation",
        "flatten1",
        "fc1",
        "fc1_activation",
        "fc2",
    ]
    assert np.isfinite(found["layers"][0]["float64"]["difference"]["forward"])


def test_a_3d_network_is_refused():
    with pytest.raises(NetworkError, match="numpy has no 3D conv"):
        engines.compare(NetworkConfig(layers="conv2", dims=3), (3, 6, 6), 4)
