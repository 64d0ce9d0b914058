"""A split as one uint8 tensor on the device; batches are gathered, augmented and normalized there.

N batch, H W rows and columns, C channels. Images stay N x H x W x C, so that gathering whole pixels gives the
channels-last layout that convolutions want, with no copy to turn it round.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from striate.data.augment import Draws
from striate.training.device import Setup


class Feed:
    """The images and labels of one split on the device."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: np.ndarray, std: np.ndarray, setup: Setup) -> None:
        self.setup = setup
        # A read-only memory map is copied, because torch has no read-only tensors.
        owned = images if images.flags.writeable else images.copy()
        self.images_NHWC = torch.from_numpy(owned).to(setup.device)
        self.labels_N = torch.from_numpy(np.asarray(labels, np.int64)).to(setup.device)
        self._scale_C = torch.from_numpy((1 / (255 * std)).astype(np.float32)).to(setup.device)
        self._shift_C = torch.from_numpy((-mean / std).astype(np.float32)).to(setup.device)

    def __len__(self) -> int:
        return len(self.labels_N)

    def batch(self, places: np.ndarray, draws: Draws | None = None) -> tuple[Tensor, Tensor]:
        """Normalized images (N, C, H, W) and labels (N,) of some places, augmented by `draws`."""
        chosen = torch.from_numpy(places).to(self.setup.device)
        images_NHWC = self.images_NHWC[chosen]
        if draws is not None:
            images_NHWC = augment(images_NHWC, draws)
        return self._normalized(images_NHWC), self.labels_N[chosen]

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole split once, as it lies."""
        for start in range(0, len(self), batch_size):
            end = start + batch_size
            yield self._normalized(self.images_NHWC[start:end]), self.labels_N[start:end]

    def _normalized(self, images_NHWC: Tensor) -> Tensor:
        # Normalized in float32 and only then rounded: bf16 has 8 bits, as many as the pixel itself.
        scaled = torch.addcmul(self._shift_C, images_NHWC.float(), self._scale_C)
        return scaled.to(self.setup.dtype).permute(0, 3, 1, 2)


def augment(images_NHWC: Tensor, draws: Draws) -> Tensor:
    """What `data.augment.apply` does, for a batch of uint8 images on any device, in one gather."""
    N, H, W, C = images_NHWC.shape
    if not draws.flips.any() and not draws.shifts.any():
        return images_NHWC
    device = images_NHWC.device
    flips_N = torch.from_numpy(draws.flips).to(device)[:, None]
    down_N, right_N = torch.from_numpy(draws.shifts).to(device).T[:, :, None]
    rows_NH = torch.arange(H, device=device) - down_N
    columns_NW = torch.arange(W, device=device) - right_N
    inside_NHW = ((rows_NH >= 0) & (rows_NH < H))[:, :, None] & ((columns_NW >= 0) & (columns_NW < W))[:, None, :]
    columns_NW = torch.where(flips_N, W - 1 - columns_NW, columns_NW)
    start_N = torch.arange(N, device=device)[:, None, None] * (H * W)
    source_NHW = start_N + rows_NH.clamp(0, H - 1)[:, :, None] * W + columns_NW.clamp(0, W - 1)[:, None, :]
    moved = images_NHWC.reshape(-1, C).index_select(0, source_NHW.reshape(-1)).reshape(N, H, W, C)
    return moved * inside_NHW[..., None]
