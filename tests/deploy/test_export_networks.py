"""Every named network, a network of each family of torchvision, 3D ones and modules of one's own as files for other programs.

`make slow` runs it. The weights are those before training, with the statistics of norms moved away from where they begin.
"""

import sys

import numpy as np
import pytest
import torch

from striate.deploy import export as exporting
from striate.deploy.trained import Rule, Trained
from striate.nets import NetworkConfig
from striate.nets.pytorch import weights
from striate.nets.pytorch.build import build
from striate.nets.zoo import NETWORKS
from striate.recipes import Recipe

TORCHVISION = {
    "alexnet": 64, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64, "maxvit_t": 224,
    "mnasnet0_5": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "regnet_x_400mf": 64, "regnet_y_400mf": 64, "resnet18": 64,
    "resnext50_32x4d": 64, "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64, "swin_t": 64, "swin_v2_t": 64, "vgg11_bn": 64,
    "vit_b_16": 224, "wide_resnet50_2": 64,
}  # fmt: skip
OWN = """
import torch
from torch import nn
class Attention(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.fc = nn.Linear(16, classes)
    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.fc(self.attention(x, x, x, need_weights=False)[0].mean(1))
class Recurrent(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.lstm = nn.LSTM(96, 8, batch_first=True)
        self.fc = nn.Linear(8, classes)
    def forward(self, x):
        return self.fc(self.lstm(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])
class Branches(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 5, padding=2)
        self.fc = nn.Linear(8 * 16, classes)
    def forward(self, x):
        x = torch.cat([self.a(x).relu_(), torch.nn.functional.gelu(self.b(x))], 1)
        return self.fc(torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))
"""
MORE = {
    "every activation": {"layers": "conv4:leaky_relu conv4:elu conv4:gelu conv4:silu conv4:softplus conv4:sigmoid conv4:tanh fc8"},
    "every norm": {"layers": "conv8:batch conv8:group conv8:layer conv8:instance fc8", "norm_groups": 4},
    "overlapping pools and strides": {"layers": "conv4k5s2 pool(3,2) conv4k3d2 avgpool3s2 conv4k1"},
    "three axes": {"layers": "conv4 pool(2,2,1) conv8 avgpool(2,2,1) conv8 fc8", "dims": 3, "norm": "batch"},
    "three axes, averaged": {"layers": "conv4 res(conv4 conv4) pool(2,2,1) conv8", "dims": 3, "norm": "batch", "head": "gap"},
}  # fmt: skip


def compared(network, shape, classes, kind, folder):
    """The largest difference of a probability between the network and its file, and the classes that differ."""
    module = build(network.replace(pretrained=False), shape, classes, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_mean"):
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
        if name.endswith("running_var"):
            tensor.mul_(1 + torch.rand(tensor.shape, generator=generator))
    weights.save(module, folder / "w.safetensors")
    names = tuple(map(str, range(classes)))
    trained = Trained(
        folder=folder, weights=folder / "w.safetensors", network=network, recipe=Recipe(precision="float32"), environment=None,
        rule=Rule(names, shape, shape[1], 16), mean=(0.4,) * shape[0], std=(0.3,) * shape[0], digest="", seed=0, fingerprint="", code="",
    )  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (3, *shape[1:], shape[0]), dtype=np.uint8)
    expected = exporting._write(trained, kind, images, folder / "model", print)
    given = exporting._from_disk(kind, folder / "model", images)
    one = exporting._from_disk(kind, folder / "model", images[:1])  # the batch is not fixed
    np.testing.assert_allclose(one, given[:1], atol=1e-5)
    return float(np.abs(expected - given).max()), int((expected.argmax(1) != given.argmax(1)).sum())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_named_networks(name, kind, tmp_path):
    network, known = NetworkConfig(layers=name), NETWORKS[name]
    difference, wrong = compared(network, known.input_shape, known.classes, kind, tmp_path)
    assert difference < exporting.TOLERANCE
    assert wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", TORCHVISION)
def test_families_of_torchvision(name, kind, tmp_path):
    shape = (3, TORCHVISION[name], TORCHVISION[name])
    difference, wrong = compared(NetworkConfig(torchvision=name), shape, 7, kind, tmp_path)
    assert difference < exporting.TOLERANCE
    assert wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", MORE)
def test_parts_of_networks(name, kind, tmp_path):
    difference, wrong = compared(NetworkConfig.model_validate(MORE[name]), (3, 32, 32), 7, kind, tmp_path)
    assert difference < exporting.TOLERANCE
    assert wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["Attention", "Recurrent", "Branches"])
def test_modules_of_ones_own(name, kind, tmp_path, monkeypatch):
    (tmp_path / "mine_to_export.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    network = NetworkConfig.model_validate({"import": f"mine_to_export:{name}"})
    difference, wrong = compared(network, (3, 32, 32), 7, kind, tmp_path)
    sys.modules.pop("mine_to_export", None)
    assert difference < exporting.TOLERANCE
    assert wrong == 0
