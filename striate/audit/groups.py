"""Images that belong together: of one film, folder or burst, by their names and capture times; and how a study keeps them together.

Frames of one film look alike whatever their pixels say. A part that has some of them and training the others measures memory.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from striate.audit.records import ImageRef, SharedGroup
from striate.data.groups import FOLDER, path_rule
from striate.data.part_names import part_called

FEWEST = 3  # images of a group
MOST_OF_CLASS, MOST_OF_ALL = 0.5, 0.25  # a larger group is a way of naming, such as cat.0001.jpg or IMG_0001.jpg
BURST_SECONDS = 2.0  # between two images of one burst
_NUMBER = re.compile(r"[\W_]*\d+$")
_ROW = re.compile(r"\.\w+ row \d+$|^image \d+$")
# Values of data.group, tried in this order: the folder, a name before its last number, the same in whatever folder.
RULES = (FOLDER, r"(.*\D)\d+\.\w+$", r"([^/]*[^/\d])\d+\.\w+$")
KeyOf = Callable[[ImageRef], str | int]  # equal for the images of a group, "" for one without


@dataclass(frozen=True)
class Found:
    """A group, by what it belongs together."""

    kind: str
    name: str
    images: Sequence[ImageRef]

    @property
    def record(self) -> SharedGroup:
        return SharedGroup(kind=self.kind, name=self.name, counts=dict(Counter(image.part for image in self.images)))


def find_groups(images: Sequence[ImageRef], taken: Sequence[str]) -> tuple[Found, ...]:
    """All groups, the largest first. `taken`: capture times as EXIF writes them, or empty."""
    by_name: dict[tuple[str, str], list[ImageRef]] = {}
    for image in images:
        for kind, name in _names(image):
            by_name.setdefault((kind, name), []).append(image)
    found = [Found(kind, name, group) for (kind, name), group in by_name.items()]
    found += [Found("capture time", time, group) for time, group in _bursts(images, taken)]
    large = [group for group in found if len(group.images) >= FEWEST]
    return tuple(sorted(large, key=lambda group: (-len(group.images), group.kind, group.name)))


def shared_groups(images: Sequence[ImageRef], taken: Sequence[str]) -> tuple[SharedGroup, ...]:
    """The groups that lie in several parts of the source, the largest first."""
    is_naming = _naming(images)
    several = [group for group in find_groups(images, taken) if len({image.part for image in group.images}) > 1]
    return tuple(group.record for group in several if group.kind != "name" or not is_naming(group.images))


def divided_groups(images: Sequence[ImageRef], taken: Sequence[str], key_of: KeyOf) -> tuple[Found, ...]:
    """The groups in the train part that a study would divide when it draws its parts; `key_of`: what it keeps whole."""
    is_naming = _naming(images)
    train = [image for image in images if image.part == "train"]
    taken_in_train = [taken[image.row] for image in train]
    return tuple(
        found
        for found in find_groups(train, taken_in_train)
        if not is_naming(found.images) and not _is_whole(found, key_of)
    )


def rule_for(groups: Sequence[Found], images: Sequence[ImageRef], parts: int) -> tuple[str, int]:
    """The first of RULES that keeps these groups whole and each class in so many, and how many it keeps; else "" and 0.

    Bursts are kept where a rule for the others does so.
    """
    train = [image for image in images if image.part == "train"]
    for rule in RULES:
        key_of = key_by_path(rule)
        keys: dict[str, set[str | int]] = {label: set() for label in {image.label for image in train}}
        for image in train:
            keys[image.label].add(key_of(image) or image.row)
        broken = [group for group in groups if not _is_whole(group, key_of)]
        kept = len(groups) - len(broken)
        if kept and all(group.kind == "capture time" for group in broken) and min(map(len, keys.values())) >= parts:
            return rule, kept
    return "", 0


def key_by_path(rule: str) -> KeyOf:
    """The group of an image as `data.group` finds it in a path; empty for none."""
    group_of = path_rule(rule)
    return lambda image: group_of("/".join(_below_class(image))) if is_file(image) else ""


def _is_whole(group: Found, key_of: KeyOf) -> bool:
    keys = {key_of(image) for image in group.images}
    return len(keys) == 1 and keys != {""}


def is_file(image: ImageRef) -> bool:
    """Whether it is no row of a table: `train-00000-of-00008.parquet row 7`, `image 7`."""
    return not _ROW.search(image.name)


def _below_class(image: ImageRef) -> tuple[str, ...]:
    """The folders below that of the class, and the file; a folder that says the part counts as above."""
    parts = PurePosixPath(image.name).parts
    folders = parts[:-1]
    if image.label not in folders:
        return parts[-1:]
    below = parts[len(folders) - folders[::-1].index(image.label) :]
    return below[1:] if len(below) > 1 and part_called(below[0]) == image.part else below


def _names(image: ImageRef) -> Iterator[tuple[str, str]]:
    """The folder below that of the class, and the beginning of the name before its last number."""
    if not is_file(image):
        return
    *below, name = _below_class(image)
    if below:
        yield "folder", "/".join(below)
    stem = PurePosixPath(name).stem
    prefix = _NUMBER.sub("", stem)
    if prefix and prefix != stem:
        yield "name", prefix


def _naming(images: Sequence[ImageRef]) -> Callable[[Sequence[ImageRef]], bool]:
    """Whether so many images share a name that it says nothing of a scene."""
    classes = Counter(image.label for image in images)
    return lambda group: _is_naming(group, classes, len(images))


def _is_naming(group: Sequence[ImageRef], classes: Mapping[str, int], total: int) -> bool:
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
