"""A trained network on a device: uint8 images to logits, computed as in the evaluation of its run."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from striate.data.dataset import Images
from striate.deploy.trained import Trained
from striate.engines.pytorch.device import applied, choose, move
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.evaluate import evaluate
from striate.nets.pytorch.build import build_trained


class Network:
    """A trained network with the precision of its run and the test-time views of its recipe.

    `is_plain`: in float32 with PyTorch's own convolutions, whatever the recipe says.
    """

    def __init__(self, trained: Trained, device: str = "auto", *, is_plain: bool = False) -> None:
        self.trained = trained
        self.setup = choose(trained.recipe, device, previous=trained.environment)
        if is_plain:
            self.setup = replace(self.setup, dtype=torch.float32, convolution="direct")
        self.mean, self.std = np.array(trained.mean), np.array(trained.std)
        self._module = move(plain_module(trained), self.setup)

    def logits(self, images: Images) -> np.ndarray:
        """Of uint8 images (N, H, W, C), in float32 (N, classes)."""
        with applied(self.setup):
            data = DeviceDataset(images, np.zeros(len(images), np.int64), self.mean, self.std, self.setup)
            return evaluate(self._module, data, self.trained.recipe.test_time).logits


def plain_module(trained: Trained) -> nn.Module:
    """The trained network, as torch builds it.

    Raises:
        NetworkError: when the weights are not those of the network, or a module of the user's own is not there.
    """
    rule = trained.rule
    classes = len(rule.classes)
    return build_trained(trained.network, rule.shape, classes, trained.seed, trained.weights, trained.code).eval()
