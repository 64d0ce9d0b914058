"""Folders as people have them: each is made by a function here, with the note or the refusal that it must get.

`python -m tests.data.odd_folders FOLDER` writes all of them, to try the commands on.
"""

import io
import json
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

RNG_SIDE = 8


@dataclass(frozen=True)
class Odd:
    """A folder and what must be said of it. `sizes` are those of train, validation and test; None: it is refused."""

    make: Callable[[Path], Path | None]
    says: str  # a regular expression, of a note or of the refusal; "" for no note at all
    sizes: tuple[int, int, int] | None = None
    classes: tuple[str, ...] = ("ants", "bees")
    config: tuple[tuple[str, object], ...] = ()


ODD: dict[str, Odd] = {}


def odd(says: str, sizes=None, classes=("ants", "bees"), **config):
    """Register a function that fills a folder. It may return the path to load, if that is not the folder itself."""

    def register(make):
        ODD[make.__name__.replace("_", " ")] = Odd(make, says, sizes, classes, tuple(config.items()))
        return make

    return register


def noise(seed, side=RNG_SIDE):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def save(path: Path, seed: int, kind: str | None = None, **options) -> None:
    """An image that no other seed has, with the content of `kind` whatever its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed)).save(path, kind or Image.registered_extensions()[path.suffix.lower()], **options)


def fill(folder: Path, count: int = 4, classes=("ants", "bees"), seed: int = 0, suffix: str = ".png") -> None:
    for i, name in enumerate(classes):
        for j in range(count):
            save(folder / name / f"{j}{suffix}", seed + 100 * i + j)


def parts(folder: Path, *names: str, classes=("ants", "bees")) -> None:
    """Train with 4 of each class, every other part with 2."""
    for i, name in enumerate(names):
        fill(folder / name, 4 if i == 0 else 2, classes, seed=1000 * i)


# Parts under other names


@odd("the source has no test part: its validation part is the test part", (8, 0, 4))
def dev_as_validation(folder):
    parts(folder, "train", "dev")


@odd("", (8, 4, 4))
def training_eval_and_testing(folder):
    parts(folder, "Training", "eval", "testing")


@odd("", (8, 0, 4))
def seg_train_twice(folder):
    parts(folder, "seg_train/seg_train", "seg_test/seg_test")


@odd("'extra' has 4 images and belongs to no part; name it train, validation or test, or move it away")
def part_of_no_name(folder):
    parts(folder, "train", "test", "extra")


@odd("'test' has 1 image and no class folders; sort them into class folders, or give the train folder alone")
def test_without_labels(folder):
    parts(folder, "train")
    save(folder / "test" / "1.png", 7)


@odd("", (8, 0, 4))
def parts_below_classes(folder):
    for name in ("ants", "bees"):
        fill(folder / name, 4, ("train",), seed=100 * ord(name[0]))
        fill(folder / name, 2, ("test",), seed=100 * ord(name[0]) + 50)


@odd("class 'ants' has train and test folders in it, and class 'bees' has none; sort all classes alike")
def parts_below_one_class(folder):
    fill(folder / "ants", 2, ("train", "test"))
    fill(folder, 2, ("bees",), seed=500)


@odd("class 'ants' has train and test folders in it, and 'ants/testing' belongs to no part of its own; rename it")
def parts_below_classes_twice(folder):
    fill(folder / "ants", 2, ("train", "test", "testing"))
    fill(folder / "bees", 2, ("train", "test"), seed=500)


@odd("", (8, 0, 4))
def one_folder_around_the_parts(folder):
    parts(folder / "archive", "train", "test")


@odd("the test part must have the classes of the train part, got 'wasps' too")
def unknown_class(folder):
    parts(folder, "train")
    fill(folder / "test", 1, ("ants", "wasps"), seed=900)


@odd("the test part has no images of 'bees': no score there for it", (8, 0, 2))
def absent_class(folder):
    parts(folder, "train")
    fill(folder / "test", 2, ("ants",), seed=900)


# Files of other kinds


@odd("20 %", (14, 0, 4))
def every_suffix_of_jpeg(folder):
    fill(folder, 3)
    for i, suffix in enumerate([".jfif", ".jpe", ".JPEG"]):
        for j, name in enumerate(("ants", "bees")):
            save(folder / name / f"more{suffix}", 300 + 10 * i + j, "JPEG")
    (folder / "ants" / "no_suffix").write_bytes((folder / "ants" / "0.png").read_bytes())
    save(folder / "bees" / "wrong.txt", 400, "PNG")
    save(folder / "bees" / "0.avif", 401, "AVIF")
    save(folder / "ants" / "png_in_fact.jpg", 402, "PNG")
    save(folder / "ants" / "1.jp2", 403, "JPEG2000")
    save(folder / "bees" / "2.pgm", 404, "PPM")


@odd(r"not read, as no images: 6 \.txt and 1 \.NEF file|camera raw", (6, 0, 2))
def labels_of_another_program(folder):
    fill(folder)
    for i in range(6):
        (folder / "ants" / f"{i}.txt").write_text("0 0.5 0.5 1 1")
    (folder / "bees" / "sensor.NEF").write_bytes(b"II*\0" + bytes(100))


@odd("not read, as hidden or left by other programs: \\.DS_Store, __MACOSX/, ants/Thumbs\\.db", (6, 0, 2))
def left_by_programs(folder):
    fill(folder)
    (folder / "__MACOSX" / "ants").mkdir(parents=True)
    (folder / "__MACOSX" / "ants" / "._0.png").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "ants" / "Thumbs.db").write_bytes(b"x")


@odd("2 images outside class folders not read: sample.jpg, teaser.png", (6, 0, 2))
def images_beside_the_classes(folder):
    fill(folder)
    save(folder / "teaser.png", 900)
    save(folder / "sample.jpg", 901)


@odd("", (6, 0, 2))
def linked_folders(folder):
    fill(folder.parent / f"{folder.name} elsewhere")
    folder.mkdir(parents=True)
    for name in ("ants", "bees"):
        (folder / name).mkdir()
        (folder / name / "link").symlink_to(folder.parent / f"{folder.name} elsewhere" / name)
        (folder / name / "loop").symlink_to(folder)


@odd(r"1 file has several pictures, of which the first is read: ants/film\.gif", (7, 0, 2))
def animated(folder):
    fill(folder)
    frames = [Image.fromarray(noise(900 + i)) for i in range(3)]
    frames[0].save(folder / "ants" / "film.gif", save_all=True, append_images=frames[1:])


# Pixels and metadata


@odd("2 images are transparent in places, where the colors below are read: ants/0.png, bees/1.png", (6, 0, 2))
def transparent(folder):
    fill(folder)
    for name in ("ants/0.png", "bees/1.png", "bees/2.png"):
        image = Image.open(folder / name).convert("RGBA")
        if name != "bees/2.png":  # with an alpha channel that hides nothing
            image.putpixel((3, 3), (0, 255, 0, 0))
        image.save(folder / name)


def _deep(folder, top, mode="gray"):
    for i, name in enumerate(("ants", "bees")):
        (folder / name).mkdir(parents=True)
        for j in range(4):
            values = np.random.default_rng(10 * i + j).integers(0, top, (8, 8), dtype=np.uint16)
            values[0, :3] = 40, 200, top
            Image.fromarray(values).save(folder / name / f"{j}.png" if mode == "gray" else folder / name / f"{j}.tif")


@odd(
    "8 images have 16 bits a channel: their largest value is 4,000, so 12 bits are taken as the range; .* by 16",
    (6, 0, 2),
)
def twelve_bits_in_sixteen(folder):
    _deep(folder, 4000)


@odd("their largest value is 60,000, so 16 bits are taken as the range; values are divided by 256", (6, 0, 2))
def sixteen_bits_in_tiff(folder):
    _deep(folder, 60_000, "tiff")


def png_16_bit_color(values):
    """A PNG file of H x W x 3 values of 16 bits, written from scratch: Pillow writes none."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@odd("so 12 bits are taken as the range; values are divided by 16", (6, 0, 2))
