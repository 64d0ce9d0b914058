"""A split as one uint8 tensor on the device. Batches are gathered, augmented and normalized there.

N batch, H W rows and columns, C channels. Images stay N x H x W x C, so that gathering whole pixels gives the
channels-last layout that convolutions need, without another copy.

An image is mixed with the next one in the epoch's order (the last with the first), so a batch gathers one image more
than it has. So the results do not depend on the size of the batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from striate.data.augment import Draws
from striate.engines.pytorch.augment import augment, mix, on
from striate.engines.pytorch.device import Setup


@dataclass(frozen=True)
class Batch:
    """What a step trains on. Without mixing, `partners` and `label_lambda` are None."""

    images: Tensor  # normalized, N x C x H x W
    labels: Tensor  # N
    partners: Tensor | None = None  # N, the labels of the mixed-in images
    label_lambda: Tensor | None = None  # float32, N: the share of the own label in the target

    def __len__(self) -> int:
        return len(self.labels)


class DeviceDataset:
    """The images and labels of one split on the device."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: np.ndarray, std: np.ndarray, setup: Setup) -> None:
        self.setup = setup
        # A read-only memory map is copied, because torch has no read-only tensors.
        writable = images if images.flags.writeable else images.copy()
        self.images_NHWC = torch.from_numpy(writable).to(setup.device)
        self.labels_N = torch.from_numpy(np.asarray(labels, np.int64)).to(setup.device)
        # For a whole row of pixels, because three channels alone would leave the processor's vectors nearly empty.
        scale_WC, shift_WC = (np.tile(values, images.shape[2]) for values in (1 / (255 * std), -mean / std))
        self._scale_WC = torch.from_numpy(scale_WC.astype(np.float32)).to(setup.device)
        self._shift_WC = torch.from_numpy(shift_WC.astype(np.float32)).to(setup.device)

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: rows, columns, channels."""
        _, H, W, C = self.images_NHWC.shape
        return H, W, C

    def batch(self, order: np.ndarray, draws: Draws | None = None, places: slice = slice(None)) -> Batch:
        """The images at `places` of an epoch's order, augmented by the draws of that epoch."""
        if draws is not None and draws.label_lambda is not None:
            return self._mixed(order, draws, np.arange(*places.indices(len(order))))
        indices = torch.from_numpy(order[places]).to(self.setup.device)
        # Not images[indices], which took 16 times as long on a CPU, nor labels[indices].
        images_NHWC = self.images_NHWC.index_select(0, indices)
        if draws is not None:
            images_NHWC = augment(images_NHWC, draws[places])
        return Batch(self._to_input(self._normalized(images_NHWC)), self.labels_N.index_select(0, indices))

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole split in its stored order: images and labels."""
        for start in range(0, len(self), batch_size):
            end = start + batch_size
            yield self._to_input(self._normalized(self.images_NHWC[start:end])), self.labels_N[start:end]

    def _normalized(self, images_NHWC: Tensor) -> Tensor:
        rows = images_NHWC.flatten(2).to(torch.float32, copy=True)
        # In place, which took 2 % of a small network's step less.
        return torch.addcmul(self._shift_WC, rows, self._scale_WC, out=rows).view(images_NHWC.shape)

    def _to_input(self, images_NHWC: Tensor) -> Tensor:
        """N x C x H x W in the setup's precision."""
        # Rounded last, after normalizing and mixing in float32: bf16 has 8 significant bits, as many as a pixel.
        return images_NHWC.to(self.setup.dtype).permute(0, 3, 1, 2)

    def _mixed(self, order: np.ndarray, draws: Draws, places: np.ndarray) -> Batch:
        assert draws.label_lambda is not None
        with_next = np.append(places, (places[-1] + 1) % len(order))
        indices = torch.from_numpy(order[with_next]).to(self.setup.device)
        images_NHWC = self._normalized(augment(self.images_NHWC.index_select(0, indices), draws[with_next]))
        mixed_NHWC = mix(images_NHWC[:-1], images_NHWC[1:], draws[places])
        labels_N = self.labels_N.index_select(0, indices)
        return Batch(
            self._to_input(mixed_NHWC), labels_N[:-1], labels_N[1:], on(mixed_NHWC, draws.label_lambda[places])
        )
