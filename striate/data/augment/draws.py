"""The random numbers of augmentation for one epoch.

They are decided by the seed, the epoch and the position in the epoch's order, so every engine, arm and batch size
augments image k of epoch e alike. Each kind has its own random stream: switching one on changes no other.

Mixup: Zhang et al., arXiv 1710.09412. CutMix: Yun et al., arXiv 1905.04899.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from striate.core.seeds import stream
from striate.data.augment import affine, boxes, randaugment
from striate.data.augment.config import AugmentConfig, ShapeHWC, check_fits
from striate.data.augment.randaugment import Operations


@dataclass(frozen=True)
class Draws:
    """How each image of an epoch is augmented, as arrays with one row for each position of the epoch's order.

    None is a step that is off. N images of C channels, K boxes an image. A box is (top, bottom, left, right) in
    pixels; bottom and right are not included.
    """

    flips: np.ndarray
    """bool, N: mirrored left to right."""
    shifts: np.ndarray
    """int64, N x 2: pixels down and right."""
    affine: np.ndarray | None = None
    """float32, N x 2 x 3: the source of pixel (row, column, 1); flips and shifts are included."""
    color_jitter: np.ndarray | None = None
    """float32, N x 4: factors of brightness, contrast and saturation; shift of the hue."""
    levels: np.ndarray | None = None
    """float32, N x 3: autocontrast (0 or 1), posterize (bits left), solarize (inverted from this level)."""
    fill_boxes: np.ndarray | None = None
    """int64, N x K x 4: boxes filled with one color."""
    fill_colors: np.ndarray | None = None
    """uint8, N x K x C: their colors."""
    mixup_lambda: np.ndarray | None = None
    """float32, N: the weight of the image itself, outside its CutMix box."""
    cutmix_boxes: np.ndarray | None = None
    """int64, N x 4: the box that is pasted from the partner."""
    label_lambda: np.ndarray | None = None
    """float32, N: the weight of the image's own label."""

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, positions: slice | np.ndarray) -> "Draws":
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        selected = {name: array[positions] for name, array in arrays.items() if array is not None}
        return dataclasses.replace(self, **selected)


def draw(seed: int, epoch: int, order: np.ndarray, shape: ShapeHWC, config: AugmentConfig) -> Draws:
    """Draw the numbers of one epoch over images of `shape` (H, W, C) in `order` (N image numbers).

    Raises:
        DataError: if the settings do not fit images of this shape.
    """
    check_fits(config, shape)
    streams = _EpochStreams(seed, epoch, len(order))
    flips, shifts = _draw_flips(streams, order, config), _draw_shifts(streams, config)
    operations = None
    if config.strength:
        operations = randaugment.draw_operations(streams.uniform("strength", 4), config.strength, shape)
    fill_boxes, fill_colors = _draw_fills(streams, shape, config)
    mixup_lambda, cutmix_boxes, label_lambda = _draw_mixing(streams, shape, config)
    return Draws(
        flips,
        shifts,
        affine=_draw_affine(streams, flips, shifts, shape, config, operations),
        color_jitter=_draw_color_jitter(streams, config, operations),
        levels=operations.levels if operations else None,
        fill_boxes=fill_boxes,
        fill_colors=fill_colors,
        mixup_lambda=mixup_lambda,
        cutmix_boxes=cutmix_boxes,
        label_lambda=label_lambda,
    )


@dataclass(frozen=True)
class _EpochStreams:
    """The random streams of one epoch, one for each kind of augmentation."""

    seed: int
    epoch: int
    count: int

    def stream(self, kind: str) -> np.random.Generator:
        return stream(self.seed, "augment", kind, self.epoch)

    def uniform(self, kind: str, columns: int) -> np.ndarray:
        """Numbers in [0, 1), count x columns. Drawn row by row, so that a shorter epoch has the same first rows."""
        return self.stream(kind).random((self.count, columns))

    def between(self, kind: str, low: float, high: float) -> np.ndarray:
        """A number from `low` to `high` for each position."""
        return low + self.uniform(kind, 1)[:, 0] * (high - low)


def _draw_flips(streams: _EpochStreams, order: np.ndarray, config: AugmentConfig) -> np.ndarray:
    if not config.flip:
        return np.zeros(streams.count, bool)
    if config.flip == "alternate":
        # By image number, not by position, so that each image is mirrored in exactly every second epoch.
        first = stream(streams.seed, "augment", "flip", 0).random(int(order.max()) + 1) < 0.5
        return first[order] ^ bool(streams.epoch % 2)
    return streams.stream("flip").random(streams.count) < 0.5


