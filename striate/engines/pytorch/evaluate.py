"""What a network says of a split, over one view of each image or several."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from striate.engines.protocol import PIXELS_AT_ONCE, Evaluation
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.recipes import views

# A unit that was silent on so many images is called dead.
LOOKED_AT = 1000
# Those whose output is flat, zero, and without a gradient below zero.
CAN_DIE = (nn.ReLU, nn.ReLU6)


@torch.inference_mode()
def evaluate(module: nn.Module, feed: DeviceDataset, test_time: str = "none") -> Evaluation:
    """`module` on the whole of `feed`, in evaluation mode; the mode it was in comes back."""
    was_training = module.training
    module.eval()
    setup = feed.setup
    logits, seen = [], 0
    with silent_units(module) as silent, torch.autocast(setup.device.type, setup.dtype, enabled=setup.is_mixed):
        for images, labels in feed.in_order(batch_size(feed)):
            logits.append(sum(w * module(_view(images, shift, flip)).float() for w, shift, flip in views(test_time)))
            seen += len(labels)
            if seen >= LOOKED_AT:
                silent.close()
    module.train(was_training)
    return Evaluation(torch.cat(logits).cpu().numpy(), feed.labels_N.cpu().numpy(), silent.count())


def batch_size(feed: DeviceDataset) -> int:
    """Images of an evaluated batch."""
    _, H, W, _ = feed.images_NHWC.shape
    return max(1, PIXELS_AT_ONCE // (H * W))


def _view(x: Tensor, shift: int, is_mirrored: bool) -> Tensor:
    """A batch (N, C, H, W) moved by a pixel, the edge repeated, and mirrored."""
    if shift:
        H, W = x.shape[2:]
        padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
        x = padded[:, :, 1 - shift : 1 - shift + H, 1 - shift : 1 - shift + W]
    return x.flip(3) if is_mirrored else x


class _Silent:
    """The largest output of every unit that can die, so far."""

    def __init__(self, module: nn.Module) -> None:
        self.highest: dict[tuple[str, int], Tensor] = {}  # by name and call: some networks call one layer twice
        self._calls: dict[str, int] = {}  # of the batch that runs
        able = [(name, part) for name, part in module.named_modules() if isinstance(part, CAN_DIE)]
        self._hooks = [part.register_forward_hook(self._seen(name)) for name, part in able]
        self._hooks.append(module.register_forward_pre_hook(lambda part, inputs: self._calls.clear()))

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def by_layer(self) -> dict[str, tuple[int, int]]:
        """Silent units and all units, by the name of the activation."""
        return {
            name if call == 0 else f"{name}, call {call + 1}": (int((highest <= 0).sum()), highest.numel())
            for (name, call), highest in self.highest.items()
        }

    def count(self) -> int | None:
        """How many are silent in all; None where no unit can be."""
        return sum(silent for silent, _ in self.by_layer().values()) if self.highest else None

    def _seen(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(part: nn.Module, inputs: Any, output: Tensor) -> None:
            # A unit is a channel, wherever in the image it looks.
            highest = output.amax([axis for axis in range(output.dim()) if axis != 1])
            call = self._calls[name] = self._calls.get(name, -1) + 1
            before = self.highest.get((name, call))
            self.highest[name, call] = highest if before is None else torch.maximum(before, highest)

        return hook


@contextmanager
def silent_units(module: nn.Module) -> Iterator[_Silent]:
    """Watch, inside, which units of `module` are never above 0."""
    silent = _Silent(module)
    try:
        yield silent
    finally:
        silent.close()
