"""What the test images contribute to a difference of accuracies.

A table has a row a seed and a column a test image: whether the run with that seed is right about that image. Seeds and
images are both samples. The mean over such a table varies with both, and a claim about new images has to know both
(the two-way random-effects layout of Scheffe 1959).
"""

import math
from dataclasses import dataclass

import numpy as np

from striate.verdicts.intervals import Interval, t_quantile

Table = np.ndarray  # (seeds, images) of bool, or of differences -1, 0, 1


@dataclass(frozen=True, kw_only=True)
class Components:
    """The mean of a table of seeds and images, and what its variance is made of (mean squares)."""

    mean: float
    of_images: float
    of_seeds: float
    residual: float
    seeds: int
    images: int

    @property
    def variance(self) -> float:
        """Of the mean, over new seeds and new images. At least that over new seeds alone."""
        image_part = max(0.0, self.of_images - self.residual)
        return (image_part + self.of_seeds) / (self.seeds * self.images)

    @property
    def image_variance(self) -> float:
        """The part of it that is due to the choice of the images."""
        return max(0.0, self.of_images - self.residual) / (self.seeds * self.images)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `variance` (Satterthwaite 1946)."""
        n, images = self.seeds - 1, self.images - 1
        parts = [(self.of_seeds, n), (self.of_images, images), (self.residual, n * images)]
        if self.of_images <= self.residual:
            parts = parts[:1]
        spread = sum(square**2 / freedom for square, freedom in parts)
        total = self.variance * self.seeds * self.images
        return total**2 / spread if spread else float(n)


def components(table: Table) -> Components:
    """Of a table with at least two seeds and two images."""
    seeds, images = table.shape
    by_image = table.sum(0, dtype=np.int64) / seeds
    by_seed = table.sum(1, dtype=np.int64) / images
    mean = float(by_seed.mean())
    squares = float(np.square(table, dtype=np.int64).sum()) if table.dtype != np.bool_ else float(table.sum())
    of_images = seeds * float(np.square(by_image - mean).sum())
    of_seeds = images * float(np.square(by_seed - mean).sum())
    rest = max(0.0, squares - seeds * images * mean**2 - of_images - of_seeds)
    return Components(
        mean=mean,
        of_images=of_images / (images - 1),
        of_seeds=of_seeds / (seeds - 1),
        residual=rest / ((seeds - 1) * (images - 1)),
        seeds=seeds,
        images=images,
    )


def differences(first: Table, second: Table) -> Table:
    """1 where only the first is right, -1 where only the second is."""
    return first.astype(np.int8) - second.astype(np.int8)


def new_images_interval(parts: Components, on_these: Interval, confidence: float, scale: float) -> Interval:
    """The interval for new seeds and new images; never narrower than that for new seeds on these images.

    `scale`: a point in the unit of `on_these`.
    """
    half = 100 * scale * t_quantile(confidence, parts.freedom) * math.sqrt(parts.variance)
    half = max(half, on_these.half)
    return Interval(
        mean=on_these.mean,
        low=on_these.mean - half,
        high=on_these.mean + half,
        confidence=on_these.confidence,
        n=on_these.n,
    )


def widened(on_these: Interval, image_variance: float, confidence: float, scale: float) -> Interval:
    """`on_these` with the sampling error of the images added: for an interval that is no t interval, and for arms that were
    tested on images of their own. `scale`: a point in the unit of `on_these`.
    """
    half = math.hypot(on_these.half, 100 * scale * t_quantile(confidence, 1e9) * math.sqrt(image_variance))
    return Interval(
        mean=on_these.mean,
        low=on_these.mean - half,
        high=on_these.mean + half,
        confidence=on_these.confidence,
        n=on_these.n,
    )


def only_one_right(first: Table, second: Table) -> tuple[float, float]:
    """How many images only the first gets right, and how many only the second, as means over the seeds."""
    table = differences(first, second)
    return float((table > 0).sum(1).mean()), float((table < 0).sum(1).mean())
