"""Colors and levels on the device, for planes C x N x H x W in float32 of 255 levels; `data.augment.coloring` says what they are.

Steps that change no image of the batch are left out; with a factor of 1 they would change no bit either.
"""

import numpy as np
import torch
from torch import Tensor

from striate.data.augment.coloring import GRAY


def colored(planes_CNHW: Tensor, colors: np.ndarray) -> Tensor:
    """By factors of brightness, contrast, saturation and turns of the hue, N x 4."""
    brightness, contrast, saturation, hue = torch.from_numpy(colors).to(planes_CNHW.device).T[:, :, None, None]
    acts = (colors != (1, 1, 1, 0)).any(0)
    is_color = len(planes_CNHW) == 3
    done = planes_CNHW
    if acts[0]:
        done = (done * brightness).clamp_(0, 255)
    if acts[1]:
        done = _blended(done, _mean_level(done), contrast)
    if acts[2] and is_color:
        done = _blended(done, _gray(done), saturation)
    return _turned(done, hue) if acts[3] and is_color else done


def leveled(planes_CNHW: Tensor, levels: np.ndarray) -> Tensor:
    """After autocontrast, posterize and solarize, where `levels` (N x 3) ask for them. The planes hold whole levels."""
    auto, bits, inverted_from = torch.from_numpy(levels).to(planes_CNHW.device).T[:, :, None, None]
    acts = (levels != (0, 8, 256)).any(0)
    done = planes_CNHW
    if acts[0]:
        low, high = done.amin((2, 3), keepdim=True), done.amax((2, 3), keepdim=True)
        # Not 255 / x, which torch computes as 255 * (1 / x).
        factor = torch.full_like(low, 255) / (high - low).clamp(min=1)
        done = torch.where((auto == 1) & (high > low), ((done - low) * factor).round_(), done)
    if acts[1]:
        step = torch.exp2(8 - bits)
        done = (done / step).floor_() * step
    return torch.where(done >= inverted_from, 255 - done, done) if acts[2] else done


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
    safe = torch.where(chroma == 0, 1.0, chroma)
    sixths = torch.where(
        high == red,
        (green - blue) / safe,
        torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixths += hue * 6
    done = torch.empty_like(planes_CNHW)
    for plane, start in zip(done, (5, 3, 1), strict=True):
        k = sixths + start
        k = k - (k * (1 / 6)).floor_() * 6
        torch.sub(high, torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma), out=plane)
    return done
