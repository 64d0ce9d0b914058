"""Images that belong together and lie in several parts: of one film, folder or burst, by their names and capture times.

Frames of one film look alike whatever their pixels say. A part that has some of them and training the others measures memory.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from striate.audit.records import ImageRef, SharedGroup

FEWEST = 3  # images of a group
MOST_OF_CLASS, MOST_OF_ALL = 0.5, 0.25  # a larger group is a way of naming, such as cat.0001.jpg or IMG_0001.jpg
BURST_SECONDS = 2.0  # between two images of one burst
_NUMBER = re.compile(r"[\W_]*\d+$")


def shared_groups(images: Sequence[ImageRef], taken: Sequence[str]) -> tuple[SharedGroup, ...]:
    """The groups that lie in several parts, the largest first. `taken`: capture times as EXIF writes them, or empty."""
    by_name: dict[tuple[str, str], list[ImageRef]] = {}
    for image in images:
        for kind, name in _names(image):
            by_name.setdefault((kind, name), []).append(image)
    classes = Counter(image.label for image in images)
    found = [
        _group(kind, name, group)
        for (kind, name), group in by_name.items()
        if kind == "folder" or not _is_naming(group, classes, len(images))
    ]
    found += [_group("capture time", time, group) for time, group in _bursts(images, taken)]
    several = [group for group in found if len(group.counts) > 1 and sum(group.counts.values()) >= FEWEST]
    return tuple(sorted(several, key=lambda group: (-sum(group.counts.values()), group.kind, group.name)))


def _names(image: ImageRef) -> Iterator[tuple[str, str]]:
    """The folder below that of the class, and the beginning of the name before its last number."""
    path = PurePosixPath(image.name)
    if not path.suffix:
        return  # a row of a table, not a file
    folders = path.parts[:-1]
    if image.label in folders and (below := folders[len(folders) - folders[::-1].index(image.label) :]):
        yield "folder", "/".join(below)
    prefix = _NUMBER.sub("", path.stem)
    if prefix and prefix != path.stem:
        yield "name", prefix


def _is_naming(group: Sequence[ImageRef], classes: Mapping[str, int], total: int) -> bool:
    """Whether so many images share a name that it says nothing of a scene."""
    of_class = Counter(image.label for image in group)
    return len(group) > MOST_OF_ALL * total or any(n > MOST_OF_CLASS * classes[name] for name, n in of_class.items())


def _bursts(images: Sequence[ImageRef], taken: Sequence[str]) -> Iterator[tuple[str, list[ImageRef]]]:
    """Images each taken within BURST_SECONDS of the one before."""
    times = [(time, image.row, image) for image, text in zip(images, taken, strict=True) if (time := _time(text))]
    burst: list[ImageRef] = []
    began = last = None
    for time, _, image in sorted(times, key=lambda item: item[:2]):
        if last is None or (time - last).total_seconds() > BURST_SECONDS:
            if began:
                yield began.isoformat(" "), burst
            began, burst = time, []
        burst.append(image)
        last = time
    if began:
        yield began.isoformat(" "), burst


def _time(text: str) -> datetime | None:
    """EXIF's 2026:11:26 09:20:00. Cameras without a clock write zeros, or the day they were made."""
    try:
        return datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _group(kind: str, name: str, images: Sequence[ImageRef]) -> SharedGroup:
    return SharedGroup(kind=kind, name=name, counts=dict(Counter(image.part for image in images)))
