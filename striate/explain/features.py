"""What a trained network makes of images before its last layer: features, a row an image."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from striate.core.errors import NetworkError
from striate.data.dataset import Images
from striate.explain.images import ImageSet
from striate.explain.trained import trained_module
from striate.runs import reader

LAST = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
MOST = 512  # features of an image; more are projected on so many random directions, which keeps their cosines


def features(folder: Path, images: Images) -> NDArray[np.float32]:
    """The input of the last layer with weights, N x D, of the run in `folder`; maps are averaged over their pixels.

    `images`: uint8 (N, H, W, C), as the run had them.

    Raises:
        RunError: when there is no run, or it is not finished or has no weights.
        NetworkError: when the weights are not those of the network, when it takes other images, or has no such layer.
    """
    module, shape = trained_module(folder)
    facts = reader.read(folder).summary
    assert facts is not None
    assert facts.data is not None
    mean, std = facts.data.mean, facts.data.std
    if not (mean and std):
        raise NetworkError(f"{folder}: the run did not keep the mean and deviation of its images; train it again")
    data = ImageSet(
        images=images, labels=np.zeros(len(images), np.int64), mean=np.array(mean), std=np.array(std), classes=()
    )
    if data.input_shape != shape:
        raise NetworkError(f"{folder}: its network takes images of {shape}, and these are {data.input_shape}")
    found: NDArray[np.float32] | None = None
    with _last_input(module) as last, torch.inference_mode():
        for rows, pixels in data.batches():
            module(pixels)
            if not last:
                raise NetworkError(f"{folder}: its network has no linear or convolution layer, whose input is taken")
            batch = _flat(*last[0]).numpy()
            found = np.empty((len(images), batch.shape[1]), np.float32) if found is None else found
            found[rows] = batch
    return np.empty((0, 1), np.float32) if found is None else found


@contextmanager
def _last_input(module: nn.Module) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """The layer with weights that was called last, and its input, after each call of the module, which is in evaluation."""
    last: list[tuple[nn.Module, Tensor]] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        last[:] = [(layer, inputs[0])]

    module.eval()
    hooks = [layer.register_forward_pre_hook(keep) for layer in module.modules() if isinstance(layer, LAST)]
    try:
        yield last
    finally:
        for hook in hooks:
            hook.remove()


def _flat(layer: nn.Module, inputs: Tensor) -> Tensor:
    """N x D, at most MOST columns: averaged over pixels, or over the tokens before a linear layer."""
    if inputs.dim() > 2:
        inputs = inputs.flatten(1, -2).mean(1) if isinstance(layer, nn.Linear) else inputs.flatten(2).mean(2)
    return (inputs @ _directions(inputs.shape[1]) if inputs.shape[1] > MOST else inputs).float()


@cache
def _directions(count: int) -> Tensor:
    return torch.randn(count, MOST, generator=torch.Generator().manual_seed(0))
