"""A run's trained network, read from its folder alone."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from striate.explain.trained import module_of
from striate.nets import NetworkConfig
from striate.nets.pytorch import weights
from striate.nets.pytorch.build import build


def own(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))


@pytest.mark.parametrize("network", [{"torchvision": "squeezenet1_1"}, {"import": f"{__name__}:own"}])
def test_it_needs_no_file_of_weights_that_training_started_from(tmp_path, network):
    trained = build(NetworkConfig.model_validate(network), (3, 32, 32), 7, seed=3)
    weights.save(trained, tmp_path / "best.safetensors")
    started = NetworkConfig.model_validate({**network, "pretrained": str(tmp_path / "gone.pth")})
    run = SimpleNamespace(job=SimpleNamespace(network=started, code={}), folder=tmp_path, seed=0, state="finished")
    read = module_of(run, (3, 32, 32), 7).state_dict()
    assert all(torch.equal(tensor, read[name]) for name, tensor in trained.state_dict().items())
