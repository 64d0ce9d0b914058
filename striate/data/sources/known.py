"""Datasets that go by a name: what they must be, and how that is checked.

A checksum is compared wherever one is known. Where none fits the form that the files have, sizes and shape are compared, and
a note says so.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.data.contents import ArrayPart, Contents, SourcePart
from striate.data.dataset import DataConfig
from striate.data.decode import Decoder

DIGITS = tuple("0123456789")
# The fine labels, in the order of their numbers.
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster",
    "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter",
    "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon",
    "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A dataset that goes by a name. `idx_md5`: of its files in the idx format, uncompressed, in the author's order."""

    name: str
    title: str
    sizes: Mapping[str, int]
    shape: tuple[int, int, int]  # rows, columns, channels
    classes: tuple[str, ...]
    torchvision: str  # the class of torchvision.datasets that downloads it
    files: str  # what a user would put into a folder
    idx_md5: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # part -> of images, of labels
    gz_md5: frozenset[str] = frozenset()  # of the packed files, where those of the unpacked ones are not known


_MNIST_SIZES = {"train": 60_000, "test": 10_000}
_IDX_FILES = "train-images-idx3-ubyte.gz and the three files beside it"
KNOWN = {
    known.name: known
    for known in (
        Known(
            "mnist", "MNIST", _MNIST_SIZES, (28, 28, 1), DIGITS, "MNIST", _IDX_FILES,
            {
                "train": ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
                "test": ("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
            },
        ),
        Known(
            "fashion-mnist", "Fashion-MNIST", _MNIST_SIZES, (28, 28, 1),
            ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            "FashionMNIST", _IDX_FILES,
            {
                "train": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
                "test": ("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
            },
        ),
        Known(
            "kmnist", "Kuzushiji-MNIST", _MNIST_SIZES, (28, 28, 1),
            ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), "KMNIST", _IDX_FILES,
            gz_md5=frozenset({
                "bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344", "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            }),
        ),
        Known(
            "svhn", "SVHN", {"train": 73_257, "test": 26_032}, (32, 32, 3), DIGITS, "SVHN",
            "train_32x32.mat and test_32x32.mat",
        ),
        Known(
            "cifar100", "CIFAR-100", {"train": 50_000, "test": 10_000}, (32, 32, 3), CIFAR100_CLASSES, "CIFAR100",
            "cifar-100-python.tar.gz",
        ),
    )
}  # fmt: skip


def as_known(known: Known, read: Callable[[], Contents]) -> Contents:
    """What `read` returns as arrays, with the classes of `known`, checked to be that dataset.

    Raises:
        DataError: if it is another.
    """
    contents = read()
    cure = "fetch it again, or give its path as data.source if it is meant to be another dataset"
    sizes = {name: len(part.labels) for name, part in contents.parts.items()}
    if sizes != known.sizes:
        expected, found = (
            ", ".join(f"{count:,} {name}" for name, count in which.items()) for which in (known.sizes, sizes)
        )
        raise DataError(f"{contents.location}: {known.title} has {expected} images, got {found}; {cure}")
    parts = {name: _as_array(known, contents.location, name, part) for name, part in contents.parts.items()}
    is_checked = contents.is_checked
    if known.idx_md5 and not is_checked:
        # Parquet and .npz files keep the author's order, as a rule; where they do not, no checksum fits.
        is_checked = all(idx_md5(part) == known.idx_md5[name] for name, part in parts.items())
        is_another = not is_checked and known_by_md5(parts, ()) is not None
        if is_another or (not is_checked and contents.keeps_order):
            rule = f"{contents.location}: its pixels and labels are not those of {known.title} (checksum)"
            raise DataError(f"{rule}; {cure}")
    note = f"{known.title} by its sizes alone: no checksum is known for this form of it"
    return replace(
        contents, classes=known.classes, parts=parts, notes=(*contents.notes, *(() if is_checked else (note,)))
    )


def known_by_md5(parts: Mapping[str, ArrayPart], files: Iterable[Path]) -> Known | None:
    """The dataset that these arrays are, by the checksums of its idx files, unpacked or packed."""
    checksums, packed = {name: idx_md5(part) for name, part in parts.items()}, {file_md5(file) for file in files}
    for known in KNOWN.values():
        if (known.idx_md5 and known.idx_md5 == checksums) or (known.gz_md5 and known.gz_md5 == packed):
            return known
    return None


def file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def idx_md5(part: ArrayPart) -> tuple[str, str]:
    """The MD5 of the two files that would hold this part in the idx format: images and labels."""
    images, labels = part.images[..., 0], part.labels.astype(np.uint8)
    return _md5(images), _md5(labels)


def _md5(array: np.ndarray) -> str:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    total = hashlib.md5(header, usedforsecurity=False)
    total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _as_array(known: Known, location: str, name: str, part: SourcePart) -> ArrayPart:
    """A part decoded as it is."""
    rows, columns, channels = known.shape
    with Decoder(DataConfig(source=known.name, channels=1 if channels == 1 else 3)) as decoder:
        chunks = list(decoder.chunks(part))
    decoder.check_broken()
    images = np.concatenate([chunk for chunk, _ in chunks])
    if images.shape[1:] != known.shape:
        expected, found = f"{columns} x {rows}", f"{images.shape[2]} x {images.shape[1]}"
        raise DataError(f"{location}, {name} part: {known.title} has images of {expected}, got {found}; fetch it again")
    return ArrayPart(part.labels[np.concatenate([rows for _, rows in chunks])], images)


@dataclass(frozen=True)
class OwnFolder:
    """A folder of images that built-in studies use and that the user brings: its name, what it holds, where to get it."""

    name: str
    holds: str
    get: str


OWN_FOLDERS = {
    folder.name: folder
    for folder in (
        OwnFolder(
            "ants_bees",
            "photographs of ants and bees in train/ants, train/bees, val/ants and val/bees",
            "get https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        ),
        OwnFolder(
            "scenes",
            "landscapes of six classes (buildings, forest, glacier, mountain, sea, street) in train/CLASS and test/CLASS",
            "get 'Intel Image Classification' from Kaggle (puneet6060/intel-image-classification)",
        ),
    )
}
