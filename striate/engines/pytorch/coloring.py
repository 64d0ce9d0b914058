"""Colors and levels on the device, for float32 planes C x N x H x W from 0 to 255. The reference is `data.augment.coloring`.

Steps that change no image of the batch are left out; they would not change a bit.
"""

import numpy as np
import torch
from torch import Tensor

from striate.data.augment.coloring import GRAY


def colored(planes_CNHW: Tensor, colors: np.ndarray) -> Tensor:
    """Planes with other colors: `colors` (N x 4) are factors of brightness, contrast and saturation, and the turn of the hue."""
    brightness, contrast, saturation, hue = torch.from_numpy(colors).to(planes_CNHW.device).T[:, :, None, None]
    changes = (colors != (1, 1, 1, 0)).any(0)
    is_color = len(planes_CNHW) == 3
    planes = planes_CNHW
    if changes[0]:
        planes = (planes * brightness).clamp_(0, 255)
    if changes[1]:
        planes = _blended(planes, _mean_level(planes), contrast)
    if changes[2] and is_color:
        planes = _blended(planes, _gray(planes), saturation)
    return _turned(planes, hue) if changes[3] and is_color else planes


def leveled(planes_CNHW: Tensor, levels: np.ndarray) -> Tensor:
    """Planes after autocontrast, posterize and solarize, by `levels` (N x 3). The planes hold whole levels."""
    auto, bits, inverted_from = torch.from_numpy(levels).to(planes_CNHW.device).T[:, :, None, None]
    changes = (levels != (0, 8, 256)).any(0)
    planes = planes_CNHW
    if changes[0]:
        low, high = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
        # Not 255 / x, which torch computes as 255 * (1 / x).
        factor = torch.full_like(low, 255) / (high - low).clamp(min=1)
        planes = torch.where((auto == 1) & (high > low), ((planes - low) * factor).round_(), planes)
    if changes[1]:
        step = torch.exp2(8 - bits)
        planes = (planes / step).floor_() * step
    return torch.where(planes >= inverted_from, 255 - planes, planes) if changes[2] else planes


def _blended(planes_CNHW: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (planes_CNHW * factor).add_(other * (1 - factor)).clamp_(0, 255)


def _gray(planes_CNHW: Tensor) -> Tensor:
    if len(planes_CNHW) == 1:
        return planes_CNHW[0]
    red, green, blue = planes_CNHW
    return red * GRAY[0] + green * GRAY[1] + blue * GRAY[2]


def _mean_level(planes_CNHW: Tensor) -> Tensor:
    gray_NHW = _gray(planes_CNHW)
    total_N = gray_NHW.round().long().sum((1, 2))
    count = torch.full_like(total_N, gray_NHW[0].numel(), dtype=torch.float32)
    return (total_N.float() / count)[:, None, None]


def _turned(planes_CNHW: Tensor, hue: Tensor) -> Tensor:
    red, green, blue = planes_CNHW
    high, low = planes_CNHW.amax(0), planes_CNHW.amin(0)
    chroma = high - low
    divisor = torch.where(chroma == 0, 1.0, chroma)
    sixths = torch.where(
        high == red,
        (green - blue) / divisor,
        torch.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixths += hue * 6
    turned = torch.empty_like(planes_CNHW)
    for plane, start in zip(turned, (5, 3, 1), strict=True):
        k = sixths + start
        k = k - (k * (1 / 6)).floor_() * 6
        torch.sub(high, torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma), out=plane)
    return turned
