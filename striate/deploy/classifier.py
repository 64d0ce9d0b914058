"""A classifier from one run or several: images in, a class and probabilities for each out, in the same order.

    classifier = striate.open("runs/my/wide")
    for prediction in classifier.predict("photos/"):
        print(prediction.file, prediction.label, prediction.probability)

Images are read by chunks, so a folder of any size takes the memory of a few hundred.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from striate.core.errors import DataError
from striate.data import DataConfig, picture
from striate.data.contents import EncodedImage
from striate.data.dataset import Images
from striate.data.decode import CHUNK, Decoded, Decoder
from striate.data.picture import Picture
from striate.deploy.files import expand
from striate.deploy.members import trained_at
from striate.deploy.trained import Rule
from striate.engines.protocol import PIXELS_AT_ONCE

OneOrMore = str | Path | Sequence[str | Path] | Images


class Member(Protocol):
    """A network of a classifier."""

    def logits(self, images: Images) -> np.ndarray:
        """Of uint8 images (N, H, W, C), in float32 (N, classes)."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image. An image that could not be read has an `error` and no probabilities."""

    file: str
    classes: tuple[str, ...]
    probabilities: np.ndarray | None  # of each class, float64
    error: str = ""

    @property
    def label(self) -> str:
        """The name of the most probable class; empty for an image that could not be read."""
        return self.top(1)[0][0] if self.probabilities is not None else ""

    @property
    def probability(self) -> float | None:
        """That of `label`."""
        return None if self.probabilities is None else float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, the highest first; of equal ones, in the order of the classes."""
        if self.probabilities is None:
            return []
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.classes[index], float(self.probabilities[index])) for index in order]


def open(folder: str | Path, *more: str | Path, device: str = "auto") -> "Classifier":  # noqa: A001
    """The classifier of a model's or a run's folder; of an arm's folder or several folders, the mean of their probabilities.

    Raises:
        RunError: when there is no trained network, or some do not fit together.
        TrainingError: when the device is not there.
    """
    from striate.deploy.pytorch.network import Network

    networks = trained_at([Path(folder), *map(Path, more)])
    members = [Network(each, device) for each in networks]
    return Classifier(networks[0].rule, members, [each.folder for each in networks])


class Classifier:
    """Networks that take the same images; several are an ensemble, whose probabilities are averaged."""

    def __init__(self, rule: Rule, members: Sequence[Member], sources: Sequence[Path]) -> None:
        self.rule, self.members, self.sources = rule, tuple(members), tuple(sources)

    def __repr__(self) -> str:
        return f"<Classifier of {len(self.classes)} classes from {', '.join(map(str, self.sources))}>"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.rule.classes

    def predict(self, images: OneOrMore) -> list[Prediction]:
        """The predictions for a file, a folder, a pattern or several of them, or for uint8 images (N, H, W, C).

        Raises:
            DataError: for an array that holds no images. A file that cannot be read is a prediction with an `error`.
        """
        return list(self.stream(images))

    def stream(self, images: OneOrMore | Iterable[EncodedImage]) -> Iterator[Prediction]:
        """As `predict`, one after another: what has been predicted is not kept."""
        if isinstance(images, np.ndarray):
            decoded: Iterator[Decoded] = _arrays(images, self.rule)
            yield from self._predicted(decoded)
            return
        one_or_more = [images] if isinstance(images, str | Path) else images
        encoded = (
            each for item in one_or_more for each in ([item] if isinstance(item, EncodedImage) else expand(item))
        )
        channels = 1 if self.rule.shape[0] == 1 else 3
        config = DataConfig(source="", channels=channels, size=self.rule.size)
        with Decoder(config, self.rule.bits) as decoder:
            yield from self._predicted(each for chunk in decoder.decode_files(encoded) for each in chunk)

    def probabilities(self, images: Images) -> np.ndarray:
        """Of uint8 images (N, H, W, C) of the networks' shape, in float64 (N, classes)."""
        return np.mean([softmax(member.logits(images)) for member in self.members], axis=0)

    def _predicted(self, images: Iterable[Decoded]) -> Iterator[Prediction]:
        waiting: list[Decoded | Prediction] = []
        # Whole batches of the engine's own evaluation, so that the last bits are those of the run.
        _, height, width = self.rule.shape
        batch = max(1, PIXELS_AT_ONCE // (height * width))
        most, good = batch * max(1, CHUNK // batch), 0
        for image in images:
            reason = image.reason or self._misfit(image)
            waiting.append(Prediction(image.name, self.classes, None, reason) if reason else image)
            good += not reason
            if good == most or len(waiting) == 2 * most:
                yield from self._answered(waiting)
                waiting, good = [], 0
        yield from self._answered(waiting)

    def _answered(self, waiting: Sequence[Decoded | Prediction]) -> Iterator[Prediction]:
        pixels = [
            each.result.pixels for each in waiting if isinstance(each, Decoded) and isinstance(each.result, Picture)
        ]
        rows = iter(self.probabilities(np.stack(pixels)) if pixels else ())
        for each in waiting:
            if isinstance(each, Prediction):
                yield each
                continue
            row = next(rows)
            if np.isfinite(row).all():
                yield Prediction(each.name, self.classes, row)
            else:
                yield Prediction(each.name, self.classes, None, "the network's outputs are not finite numbers")

    def _misfit(self, image: Decoded) -> str:
        """Why a decoded image cannot be given to the networks; empty if it can."""
        assert isinstance(image.result, Picture)
        height, width, _ = image.result.pixels.shape
        if (height, width) == self.rule.shape[1:]:
            return ""
        return f"is {width} x {height} pixels and must be {self.rule.shape[2]} x {self.rule.shape[1]}, as in training"


def _arrays(images: Images, rule: Rule) -> Iterator[Decoded]:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        got = f"{images.dtype} of shape {images.shape}"
        raise DataError(
            f"images: an array must be uint8, images x height x width x 1 or 3 channels, got {got}; convert it"
        )
    for index, pixels in enumerate(images):
        converted = _converted(pixels, rule)
        yield Decoded(f"image {index}", Picture(converted, None, False, False))


def _converted(pixels: Images, rule: Rule) -> Images:
    is_as_it_is = pixels.shape == (*rule.shape[1:], rule.shape[0])
    return pixels if is_as_it_is else picture.convert(pixels, rule.shape[0], rule.size)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities in float64; rows with a logit that is not finite are not a number."""
    logits = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)
