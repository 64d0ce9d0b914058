"""`striate engines`: a table or JSON of both engines."""

import json

import numpy as np

from striate.cli import engines


def test_it_prints_a_table_or_json(capsys):
    engines.engines(["conv2 pool fc3"], "1x6x6", 3, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith("layer")
    assert out.count("conv1 ") == 2
    engines.engines(["conv2 pool fc3"], "1x6x6", 3, as_json=True)
    layers = json.loads(capsys.readouterr().out)["layers"]
    names = ["conv1", "pool1", "conv1_activation", "flatten1", "fc1", "fc1_activation", "fc2"]
    assert [layer["layer"] for layer in layers] == names
    assert np.isfinite(layers[0]["float64"]["difference"]["forward"])
    assert set(layers[0]["float32"]) == {"difference", "numpy_ms", "torch_ms"}
