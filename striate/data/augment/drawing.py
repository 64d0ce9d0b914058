"""The draws of one epoch, kind by kind.

They are decided by (seed, epoch) and the place in the epoch's order, so every engine, every arm and every batch
size treats image k of epoch e alike. Each kind has a stream of its own: to switch one on moves no other.
"""

from typing import Any

import numpy as np

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.augment import affine as maps
from striate.data.augment import boxes, mixing
from striate.data.augment import randaugment as strong
from striate.data.augment.draws import Draws
from striate.data.augment.randaugment import Strong

Shape = tuple[int, int, int]  # rows, columns, channels


def draw(
    seed: int,
    epoch: int,
    order: np.ndarray,
    shape: Shape,
    *,
    flip: bool | str = False,
    crop: int = 0,
    rotate: float = 0,
    scale: float = 0,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    cutout: int = 0,
    erase: float = 0,
    mixup: float = 0,
    cutmix: float = 0,
    strength: float = 0,
) -> Draws:
    """The draws of one epoch over images of `shape` in `order`; what the keywords mean, `AugmentConfig` says.

    Raises:
        DataError: when a square that is cut out is larger than the images.
    """
    check(shape, cutout=cutout)
    place = _Place(seed, epoch, len(order))
    flips, shifts = _flips(place, order, flip), _shifts(place, crop)
    hard = strong.draw(place.uniform("strength", 4), strength, shape) if strength else None
    jitter = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    painted = boxes.draw(place.uniform, shape, cutout, erase)
    return Draws(
        flips,
        shifts,
        maps=_maps(place, flips, shifts, shape, rotate, scale, hard),
        colors=_colors(place, jitter, hard),
        levels=hard.levels if hard else None,
        **(painted or {}),
        **(mixing.draw(place.stream, place.count, shape, mixup, cutmix) if mixup or cutmix else {}),
    )


def check(shape: Shape, *, crop: int = 0, cutout: int = 0, **_: Any) -> None:
    """Whether these kinds of augmentation fit images of `shape` (H, W, C).

    Raises:
        DataError: when a square that is cut out is larger than the images, or a shift leaves nothing of them.
    """
    side = min(shape[:2])
    if crop >= side:
        raise DataError(f"recipe.augment.crop: must be under {side}, the shorter side of these images, got {crop}")
    if cutout > side:
        raise DataError(
            f"recipe.augment.cutout: must be at most {side}, the shorter side of these images, got {cutout}"
        )


class _Place:
    """The streams of one epoch."""

    def __init__(self, seed: int, epoch: int, count: int) -> None:
        self.seed, self.epoch, self.count = seed, epoch, count

    def stream(self, kind: str) -> np.random.Generator:
        return stream(self.seed, "augment", kind, self.epoch)

    def uniform(self, kind: str, columns: int) -> np.ndarray:
        """A row of numbers in [0, 1) for each place. Row by row, so that a shorter epoch has the same first rows."""
        return self.stream(kind).random((self.count, columns))

    def between(self, kind: str, low: float, high: float) -> np.ndarray:
        """A number of that range for each place."""
        return low + self.uniform(kind, 1)[:, 0] * (high - low)


def _flips(place: _Place, order: np.ndarray, flip: bool | str) -> np.ndarray:
    if not flip:
        return np.zeros(place.count, bool)
    if flip == "alternate":
        # By the image, not by its place: it is to be seen mirrored in exactly every second epoch.
        first = stream(place.seed, "augment", "flip", 0).random(int(order.max()) + 1) < 0.5
        return first[order] ^ bool(place.epoch % 2)
    return place.stream("flip").random(place.count) < 0.5


def _shifts(place: _Place, crop: int) -> np.ndarray:
    if not crop:
        return np.zeros((place.count, 2), np.int64)
    return place.stream("crop").integers(-crop, crop + 1, (place.count, 2))


def _maps(
    place: _Place,
    flips: np.ndarray,
    shifts: np.ndarray,
    shape: Shape,
    rotate: float,
    scale: float,
    hard: Strong | None,
) -> np.ndarray | None:
    """Where each pixel comes from, when copying whole pixels is not enough: the steps undone from the last to the first."""
    if not rotate and not scale and not hard:
        return None
    turned = maps.turned(place.between("rotate", -rotate, rotate), place.between("scale", 1 - scale, 1 + scale), shape)
    undone = maps.flipped(flips, shape) @ maps.moved(shifts) @ turned
    return (undone @ hard.maps if hard else undone)[:, :2].astype(np.float32)


def _colors(place: _Place, jitter: dict[str, float], hard: Strong | None) -> np.ndarray | None:
    """Factors between 1 - x and 1 + x, never below 0, and a turn of the hue between -x and x."""
    if not any(jitter.values()) and not hard:
        return None
    *factors, hue = jitter.items()
    drawn = [place.between(kind, max(0.0, 1 - most), 1 + most) for kind, most in factors]
    colors = np.stack([*drawn, place.between(hue[0], -hue[1], hue[1])], 1)
    if hard:
        colors[:, :3] *= hard.factors
    return colors.astype(np.float32)
