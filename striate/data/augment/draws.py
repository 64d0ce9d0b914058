"""What is drawn for the images of an epoch, as arrays with one entry for each place of its order."""

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draws:
    """How each image is augmented. None is a step that is off; K boxes and C channels an image.

    A box is (top, bottom, left, right) in pixels, the second and the last not included.
    """

    flips: np.ndarray  # bool, N: mirrored left to right
    shifts: np.ndarray  # int64, N x 2: pixels down and right
    maps: np.ndarray | None = None  # float32, N x 2 x 3: the source of (row, column, 1); flips and shifts are in it
    colors: np.ndarray | None = None  # float32, N x 4: factors of brightness, contrast, saturation; turn of the hue
    levels: np.ndarray | None = None  # float32, N x 3: autocontrast (0 or 1), posterize (bits), solarize (from level)
    boxes: np.ndarray | None = None  # int64, N x K x 4: what is painted over
    fills: np.ndarray | None = None  # uint8, N x K x C: with which color
    mixup_lambda: np.ndarray | None = (
        None  # float32, N: the weight of the image itself where its partner is not pasted in
    )
    pasted: np.ndarray | None = None  # int64, N x 4: the box that is the partner's
    label_lambda: np.ndarray | None = None  # float32, N: how much of the mixed picture is the image itself

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, places: slice | np.ndarray) -> "Draws":
        held = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        there = {name: array[places] for name, array in held.items() if array is not None}
        return dataclasses.replace(self, **there)