def twelve_bits_in_color(folder):
    for i, name in enumerate(("ants", "bees")):
        (folder / name).mkdir(parents=True)
        for j in range(4):
            values = np.random.default_rng(10 * i + j).integers(0, 4096, (8, 8, 3), dtype=np.uint16)
            (folder / name / f"{j}.png").write_bytes(png_16_bit_color(values))


@odd(r"ants/float\.tif: cannot be read as an image \(pixels are floating point; save it with 8 bits")
def floating_point(folder):
    fill(folder)
    Image.fromarray(np.ones((8, 8), np.float32)).save(folder / "ants" / "float.tif")


def exif_not_to_be_written():
    """EXIF with the orientation 6 and a width below zero, which Pillow reads and cannot write."""
    entries = struct.pack("<HHHIi", 2, 0x0100, 9, 1, -5) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries + bytes(4)


@odd("20 %", (6, 0, 2))
def exif_that_cannot_be_written(folder):
    fill(folder, 4, suffix=".jpg")
    for path in folder.glob("*/*.jpg"):
        Image.open(path).save(path, "JPEG", exif=exif_not_to_be_written())


@odd(r"ants/1\.png: cannot be read as an image .*, nor can bees/2\.png .*, bees/text\.jpg .*; replace or delete them")
def broken_files(folder):
    fill(folder)
    for name in ("ants/1.png", "bees/2.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    (folder / "bees" / "text.jpg").write_text("no image")


@odd("3 broken files skipped: ants/1.png, bees/2.png, bees/text.jpg", (4, 0, 2), broken="skip")
def broken_files_skipped(folder):
    broken_files(folder)


# The same image more than once


@odd("2 images of the train part are copies of others in it", (8, 0, 4))
def copies_in_training(folder):
    parts(folder, "train", "test")
    for name in ("ants", "bees"):
        (folder / "train" / name / "copy.png").write_bytes((folder / "train" / name / "0.png").read_bytes())
        (folder / "train" / name / "1.png").unlink()


@odd("1 image has two labels: 'ants' and 'bees'", (9, 0, 4))
def two_labels(folder):
    parts(folder, "train", "test")
    (folder / "train" / "bees" / "ant.png").write_bytes((folder / "train" / "ants" / "0.png").read_bytes())


@odd("1 image is in the test part and, pixel by pixel, also in the train part", (8, 0, 4))
def copy_in_the_test_part(folder):
    parts(folder, "train", "test")
    (folder / "test" / "ants" / "0.png").write_bytes((folder / "train" / "ants" / "0.png").read_bytes())


# Other forms


def _arrays(folder, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "arrays.npz", **arrays)
    return folder / "arrays.npz"


def _pair(count, seed, names=("x", "y")):
    images = np.stack([noise(seed + i) for i in range(count)])
    return {names[0]: images, names[1]: np.arange(count) % 2}


@odd("", (6, 4, 2), ("0", "1"))
def x_val(folder):
    return _arrays(
        folder,
        **_pair(6, 0, ("x_train", "y_train")),
        **_pair(4, 100, ("x_val", "y_val")),
        **_pair(2, 200, ("X_test", "Y_test")),
    )


@odd("'x_extra' belongs to no part; name it after train, validation or test, or take it out")
def x_extra(folder):
    return _arrays(folder, **_pair(6, 0, ("x_train", "y_train")), **_pair(4, 100, ("x_extra", "y_extra")))


@odd("arrays not read: ids, mean_image", (6, 0, 2), ("cat", "dog"))
def class_names_as_bytes(folder):
    return _arrays(
        folder,
        **_pair(8, 0, ("images", "labels")),
        class_names=np.array([b"cat", b"dog"]),
        ids=np.arange(8),
        mean_image=np.ones((8, 8, 3)),
    )


def _parquet(path, images, labels, names=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": images, "label": labels})
    if names:
        features = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path)


def _encoded(count, seed):
    encoded = []
    for i in range(count):
        buffer = io.BytesIO()
        Image.fromarray(noise(seed + i)).save(buffer, "PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    return encoded


@odd("not read, beside the parquet files: README.md", (6, 0, 4), ("0", "1"))
def the_hub_s_own_layout(folder):
    _parquet(folder / "default" / "train" / "0000.parquet", _encoded(6, 0), [0, 1] * 3)
    _parquet(folder / "default" / "test" / "0000.parquet", _encoded(4, 100), [0, 1] * 2)
    (folder / "README.md").write_text("# data")


@odd(r"holds the parquet files of 2 datasets \('large', 'small'\); give the folder of one")
def two_configurations(folder):
    for config in ("small", "large"):
        _parquet(folder / config / "train" / "0000.parquet", _encoded(6, 0), [0, 1] * 3)


@odd("has parquet files of the test and validation part and none of the train part; add them, or give the file of one")
def no_train_part(folder):
    _parquet(folder / "validation.parquet", _encoded(6, 0), [0, 1] * 3)
    _parquet(folder / "test.parquet", _encoded(4, 100), [0, 1] * 2)


@odd("", (6, 0, 4), ("ant", "bee"))
def classes_in_another_order(folder):
    _parquet(folder / "train.parquet", _encoded(6, 0), [0, 1] * 3, ("ant", "bee"))
    _parquet(folder / "test.parquet", _encoded(4, 100), [1, 2, 1, 2], ("wasp", "bee", "ant"))


@odd("the test part must have the classes of the train part, got 'wasp' too; remove its rows")
def classes_of_another_part(folder):
    _parquet(folder / "train.parquet", _encoded(6, 0), [0, 1] * 3, ("ant", "bee"))
    _parquet(folder / "test.parquet", _encoded(4, 100), [0, 1] * 2, ("bee", "wasp"))


@odd(r"row 1: has no image, only a path to one \('img/1.png'\); write the images into the file, or give the folder")
def images_by_path(folder):
    encoded = _encoded(6, 0)
    encoded[1] = {"bytes": None, "path": "img/1.png"}
    _parquet(folder / "train.parquet", encoded, [0, 1] * 3)


# Classes of unequal size


@odd("'bees' has 3 of 63 training images", (63, 0, 4))
def unequal_classes(folder):
    fill(folder / "train", 60, ("ants",))
    fill(folder / "train", 3, ("bees",), seed=5000)
    fill(folder / "test", 2, seed=9000)


def write_all(folder: Path) -> dict[str, Path]:
    """Write every folder below `folder`; returns what is to be loaded, by name."""
    return {
        name: case.make(folder / name.replace(" ", "-")) or folder / name.replace(" ", "-")
        for name, case in ODD.items()
    }


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
