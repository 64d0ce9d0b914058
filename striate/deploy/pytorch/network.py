"""A run's trained network on a device: uint8 images to logits, computed as in the run's own evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from striate.data.dataset import Images
from striate.engines.pytorch.device import applied, choose, move
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.evaluate import evaluate
from striate.explain.trained import trained_module
from striate.runs import Run


class Network:
    """The network of the best epoch of a run, with the precision and the test-time views of its recipe.

    `is_plain`: in float32 with PyTorch's own convolutions, whatever the recipe says.
    """

    def __init__(self, run: Run, device: str = "auto", *, is_plain: bool = False) -> None:
        self.run = run
        self.setup = choose(run.job.recipe, device, previous=run.environment)
        if is_plain:
            self.setup = replace(self.setup, dtype=torch.float32, convolution="direct")
        facts = run.summary.data if run.summary else None
        assert facts is not None, "a run with a rule has them"
        self.mean, self.std = np.array(facts.mean), np.array(facts.std)
        self._module = move(plain_module(run.folder), self.setup)

    def logits(self, images: Images) -> np.ndarray:
        """Of uint8 images (N, H, W, C), in float32 (N, classes)."""
        with applied(self.setup):
            data = DeviceDataset(images, np.zeros(len(images), np.int64), self.mean, self.std, self.setup)
            return evaluate(self._module, data, self.run.job.recipe.test_time).logits


def plain_module(folder: Path) -> nn.Module:
    """The trained network of a run, as torch builds it.

    Raises:
        RunError: when there is no run, or it has no weights.
    """
    return trained_module(folder)[0].eval()
