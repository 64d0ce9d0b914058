"""Evaluate a network on a split, with optional test-time augmentation, and count its dead units."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from striate.engines.protocol import PIXELS_AT_ONCE, Evaluation
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.recipes import views

# A unit that is 0 on so many images is called dead.
DEAD_UNIT_IMAGES = 1000
# Fewer leave a processor's vectors empty; whole rows of pixels take a twentieth of the time.
FEW_CHANNELS = 32
# Activations that are 0 and have no gradient below zero.
CAN_DIE = (nn.ReLU, nn.ReLU6)


@torch.inference_mode()
def evaluate(module: nn.Module, data: DeviceDataset, test_time: str = "none") -> Evaluation:
    """`module` in evaluation mode on all of `data`, averaged over the views of `test_time`."""
    logits, images_done = [], 0
    with evaluation_mode(module), dead_unit_counter(module) as counter, data.setup.autocast():
        for images, labels in data.in_order(evaluation_batch_size(data)):
            logits.append(sum(w * module(view(images, shift, flip)).float() for w, shift, flip in views(test_time)))
            images_done += len(labels)
            if images_done >= DEAD_UNIT_IMAGES:
                counter.close()
    return Evaluation(torch.cat(logits).cpu().numpy(), data.labels_N.cpu().numpy(), counter.count())


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Inside, `module` is in evaluation mode; after it, also after an error, in the mode that it was in."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def evaluation_batch_size(data: DeviceDataset) -> int:
    """Images that are evaluated at once."""
    H, W, _ = data.shape
    return max(1, PIXELS_AT_ONCE // (H * W))


def view(images: Tensor, shift: int, is_mirrored: bool) -> Tensor:
    """Images (N, C, H, W) shifted by a pixel, with the edge repeated, and mirrored."""
    if shift:
        H, W = images.shape[2:]
        padded = nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
        images = padded[:, :, 1 - shift : 1 - shift + H, 1 - shift : 1 - shift + W]
    return images.flip(3) if is_mirrored else images


class _DeadUnitCounter:
    """The largest output so far of every unit that can die. A unit is a channel, anywhere in the image."""

    def __init__(self, module: nn.Module) -> None:
        self.highest: dict[tuple[str, int], Tensor] = {}  # by name and call: a network may call one layer twice
        self._calls: dict[str, int] = {}  # in the current batch
        activations = [(name, part) for name, part in module.named_modules() if isinstance(part, CAN_DIE)]
        self._hooks = [part.register_forward_hook(self._update(name)) for name, part in activations]
        self._hooks.append(module.register_forward_pre_hook(lambda *_: self._calls.clear()))

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def by_layer(self) -> dict[str, tuple[int, int]]:
        """(dead units, all units) by the name of the activation."""
        return {
            name if call == 0 else f"{name}, call {call + 1}": (int((highest <= 0).sum()), highest.numel())
            for (name, call), highest in self.highest.items()
        }

    def count(self) -> int | None:
        """The number of dead units; None if the network has no unit that can die."""
        return sum(dead for dead, _ in self.by_layer().values()) if self.highest else None

    def _update(self, name: str) -> Callable[..., None]:
        def hook(_part: nn.Module, _inputs: Any, output: Tensor) -> None:
            highest = _highest(output)
            call = self._calls[name] = self._calls.get(name, -1) + 1
            before = self.highest.get((name, call))
            self.highest[name, call] = highest if before is None else torch.maximum(before, highest)

        return hook


def _highest(output: Tensor) -> Tensor:
    """The largest value of each channel."""
    if output.dim() == 4 and output.shape[1] < FEW_CHANNELS and output.is_contiguous(memory_format=torch.channels_last):
        rows = output.permute(0, 2, 3, 1).flatten(2).flatten(0, 1)
        return rows.amax(0).view(-1, output.shape[1]).amax(0)
    return output.amax([axis for axis in range(output.dim()) if axis != 1])


@contextmanager
def dead_unit_counter(module: nn.Module) -> Iterator[_DeadUnitCounter]:
    """Counts, inside, which units of `module` are never above 0."""
    counter = _DeadUnitCounter(module)
    try:
        yield counter
    finally:
        counter.close()
