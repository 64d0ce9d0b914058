"""A run as something to ask: its trained network, the network before training, and the images of one of its splits."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from striate.core.errors import DataError, NetworkError, StriateError
from striate.data import Dataset, Part, Splits, load, mean_std, split
from striate.data.picture import read as read_picture
from striate.explain.images import ImageSet
from striate.explain.traced import TracedNetwork
from striate.explain.trained import module_of, weights_file
from striate.explain.twin import random_twin
from striate.nets.pytorch.build import build
from striate.nets.whitening import whitening_weights
from striate.runs import Run, reader

SplitName = Literal["validation", "train", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
REASON = "to look inside the network; nothing is chosen by it"


@dataclass(frozen=True)
class Subject:
    """One run and one of its splits."""

    run: Run
    images: ImageSet
    split: str
    weights: str  # the file that they are from
    _dataset: Dataset
    _splits: Splits
    _device: torch.device

    @classmethod
    def open(cls, folder: Path, split_name: str = "validation", device: str = "auto", source: str = "") -> "Subject":
        """The run in `folder`, with the weights of its best epoch; `source` says where its images are now, if they were moved.

        Raises:
            RunError: when there is no run, or it has no weights yet.
            DataError: for images that are not those of the run, or a split that does not exist.
        """
        run = reader.read(folder)
        file = weights_file(run).name
        if split_name not in SPLITS:
            raise DataError(f"--split: must be one of {', '.join(SPLITS)}, got '{split_name:.40}'")
        dataset = load(run.job.data.model_copy(update={"source": source}) if source else run.job.data)
        if dataset.digest != run.job.digest:
            raise DataError(f"{source or run.job.data.source}: its images are not those that {folder} was trained with")
        splits = split(dataset, run.job.data.validation, run.seed)
        images = _image_set(dataset, splits, _part(dataset, splits, split_name), f"the {split_name} images")
        return cls(run, images, split_name, file, dataset, splits, _device_of(device))

    @cached_property
    def network(self) -> TracedNetwork:
        """The trained network.

        Raises:
            NetworkError: when the weights are not those of the network.
        """
        return self._traced(module_of(self.run, self.images.input_shape, len(self.images.classes)))

    @cached_property
    def untrained(self) -> TracedNetwork | None:
        """The network as it was before its first step; None if the file that it started from is gone."""
        job = self.run.job
        try:
            module = build(job.network, self.images.input_shape, len(self.images.classes), self.run.seed)
        except NetworkError:
            return None
        whitened = whitening_weights(
            job.network, self.images.input_shape, len(self.images.classes), self._dataset.train.images, self._splits.train,
            self.images.mean, self.images.std,
        )  # fmt: skip
        module.load_state_dict({name: torch.from_numpy(array) for name, array in whitened.items()}, strict=False)
        return self._traced(module)

    @cached_property
    def twin(self) -> TracedNetwork:
        """The same network with random weights."""
        return self._traced(random_twin(self.network.module))

    def image(self, which: str) -> tuple[Tensor, np.ndarray, str]:
        """An image of the split by its index, or of a file: as the network gets it, as uint8 (H, W, C), and its title.

        Raises:
            DataError: for an index that does not exist, or a file that is no image.
        """
        if which.lstrip("-").isdecimal():
            index = int(which)
            if not 0 <= index < len(self.images.images):
                raise DataError(
                    f"--image {which}: must be from 0 to {len(self.images.images) - 1}, the {self.split} images, or a file"
                )
            picture = self.images.images[index]
            label = self.images.classes[int(self.images.labels[index])]
            return self.images.normalize(picture[None])[0], picture, f"image {index} of {self.split} ({label})"
        picture = self._file(Path(which))
        return self.images.normalize(picture[None])[0], picture, Path(which).name

    def _file(self, path: Path) -> np.ndarray:
        channels, height, width = self.images.input_shape
        if height != width:
            raise DataError(
                f"--image {path}: a file is cropped to a square, and the network takes {width} x {height}; give an index"
            )
        try:
            return read_picture(path, channels, height)
        except Exception as error:  # decoders of broken files raise anything
            if isinstance(error, StriateError | MemoryError):
                raise
            raise DataError(
                f"--image {path}: is neither an index of the {self.split} images nor an image that can be read ({error})"
            ) from error

    def _traced(self, module: nn.Module) -> TracedNetwork:
        module.to(self._device)
        for parameter in module.parameters():
            if parameter.dim() == 4:
                # The layout in which convolutions are fastest, as in training.
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return TracedNetwork(module, self.images.input_shape)


def _part(dataset: Dataset, splits: Splits, name: str) -> Part:
    if name == "test":
        return dataset.open_test(REASON)
    return splits.part("train" if name == "train" else "validation")


def _image_set(dataset: Dataset, splits: Splits, part: Part, title: str) -> ImageSet:
    mean, std = mean_std(dataset.train.images, splits.train)
    return ImageSet(
        images=part.images, labels=part.labels, mean=mean, std=std, classes=tuple(dataset.classes), title=title
    )


def _device_of(name: str) -> torch.device:
    is_available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if is_available[kind]))
    if not is_available.get(name):
        usable = ", ".join(kind for kind, is_usable in is_available.items() if is_usable)
        raise NetworkError(f"--device {name}: PyTorch finds no such device here; usable: {usable}")
    return torch.device(name)
