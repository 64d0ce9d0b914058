"""What is known of images before they are decoded: their sizes, from the heads of the files."""

import contextlib
import io
import itertools
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from striate.data.contents import ArrayPart, EncodedImage, SourcePart
from striate.data.loading import find_source

MOST_LOOKED_AT = 400  # images of a part, evenly spread
MOST_DECODED = 16


@dataclass(frozen=True)
class Survey:
    """The sizes of the images of a source."""

    name: str
    location: str
    short_side: int  # the median, in pixels
    one_size: tuple[int, int] | None  # width and height, where all that were looked at have the same
    images: int  # in all parts
    seconds_of_image: float  # to decode one, on one core

    @property
    def is_small_square(self) -> bool:
        """Whether a network takes the images as they are."""
        return self.one_size is not None and self.one_size[0] == self.one_size[1] <= 64


def survey(source: str) -> Survey:
    """Look at a source.

    Raises:
        DataError: when there are no images.
    """
    found = find_source(source)
    contents = found.read()
    sizes = [size for part in contents.parts.values() for size in _sizes(part)]
    shorts = [min(size) for size in sizes] or [1]
    return Survey(
        name=found.name,
        location=found.location,
        short_side=int(statistics.median(shorts)),
        one_size=sizes[0] if len(set(sizes)) == 1 else None,
        images=sum(len(part.labels) for part in contents.parts.values()),
        seconds_of_image=_decode_seconds(contents.parts["train"]),
    )


def _sizes(part: SourcePart) -> Iterator[tuple[int, int]]:
    if isinstance(part, ArrayPart):
        yield part.images.shape[2], part.images.shape[1]
        return
    step = max(1, len(part.labels) // MOST_LOOKED_AT)
    for image in itertools.islice(part.images(), 0, None, step):
        if size := _size(image):
            yield size


def _decode_seconds(part: SourcePart) -> float:
    if isinstance(part, ArrayPart):
        return 0.0
    step = max(1, len(part.labels) // MOST_DECODED)
    started, count = time.perf_counter(), 0
    for image in itertools.islice(part.images(), 0, None, step):
        with contextlib.suppress(Exception), _opened(image) as opened:
            opened.load()
            count += 1
    return (time.perf_counter() - started) / max(1, count)


def _size(image: EncodedImage) -> tuple[int, int] | None:
    """Width and height; None for what is no image, which is reported where it is decoded."""
    with contextlib.suppress(Exception), _opened(image) as opened:  # decoders of broken files raise anything
        return opened.size
    return None


@contextlib.contextmanager
def _opened(image: EncodedImage) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(image.data if isinstance(image.data, Path) else io.BytesIO(image.data)) as opened:
            yield opened
