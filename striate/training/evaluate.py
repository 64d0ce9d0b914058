"""What a network says of a split, over one view of each image or several."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from striate.runs.engine import Evaluation
from striate.training.feed import Feed

# Large enough for the matrix units, small enough for memory: as many pixels as 250 images of 32x32.
PIXELS = 250 * 32 * 32
# A unit that was silent on so many images is called dead.
LOOKED_AT = 1000
# Those whose output is flat, zero, and without a gradient below zero.
CAN_DIE = (nn.ReLU, nn.ReLU6)

Views = list[tuple[float, Callable[[Tensor], Tensor]]]


@torch.inference_mode()
def evaluate(module: nn.Module, feed: Feed, test_time: str = "none") -> Evaluation:
    """`module` on the whole of `feed`, in evaluation mode; the mode it was in comes back."""
    was_training = module.training
    module.eval()
    setup = feed.setup
    logits, seen = [], 0
    with silent_units(module) as silent, torch.autocast(setup.device.type, setup.dtype, enabled=setup.is_mixed):
        for images, labels in feed.in_order(batch_size(feed)):
            logits.append(sum(weight * module(view(images)).float() for weight, view in views(test_time)))
            seen += len(labels)
            if seen >= LOOKED_AT:
                silent.close()
    module.train(was_training)
    return Evaluation(torch.cat(logits).cpu().numpy(), feed.labels_N.cpu().numpy(), silent.count())


def batch_size(feed: Feed) -> int:
    """Images of an evaluated batch."""
    _, H, W, _ = feed.images_NHWC.shape
    return max(1, PIXELS // (H * W))


def views(test_time: str) -> Views:
    """Weights that sum to 1 and what is done to a batch (N, C, H, W); the image itself is one of the views."""
    if test_time == "none":
        return [(1.0, lambda x: x)]
    shifts = [(1.0, 0)] if test_time == "flip" else [(0.5, 0), (0.25, 1), (0.25, -1)]
    return [(weight / 2, _view(shift, is_mirrored)) for weight, shift in shifts for is_mirrored in (False, True)]


def _view(shift: int, is_mirrored: bool) -> Callable[[Tensor], Tensor]:
    def see(x: Tensor) -> Tensor:
        if shift:
            # Up-left or down-right by a pixel, the edge repeated.
            H, W = x.shape[2:]
            padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
            x = padded[:, :, 1 - shift : 1 - shift + H, 1 - shift : 1 - shift + W]
        return x.flip(3) if is_mirrored else x

    return see


class _Silent:
    """The largest output of every unit that can die, so far."""

    def __init__(self, module: nn.Module) -> None:
        self.highest: dict[
            tuple[str, int], Tensor
        ] = {}  # by name and number of units: some networks call one layer twice
        self._hooks = [
            part.register_forward_hook(self._seen(name))
            for name, part in module.named_modules()
            if isinstance(part, CAN_DIE)
        ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def by_layer(self) -> dict[str, tuple[int, int]]:
        """Silent units and all units, by the name of the activation."""
        return {name: (int((highest <= 0).sum()), units) for (name, units), highest in self.highest.items()}

    def count(self) -> int | None:
        """How many are silent in all; None where no unit can be."""
        return sum(silent for silent, _ in self.by_layer().values()) if self.highest else None

    def _seen(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(part: nn.Module, inputs: Any, output: Tensor) -> None:
            # A unit is a channel, wherever in the image it looks.
            highest = output.amax([axis for axis in range(output.dim()) if axis != 1])
            before = self.highest.get((name, len(highest)))
            self.highest[name, len(highest)] = highest if before is None else torch.maximum(before, highest)

        return hook


@contextmanager
def silent_units(module: nn.Module) -> Iterator[_Silent]:
    """Watch, inside, which units of `module` are never above 0."""
    silent = _Silent(module)
    try:
        yield silent
    finally:
        silent.close()
