"""Both engines from one seed: the same weights, the same losses step for step, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.engines.pytorch import optimizers as torch_optimizers
from striate.engines.scratch.context import dropout_streams
from striate.engines.scratch.learner import Learner
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.pytorch.build import build
from striate.nets.pytorch.freeze import learning
from striate.recipes import OptimizerConfig

OPTIMIZERS = [
    {"name": "SGD", "lr": 0.01},
    {"name": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.01},
    {"name": "SGD", "lr": 0.01, "momentum": 0.9, "nesterov": True},
    {"name": "SGD", "lr": 0.01, "momentum": 0.5, "dampening": 0.3},
    {"name": "Adadelta", "lr": 1.0},
    {"name": "RMSprop", "lr": 1e-4, "weight_decay": 0.01},
    {"name": "RMSprop", "lr": 1e-4, "momentum": 0.5, "centered": True},
    {"name": "Adam", "lr": 1e-4, "weight_decay": 0.01},
    {"name": "Adam", "lr": 1e-4, "amsgrad": True, "betas": [0.8, 0.99]},
    {"name": "AdamW", "lr": 1e-4},
]
# Every layer that the notation has in 2D, in few numbers.
SMALL = [
    "conv4k2s2p0 pool conv6:tanh avgpool2s1p1 fc5",
    "conv4k(3,2)p(1,0)d(1,2) pool3s2p1 conv6g2:nobias,silu gap fc7:softplus",
    "conv4:batch pick2 res(conv4:gelu conv8s2:batch):elu res(conv8 conv8 | conv8k1) flatten~3 fc6:batch,sigmoid",
    "conv4:layer leaky_relu pool drop0.3 conv4k2psame:group2 conv6:instance,normafter flatten fc8:layer res(fc5) fc4:group2",
    "res(batch relu conv4 batch relu conv4 | conv4k1) pool2s1 relu pool gap",
]
SHAPE, CLASSES, BATCH = (3, 9, 10), 5, 6


class OurDropout(nn.Module):
    """Dropout by our numbers, since torch draws its own."""

    def __init__(self, name, share, learner):
        super().__init__()
        self.name, self.share, self.learner = name, share, learner

    def forward(self, x):
        if not self.training:
            return x
        ours = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        draw = dropout_streams(self.learner.seed, self.learner.epoch, self.learner.step)
        mask = torch.from_numpy(draw(self.name).random(tuple(ours.shape))) >= self.share
        mask = mask.permute(0, 3, 1, 2) if x.dim() == 4 else mask
        return x * mask / (1 - self.share)


def both(network_data, optimizer, shape=SHAPE, classes=CLASSES, dtype="float64", **options):
    network = NetworkConfig.model_validate(network_data)
    config = OptimizerConfig.model_validate(optimizer)
    learner = Learner(network, shape, classes, 0, config, dtype=dtype, **options)
    module = build(network, shape, classes, 0).to(getattr(torch, dtype))
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.Dropout):
            module.set_submodule(name, OurDropout(name, part.p, learner))
    return learner, module, torch_optimizers.build(config, learning(module))


def follow(learner, module, optimizer, steps, shape=SHAPE, classes=CLASSES, batch=BATCH, dtype="float64"):
    """The losses of both, step for step; images first."""
    rng = np.random.default_rng(0)
    losses = []
    module.train()
    for _ in range(steps):
        images = rng.standard_normal((batch, *shape[1:], shape[0])).astype(dtype)
        labels = rng.integers(0, classes, batch)
        logits = module(torch.from_numpy(images).permute(0, 3, 1, 2))
        theirs = nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        optimizer.zero_grad()
        theirs.backward()
        ours, right = learner.train_step(images, labels, optimizer.param_groups[0]["lr"])
        optimizer.step()
        assert right == int((logits.argmax(1).numpy() == labels).sum())
        losses.append((ours / batch, theirs.item()))
    return np.array(losses)


def assert_same_weights(learner, module, tolerance):
    ours, theirs = learner.weights(), module.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_allclose(ours[name], tensor.numpy(), rtol=0, atol=tolerance, err_msg=name)


IMAGES_ONLY = [
    name
    for name, named in NETWORKS.items()
    if "torchvision" not in named.config and NetworkConfig(**named.config).dims == 2
]


@pytest.mark.parametrize("name", IMAGES_ONLY)
def test_the_weights_of_both_start_the_same_under_the_same_names(name):
    named = NETWORKS[name]
    network = NetworkConfig(**named.config)
    learner = Learner(network, named.input_shape, named.classes, 3, OptimizerConfig())
    theirs = build(network, named.input_shape, named.classes, 3).state_dict()
    ours = learner.weights()
    assert list(ours) == list(theirs)
    for key, tensor in theirs.items():
        assert ours[key].shape == tuple(tensor.shape)
        assert ours[key].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(ours[key], tensor.numpy())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layers", SMALL)
def test_every_layer_follows_torch(layers, threads):
    parts = both({"layers": layers, "norm": "none"}, OPTIMIZERS[1], threads=threads)
    losses = follow(*parts, steps=6)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
    assert_same_weights(*parts[:2], 1e-8)
    images = np.random.default_rng(1).standard_normal((7, *SHAPE[1:], SHAPE[0]))
    module = parts[1].eval()
    with torch.no_grad():
        theirs = module(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(parts[0].logits(images), theirs, rtol=0, atol=1e-8)


def test_scaled_logits_over_a_frozen_layer_follow_torch():
    network = {"layers": "conv4:dirac pool conv8 fc6", "freeze": "up-to conv1", "logit_scale": 0.25}
    parts = both(network, OPTIMIZERS[1])
    losses = follow(*parts, steps=6)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
    assert_same_weights(*parts[:2], 1e-8)


@pytest.mark.parametrize("layers", SMALL)
def test_every_layer_follows_torch_by_the_standard_alone(layers):
    parts = both({"layers": layers}, OPTIMIZERS[7], engine="array_api_strict")
    losses = follow(*parts, steps=3)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
    assert_same_weights(*parts[:2], 1e-8)


@pytest.mark.parametrize("engine", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda config: " ".join(map(str, config.values())))
def test_every_optimizer_follows_torch(optimizer, engine):
    parts = both({"layers": SMALL[0]}, optimizer, engine=engine)
    losses = follow(*parts, steps=20 if engine == "numpy" else 4)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
    assert_same_weights(*parts[:2], 1e-8)


@pytest.mark.parametrize("frozen", ["up-to conv1", "up-to res1", "all-but-head"])
def test_what_is_frozen_stays_in_both(frozen):
    network = {"layers": "conv4 pool res(conv4 conv6) fc6", "norm": "batch", "freeze": frozen}
    parts = both(network, OPTIMIZERS[1])
    before = parts[0].weights()
    losses = follow(*parts, steps=4)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
    assert_same_weights(*parts[:2], 1e-8)
    after = parts[0].weights()
    learns = {name for name, parameter in parts[1].named_parameters() if parameter.requires_grad}
    changed = {name for name in after if not np.array_equal(before[name], after[name])}
    assert {name for name in changed if name.endswith(("weight", "bias"))} == learns
    assert before.keys() - changed


def test_a_step_that_differs_is_found():
    learner, module, optimizer = both({"layers": SMALL[0]}, OPTIMIZERS[0])
    with torch.no_grad():
        module.conv1.weight[0, 0, 0, 0] += 1e-4
    losses = follow(learner, module, optimizer, steps=2)
    assert np.abs(losses[:, 0] - losses[:, 1]).max() > 1e-8


# The networks of the course reports that are 2D and of the notation, on images small enough to be done soon.
REPORTS = {
    "report-a": ((1, 32, 32), 10, 8),
    "report-b": ((3, 16, 16), 10, 2),
    "report-b-fc": ((3, 32, 32), 10, 4),
    "report-b-gap": ((3, 32, 32), 10, 4),
    "report-c": ((3, 8, 8), 10, 32),  # batch norm of few values multiplies the last bits from step to step
    "report-d": ((3, 16, 16), 10, 4),
    "report-e": ((3, 24, 24), 6, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda config: " ".join(map(str, config.values())))
@pytest.mark.parametrize("name", REPORTS)
def test_every_network_of_the_reports_follows_torch(name, optimizer):
    shape, classes, batch = REPORTS[name]
    parts = both(NETWORKS[name].config, optimizer, shape, classes, threads=2)
    losses = follow(*parts, 20, shape, classes, batch)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-8)
