"""Augmentation as numbers: what is drawn, apart from how an engine applies it.

The draws of an epoch are decided by (seed, epoch) and the place in the epoch's order, so every engine, every
arm and every batch size gives image k of epoch e the same treatment. `apply` is the reference in NumPy.
"""

from dataclasses import dataclass

import numpy as np

from striate.core.seeds import stream


@dataclass(frozen=True)
class Draws:
    """For each place in the epoch: mirrored or not, and the shift in pixels (down, right)."""

    flips: np.ndarray  # bool, N
    shifts: np.ndarray  # int64, N x 2

    def __getitem__(self, places: slice) -> "Draws":
        return Draws(self.flips[places], self.shifts[places])


def draw(seed: int, epoch: int, count: int, *, flip: bool, crop: int) -> Draws:
    """The draws of one epoch over `count` images; each kind has its own stream, so one does not move the other."""
    flips = stream(seed, "augment", "flip", epoch).random(count) < 0.5 if flip else np.zeros(count, bool)
    shifts = (
        stream(seed, "augment", "crop", epoch).integers(-crop, crop + 1, (count, 2))
        if crop
        else np.zeros((count, 2), np.int64)
    )
    return Draws(flips, shifts)


def apply(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Images (N, H, W, C) mirrored, then shifted, black coming in at the edges."""
    done = np.zeros_like(images)
    height, width = images.shape[1:3]
    for i, (flip, (down, right)) in enumerate(zip(draws.flips, draws.shifts, strict=True)):
        image = images[i, :, ::-1] if flip else images[i]
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        from_rows, from_columns = (
            slice(max(-down, 0), height + min(-down, 0)),
            slice(max(-right, 0), width + min(-right, 0)),
        )
        done[i, rows, columns] = image[from_rows, from_columns]
    return done
