"""What a study file freezes: names without torch are torch's names, and what cannot be frozen is refused before training."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import nn

from striate.core.errors import NetworkError
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.freezing import frozen_parameters, parameter_names
from striate.nets.pytorch import weights
from striate.nets.pytorch.build import build
from striate.nets.resolve import resolve
from striate.nets.summary.summarize import count_parameters
from tests.nets.random_networks import networks

SHAPE = (4, 8, 8)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same.")


def check_names(network, shape=SHAPE, classes=4, names_of=parameter_names):
    try:
        layers = resolve(network, shape, classes)
    except NetworkError:
        assume(False)
    module = build(network.replace(freeze="none"), shape, classes, seed=0)
    assert list(names_of(layers)) == [name for name, _ in module.named_parameters()]


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_the_names_and_their_order_are_torchs(network):
    check_names(network)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"report-c-transfer", "report-e"}))
def test_the_names_of_the_named_networks_are_torchs(name):
    named = NETWORKS[name]
    check_names(NetworkConfig(**named.config), named.input_shape, named.classes)


def test_names_in_another_order_would_be_found():
    with pytest.raises(AssertionError, match="At index 0 diff"):
        check_names(NetworkConfig(layers="res(conv4 conv8)"), names_of=lambda layers: sorted(parameter_names(layers)))


@pytest.mark.parametrize("freeze", ["none", "all-but-head", "up-to conv1", "up-to res1", "up-to res1.conv2_norm"])
def test_without_torch_the_same_is_frozen(freeze):
    network = NetworkConfig(layers="conv4 res(conv8s2 conv8) fc8", norm="batch", freeze=freeze)
    module = build(network, SHAPE, 4, seed=0)
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen_parameters(freeze, resolve(network, SHAPE, 4)) == frozen


@pytest.fixture
def wrong_weights(tmp_path):
    weights.save(nn.Linear(3, 4), tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": "conv4 conv4", "freeze": "up-to conv3"}, "no layer 'conv3' with parameters; did you mean 'conv[12]'"),
        ({"layers": "conv4", "freeze": "up-to fc1"}, "freeze: 'up-to fc1' leaves nothing to learn"),
        ({"layers": "conv4 gap", "head": "none", "freeze": "all-but-head"}, "leaves nothing to learn"),
        ({"torchvision": "squeezenet1_1", "freeze": "up-to features.99"}, "no layer 'features.99'.* did you mean 'features.9'"),
        ({"torchvision": "squeezenet1_1", "freeze": "up-to classifier"}, "leaves nothing to learn"),
        ({"torchvision": "squeezenet1_1", "pretrained": "WRONG"}, "w.safetensors: has no 'features.0.bias'"),
        ({"torchvision": "alexnet"}, "alexnet of torchvision does not take 4x8x8 images"),
    ],
)  # fmt: skip
def test_what_build_refuses_is_refused_when_the_parameters_are_counted(fields, message, wrong_weights):
    """A plan counts them."""
    network = NetworkConfig.model_validate({k: wrong_weights if v == "WRONG" else v for k, v in fields.items()})
    for refuse in (count_parameters, lambda *what: build(*what, seed=0)):
        with pytest.raises(NetworkError, match=message):
            refuse(network, (4, 8, 8) if network.torchvision != "squeezenet1_1" else (3, 32, 32), 4)


def test_counting_takes_no_memory_for_the_weights_of_torchvision(monkeypatch):
    made = []
    original = torch.nn.Module.eval
    monkeypatch.setattr(torch.nn.Module, "eval", lambda self: made.append(self) or original(self))
    assert count_parameters(NetworkConfig(torchvision="vgg11"), (3, 32, 32), 10) == 128_807_306
    assert {parameter.device.type for parameter in made[0].parameters()} == {"meta"}