def _draw_shifts(streams: _EpochStreams, config: AugmentConfig) -> np.ndarray:
    if not config.crop:
        return np.zeros((streams.count, 2), np.int64)
    return streams.stream("crop").integers(-config.crop, config.crop + 1, (streams.count, 2))


def _draw_affine(
    streams: _EpochStreams,
    flips: np.ndarray,
    shifts: np.ndarray,
    shape: ShapeHWC,
    config: AugmentConfig,
    operations: Operations | None,
) -> np.ndarray | None:
    """The inverse of flip, shift, rotation, scale and operations, N x 2 x 3; None if copying whole pixels is enough."""
    if not config.rotate and not config.scale and not operations:
        return None
    degrees = streams.between("rotate", -config.rotate, config.rotate)
    scales = streams.between("scale", 1 - config.scale, 1 + config.scale)
    inverse = affine.inverse_flip(flips, shape) @ affine.inverse_shift(shifts)
    inverse = inverse @ affine.inverse_rotation(degrees, scales, shape)
    return (inverse @ operations.affine if operations else inverse)[:, :2].astype(np.float32)


def _draw_color_jitter(
    streams: _EpochStreams, config: AugmentConfig, operations: Operations | None
) -> np.ndarray | None:
    """Factors between 1 - x and 1 + x, never below 0, and a shift of the hue between -x and x, N x 4."""
    widths = {"brightness": config.brightness, "contrast": config.contrast, "saturation": config.saturation}
    if not any(widths.values()) and not config.hue and not operations:
        return None
    factors = [streams.between(kind, max(0.0, 1 - width), 1 + width) for kind, width in widths.items()]
    jitter = np.stack([*factors, streams.between("hue", -config.hue, config.hue)], 1)
    if operations:
        jitter[:, :3] *= operations.color_factors
    return jitter.astype(np.float32)


def _draw_fills(
    streams: _EpochStreams, shape: ShapeHWC, config: AugmentConfig
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """The boxes of cutout and erasing, N x K x 4, in this order, and their colors, N x K x C."""
    drawn = []
    if config.cutout:
        black = np.zeros((streams.count, shape[2]), np.uint8)
        drawn.append((boxes.cutout_boxes(streams.uniform("cutout", 2), shape, config.cutout), black))
    if config.erase:
        colors = (streams.uniform("erase color", shape[2]) * 256).astype(np.uint8)
        drawn.append((boxes.erasing_boxes(streams.uniform("erase", 5), shape, config.erase), colors))
    if not drawn:
        return None, None
    fill_boxes, fill_colors = zip(*drawn, strict=True)
    return np.stack(fill_boxes, 1), np.stack(fill_colors, 1)


def _draw_mixing(
    streams: _EpochStreams, shape: ShapeHWC, config: AugmentConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | tuple[None, None, None]:
    """`mixup_lambda`, `cutmix_boxes` and `label_lambda`; with both kinds on, each image has one of them, drawn evenly."""
    if not config.mixup and not config.cutmix:
        return None, None, None
    count = streams.count
    mixup_lambda, cutmix_boxes = np.ones(count), np.zeros((count, 4), np.int64)
    is_mixup = np.full(count, bool(config.mixup))
    if config.mixup and config.cutmix:
        is_mixup = streams.stream("mixup or cutmix").random(count) < 0.5
    if config.mixup:
        mixup_lambda = np.where(is_mixup, streams.stream("mixup").beta(config.mixup, config.mixup, count), 1.0)
    if config.cutmix:
        own_share = streams.stream("cutmix").beta(config.cutmix, config.cutmix, count)
        # A stream of their own: Beta's rejection sampling takes a varying count of numbers from its stream.
        centers = (streams.stream("cutmix box").random((count, 2)) * shape[:2]).astype(np.int64)
        sides = np.rint(np.sqrt(1 - own_share)[:, None] * shape[:2]).astype(np.int64)
        cutmix_boxes = np.where(is_mixup[:, None], 0, boxes.clipped_boxes(centers, sides, shape))
    top, bottom, left, right = cutmix_boxes.T
    outside = 1 - (bottom - top) * (right - left) / (shape[0] * shape[1])
    return mixup_lambda.astype(np.float32), cutmix_boxes, (mixup_lambda * outside).astype(np.float32)
