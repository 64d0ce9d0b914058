"""What an audit found, as records: images by name and part, copies, pairs that look alike, flawed images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from striate.data.canonical_order import PARTS


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRef:
    """One image of the source."""

    row: int  # among all images that could be read, part by part
    part: str
    name: str  # the file, or the file and its row
    label: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """An image to look at, and why."""

    kind: str  # a key of KINDS
    part: str
    name: str
    detail: str
    image: ImageRef | None = None  # None for one that could not be read


KINDS = {
    "broken": "cannot be read",
    "tiny": "tiny",
    "blank": "blank",
    "dark": "dark",
    "odd size": "of an odd size",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """Images with the same decoded pixels."""

    images: tuple[ImageRef, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that have one of them, training first."""
        return tuple(part for part in PARTS if any(image.part == part for image in self.images))

    @property
    def labels(self) -> tuple[str, ...]:
        """Their labels, each once."""
        return tuple(dict.fromkeys(image.label for image in self.images))


@dataclass(frozen=True, kw_only=True, slots=True)
class NearPair:
    """Two images that show the same picture, but not pixel by pixel."""

    first: ImageRef
    second: ImageRef
    score: float
    """How alike they are: 1 for the same picture. Pairs from `Audit.threshold` on count as near duplicates."""
    mirrored: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of both, training first."""
        return tuple(part for part in PARTS if part in (self.first.part, self.second.part))

    @property
    def labels(self) -> tuple[str, ...]:
        """Their labels, each once."""
        return tuple(dict.fromkeys([self.first.label, self.second.label]))


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedGroup:
    """Images that belong together, such as frames of one film, and lie in several parts."""

    kind: str  # by what they belong together: name, folder or capture time
    name: str
    counts: Mapping[str, int]  # images by part


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Everything that was found in a source."""

    name: str
    location: str
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    """Images of each class that could be read, by part."""
    flaws: tuple[Flaw, ...]
    copies: tuple[Copies, ...]
    near: tuple[NearPair, ...] | None
    """The most alike first, those below the threshold left out; None where they were not looked for."""
    threshold: float
    turned: tuple[NearPair, ...] | None = None
    """Pairs that are alike only when one is turned or sheared, chosen by the features of a trained network; None where there are no
    features. About a third of them are two pictures of one kind of thing, so they count as no twins."""
    features: str = ""
    """The network whose features chose them, or why there are none; empty where no study was audited."""
    shared: tuple[SharedGroup, ...] = ()
    """Groups of images by name, folder or capture time that lie in several parts, the largest first."""
    divided: tuple[SharedGroup, ...] = ()
    """Such groups in the train part that a study would divide between the parts that it draws, the largest first."""
    group: str = ""
    """The value of `data.group` that keeps these whole; empty where none of the tried rules does."""
    kept: int = 0
    """How many of the groups it keeps whole; those by capture time may be left."""
    has_paths: bool = True
    """Whether the images are files, whose paths may say their groups; rows of a table need a column for that."""
    notes: tuple[str, ...] = field(default=())

    @property
    def group_cure(self) -> str:
        """What keeps the divided groups whole, as a sentence without its full stop."""
        if not self.has_paths:
            return "add a column that names the group of each image, and write its name after 'group:' under 'data:' in the study file"
        if not self.group:
            return "give each group a folder below that of its class, and write 'group: folder' under 'data:' in the study file"
        kept = "them" if self.kept == len(self.divided) else f"{self.kept:,} of them"
        return f"'group: {self.group}' under 'data:' in the study file keeps {kept} whole"

    @property
    def images(self) -> int:
        """How many images could be read."""
        return sum(map(sum, self.counts.values()))

    @property
    def judged_part(self) -> str:
        """The part that a study would judge by: test, or validation where there is no test part; else none."""
        return next((part for part in ("test", "validation") if part in self.counts), "")

    @property
    def test_twins(self) -> tuple[ImageRef, ...]:
        """The images of the judged part that have a copy or a near duplicate in training, each once."""
        groups: list[Copies | NearPair] = [*self.copies, *(self.near or ())]
        twins = [
            image
            for group in groups
            if {"train", self.judged_part} <= set(group.parts)
            for image in (group.images if isinstance(group, Copies) else (group.first, group.second))
            if image.part == self.judged_part
        ]
        return tuple({image.row: image for image in twins}.values())

    @property
    def two_labels(self) -> tuple[Copies | NearPair, ...]:
        """Copies and near duplicates that have more than one label."""
        groups: list[Copies | NearPair] = [*self.copies, *(self.near or ())]
        return tuple(group for group in groups if len(group.labels) > 1)
