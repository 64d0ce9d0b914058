"""The images of a question: uint8 as they are shown, normalized as the network gets them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import DataError
from striate.data.dataset import Images, Labels

# Values of the images that are run together: 250 of 3x32x32.
VALUES_AT_ONCE = 250 * 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images (N, H, W, C) with their labels, and how pixels are normalized: (pixel / 255 - mean) / std for each channel.

    `rows` are the images that are asked about, by their index in the part of the dataset that `title` names; all, by default.
    """

    images: Images
    labels: Labels
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]
    title: str = "images"
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def indices(self) -> np.ndarray:
        return np.arange(len(self.images)) if self.rows is None else self.rows

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, height, width, channels = self.images.shape
        return channels, height, width

    def of_class(self, name: str) -> "ImageSet":
        """Only the images of one class.

        Raises:
            DataError: for a class that does not exist, or has no image here.
        """
        if name not in self.classes:
            raise DataError(f"class '{name:.60}': there is none; the classes are {', '.join(self.classes)}")
        rows = self.indices[self.labels[self.indices] == self.classes.index(name)]
        if not len(rows):
            raise DataError(f"class '{name}': has no image in {self.title}; take another part")
        return self.at(rows, f"{self.title} of class {name}")

    def first(self, count: int) -> "ImageSet":
        """The first `count` images."""
        return self if count >= len(self) else self.at(self.indices[:count], f"the first {count:,} of {self.title}")

    def at(self, rows: np.ndarray, title: str = "images") -> "ImageSet":
        """The images of these indices."""
        return replace(self, rows=rows, title=title)

    def normalized(self, indices: np.ndarray) -> Tensor:
        """Images as the network gets them, (N, C, H, W)."""
        return self.normalize(self.images[indices])

    def normalize(self, images: Images) -> Tensor:
        """uint8 (N, H, W, C) as the network gets it."""
        scale, shift = (torch.from_numpy(v.astype(np.float32)) for v in (1 / (255 * self.std), -self.mean / self.std))
        pixels = torch.from_numpy(np.array(images)).float()
        return torch.addcmul(shift, pixels, scale).permute(0, 3, 1, 2)

    def batches(self) -> Iterator[tuple[np.ndarray, Tensor]]:
        """All images in order, in batches of bounded size: their indices, and what the network gets."""
        size = max(1, VALUES_AT_ONCE // int(np.prod(self.images.shape[1:])))
        indices = self.indices
        for start in range(0, len(indices), size):
            batch = indices[start : start + size]
            yield batch, self.normalized(batch)
