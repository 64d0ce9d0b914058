"""What a network says of a split, and how right it is."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from striate.training.feed import Feed

# Large enough for the matrix units, small enough for memory: as many pixels as 250 images of 32x32.
PIXELS = 250 * 32 * 32


@dataclass(frozen=True)
class Evaluation:
    """Logits (N, classes) in float32 with the labels (N,) that belong to them."""

    logits: np.ndarray
    labels: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share that is right. Not-a-number logits say nothing, so they are wrong."""
        right = (self.logits.argmax(1) == self.labels) & np.isfinite(self.logits).all(1)
        return float(right.mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy, without label smoothing, whatever the training used."""
        logits = torch.from_numpy(self.logits).double()
        return float(functional.cross_entropy(logits, torch.from_numpy(self.labels)))


@torch.inference_mode()
def evaluate(module: nn.Module, feed: Feed) -> Evaluation:
    """`module` on the whole of `feed`, in evaluation mode; the mode it was in comes back."""
    was_training = module.training
    module.eval()
    setup = feed.setup
    logits = []
    with torch.autocast(setup.device.type, setup.dtype, enabled=setup.dtype != torch.float32):
        _, H, W, _ = feed.images_NHWC.shape
        for images, _ in feed.in_order(max(1, PIXELS // (H * W))):
            logits.append(module(images).float())
    module.train(was_training)
    return Evaluation(torch.cat(logits).cpu().numpy(), feed.labels_N.cpu().numpy())
