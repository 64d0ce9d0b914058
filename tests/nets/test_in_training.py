"""Networks of every kind through a training run: frozen parts stay, volumes train, foreign modules too."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from striate.data import DataConfig, Dataset, Part
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.recipes import Recipe
from striate.runs import Job, layout


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    train, test = (Part(rng.integers(0, 256, (n, 8, 8, 3), np.uint8), np.arange(n) % 3) for n in (60, 30))
    return Dataset("noise", ("a", "b", "c"), train, None, test, "d" * 64)


def trained(network, dataset, folder):
    """The weights before and after one epoch."""
    recipe = Recipe.model_validate({"epochs": 1, "batch_size": 20, "optimizer": {"name": "SGD", "lr": 0.1}})
    job = Job(data=DataConfig(source="noise"), digest=dataset.digest, network=network, recipe=recipe, seed=0)
    with torch.random.fork_rng():
        before = build(network, (3, 8, 8), 3, 0).state_dict()
        assert train(job, folder, dataset=dataset, device="cpu", threads=1).state == "finished"
    return before, load_file(folder / layout.FINAL)


@pytest.mark.parametrize(
    ("fields", "frozen"),
    [
        ({"layers": "conv4 conv4", "norm": "batch", "freeze": "up-to conv1_norm"}, {"conv1", "conv1_norm"}),
        ({"layers": "conv4k(3,3,1) pool(2,2,1)", "dims": 3}, set()),
        ({"family": "blocks", "depth": 1, "filters": 4}, set()),
        ({"torchvision": "shufflenet_v2_x0_5", "freeze": "all-but-head"}, {"conv1", "stage2", "stage3", "stage4", "conv5"}),
    ],
    ids=["frozen", "volume", "family", "torchvision"],
)  # fmt: skip
def test_what_is_frozen_stays_and_the_rest_learns(fields, frozen, dataset, tmp_path):
    before, after = trained(NetworkConfig.model_validate(fields), dataset, tmp_path / "run")
    assert before.keys() == after.keys()
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name.partition(".")[0] for name in before} - frozen


class Versioned(nn.Linear):
    """Refuses weights that do not say their version, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        assert local_metadata.get("version") == 2
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def versioned(classes):
    return nn.Sequential(nn.Flatten(), Versioned(192, classes))


@pytest.mark.parametrize(
    "network",
    [{"import": "tests.nets.test_in_training:versioned"}, pytest.param({"torchvision": "mnasnet0_5"}, marks=pytest.mark.slow)],
    ids=str,
)  # fmt: skip
def test_a_module_that_minds_its_version_is_stopped_resumed_and_evaluated(network, tmp_path):
    rng = np.random.default_rng(0)
    side = 8 if "import" in network else 32
    parts = (Part(rng.integers(0, 256, (n, side, side, 3), np.uint8), np.arange(n) % 3) for n in (60, 30))
    dataset = Dataset("noise", ("a", "b", "c"), next(parts), None, next(parts), "d" * 64)
    network = NetworkConfig.model_validate(network)
    recipe = Recipe.model_validate({"epochs": 2, "batch_size": 27})
    job = Job(data=DataConfig(source="noise"), digest=dataset.digest, network=network, recipe=recipe, seed=0)
    left = iter([False] * 3)
    options = {"dataset": dataset, "device": "cpu", "threads": 1}
    assert train(job, tmp_path, **options, should_stop=lambda: next(left, True)) is None
    assert train(job, tmp_path, **options).state == "finished"


@pytest.mark.gpu
def test_initial_weights_are_the_same_on_a_gpu():
    """They are drawn by NumPy and copied, never drawn on the device."""
    network = NetworkConfig(layers="conv8 res(conv8 conv16) fc8", init="orthogonal")
    on_gpu = build(network, (3, 8, 8), 10, 0).to("cuda").state_dict()
    with torch.device("cuda"):
        born_there = build(network, (3, 8, 8), 10, 0).state_dict()
    for name, tensor in build(network, (3, 8, 8), 10, 0).state_dict().items():
        assert torch.equal(on_gpu[name].cpu(), tensor)
        assert torch.equal(born_there[name].cpu(), tensor)
