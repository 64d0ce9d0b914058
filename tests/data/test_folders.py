"""Folders of images: what is read, what is ignored, and what is refused with which words."""

import os

import numpy as np
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data import DataConfig, load
from tests.needs import needs_shared


def load_at(path, **config):
    return load(DataConfig(source=str(path), **config))


def test_classes_are_the_sorted_folders(folder, parts):
    dataset = load_at(folder(parts, ("wren", "Ant", "bee")))
    assert dataset.classes == ("Ant", "bee", "wren")
    images, labels = parts["train"]
    wrens = {image.tobytes() for image in images[labels == 0]}
    assert {image.tobytes() for image in dataset.train.images[dataset.train.labels == 2]} == wrens


def test_three_levels_keep_their_validation_part(folder, parts, pictures):
    dataset = load_at(folder({"train": parts["train"], "val": pictures(6, seed=2), "test": parts["test"]}))
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (30, 6, 9)
    assert dataset.notes == ()


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_validation_without_test_is_the_test_part(folder, parts, name):
    dataset = load_at(folder({"train": parts["train"], name: parts["test"]}))
    assert (len(dataset.train), dataset.validation, dataset.test_size) == (30, None, 9)
    assert dataset.notes == ("the source has no test part: its validation part is the test part",)


def test_flat_folders_lose_a_fifth_of_every_class(folder, parts):
    path = folder({"": parts["train"]})
    dataset = load_at(path)
    opened = dataset.open_test("to count")
    assert np.bincount(dataset.train.labels).tolist() == [8, 8, 8]
    assert np.bincount(opened.labels).tolist() == [2, 2, 2]
    assert "20 %" in dataset.notes[0]
    together = {image.tobytes() for image in (*dataset.train.images, *opened.images)}
    assert together == {image.tobytes() for image in parts["train"][0]}


def test_a_class_may_be_called_train(folder, parts):
    assert load_at(folder({"": parts["train"]}, ("bus", "train", "test"))).classes == ("bus", "test", "train")


def test_hidden_and_other_files_are_ignored_and_deeper_ones_found(folder, parts):
    path = folder({"": parts["train"]})
    before = load_at(path).digest
    (path / ".git").mkdir()
    (path / "a" / ".hidden.png").write_bytes(b"no image")
    (path / "a" / "notes.txt").write_text("no image")
    (path / "a" / "deep").mkdir()
    (path / "a" / "000.png").rename(path / "a" / "deep" / "renamed.PNG")
    assert load_at(path).digest == before


@pytest.mark.parametrize("suffix", ["png", "JPG", "jpeg", "bmp", "webp", "gif", "tif", "TIFF", "ppm"])
def test_every_kind_of_file_is_read(folder, parts, suffix):
    path = folder({"": parts["train"]})
    Image.new("RGB", (8, 8), (200, 100, 50)).save(path / "a" / f"extra.{suffix}")
    dataset = load_at(path)
    assert len(dataset.train) + dataset.test_size == 31


def test_a_relative_path_is_also_looked_for_in_the_data_folder(folder, parts, monkeypatch):
    path = folder(parts)
    monkeypatch.setenv("STRIATE_DATA", str(path.parent))
    assert load_at("folder").digest == load_at(path).digest
    with pytest.raises(DataError, match=r"no 'other/place' here or in .*; give a path that exists"):
        load_at("other/place")


def test_images_of_two_sizes_need_a_size(folder, parts):
    path = folder({"": parts["train"]})
    Image.new("RGB", (9, 8)).save(path / "b" / "wide.png")
    with pytest.raises(DataError, match=r"b/wide.png is 9 x 8 and a/000.png is 8 x 8: .* one size; set data.size"):
        load_at(path)
    assert load_at(path, size=4).train.images.shape[1:] == (4, 4, 3)


def test_a_broken_image_is_named_or_skipped_and_counted(folder, parts):
    path = folder({"": parts["train"]})
    (path / "a" / "torn.png").write_bytes((path / "a" / "000.png").read_bytes()[:60])
    (path / "b" / "text.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"a/torn.png: cannot be read as an image .*; replace .* data.broken: skip"):
        load_at(path)
    dataset = load_at(path, broken="skip")
    assert len(dataset.train) + dataset.test_size == 30
    assert dataset.notes[-1] == "2 broken files skipped: a/torn.png, b/text.jpg"
    with pytest.raises(DataError, match=r"a/torn.png: cannot"):
        load_at(path)  # what was skipped once and is in the cache is not forgiven
    (path / "a" / "torn.png").unlink()
    (path / "b" / "text.jpg").unlink()
    assert load_at(path).digest == dataset.digest


def test_a_decompression_bomb_is_a_broken_image(folder, parts, monkeypatch):
    path = folder({"": parts["train"]})
    Image.new("RGB", (12, 12)).save(path / "a" / "bomb.png")  # Pillow warns
    Image.new("RGB", (20, 20)).save(path / "a" / "worse.png")  # Pillow refuses
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert load_at(path, broken="skip").notes[-1] == "2 broken files skipped: a/bomb.png, a/worse.png"


def test_a_class_of_broken_images_only_is_an_error(folder, parts):
    path = folder(parts)
    for image in (path / "train" / "b").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match="class 'b' has no images in the train part"):
        load_at(path, broken="skip")


def test_a_source_of_broken_images_only_is_an_error(folder, parts):
    path = folder(parts)
    for image in path.glob("train/*/*.png"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match=r"train part: no image could be read; the first broken is train/a/000.png"):
        load_at(path, broken="skip")


def test_an_empty_folder(tmp_path):
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match=r"void: there are no images in class folders here; put them as void/CLASS"):
        load_at(tmp_path / "void")


def test_one_class(folder, parts):
    with pytest.raises(DataError, match="needs at least 2 classes, got only 'a'"):
        load_at(folder({"": (parts["train"][0], parts["train"][1] * 0)}))


def test_a_class_folder_without_images(folder, parts):
    path = folder(parts)
    (path / "train" / "d").mkdir()
    with pytest.raises(DataError, match="train part: class folder 'd' has no images; add some or remove"):
        load_at(path)


def test_test_classes_that_differ(folder, parts):
    path = folder(parts)
    (path / "test" / "b").rename(path / "test" / "B")
    with pytest.raises(DataError, match="the test part must have the classes of the train part, got 'B' too"):
        load_at(path)


def test_a_test_class_that_is_missing(folder, parts):
    images, labels = parts["test"]
    path = folder({"train": parts["train"], "test": (images[labels < 2], labels[labels < 2])})
    dataset = load_at(path)
    assert (dataset.classes, dataset.test_size) == (("a", "b", "c"), 6)
    assert dataset.notes == ("the test part has no images of 'c': no score there for it",)


def test_no_train_folder(folder, parts):
    with pytest.raises(DataError, match="has test, val and no train folder"):
        load_at(folder({"val": parts["train"], "test": parts["test"]}))


def test_two_folders_for_one_part(folder, parts):
    with pytest.raises(DataError, match="'val' and 'valid' are both its validation part"):
        load_at(folder({"train": parts["train"], "val": parts["test"], "valid": parts["test"]}))


def test_too_few_images_to_hold_one_out(folder, parts):
    images, _ = parts["train"]
    with pytest.raises(DataError, match="class 'b' has 1 image, and the test part takes one of each class; add"):
        load_at(folder({"": (images[:5], np.array([0, 0, 0, 0, 1]))}))


def test_a_limit_too_small_for_the_classes(folder, parts):
    with pytest.raises(DataError, match=r"data.limit: 3 classes need at least 6 images, got 5; raise the limit"):
        load_at(folder(parts), limit=5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "'digit' is neither a known name nor a path that exists; did you mean 'digits'?"),
        ("CIFAR10", "did you mean 'cifar10'?"),
        ("imagenet", "known here: ants_bees, cifar10, cifar100, digits, fashion-mnist, kmnist, mnist, scenes, svhn"),
        ("", "neither a known name"),
        (
            "no/such/folder",
            "there is no 'no/such/folder' here; give a path that exists, or one of digits, cifar10, mnist, ",
        ),
    ],
)
def test_a_name_nobody_knows(name, message):
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        load_at(name)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"must be .npz or .parquet, got '.zip'; or give a folder"):
        load_at(tmp_path / "images.zip")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "~nobody-of-this-name/x",
            "data.source: '~nobody-of-this-name/x' names a user whose home directory is unknown",
        ),
        ("x" * 5000, "cannot be read .*; give a path that can"),
    ],
)
def test_a_path_that_cannot_be(name, message):
    with pytest.raises(DataError, match=message):
        load_at(name)


@pytest.mark.parametrize("function", ["os.walk", "pathlib.Path.iterdir", "pathlib.Path.exists"])
def test_a_folder_that_may_not_be_read(folder, parts, monkeypatch, function):
    """An unreadable class was once left out without a word."""
    path = folder(parts)

    def denied(*args, onerror=None, **_):
        error = PermissionError(13, "Permission denied")
        if onerror is None:
            raise error
        onerror(error)

    monkeypatch.setattr(function, denied)
    with pytest.raises(DataError, match=r"cannot be (listed|read) \(Permission denied\)"):
        load_at(path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\x1b[31mb", r"\x1b"), ("a\nb", r"\n"), ("a\u202eb", r"\u202e"), (os.fsdecode(b"a\xff"), r"\udcff")],
)
def test_a_class_name_that_cannot_be_printed(folder, parts, name, shown):
    path = folder(parts, ("x", "y", name))
    message = f"{path}: a class name must not contain the control character {shown}, got '.*'; rename the class"
    with pytest.raises(DataError, match=message.replace("\\", r"\\")) as caught:
        load_at(path)
    assert str(caught.value).isprintable()


def test_a_file_name_that_cannot_be_printed_is_escaped(folder, parts):
    path = folder({"": parts["train"]}, name="red\x1b[31m")
    (path / "a" / "torn\x1b\n.png").write_bytes(b"no image")
    dataset = load_at(path, broken="skip")
    assert dataset.notes[-1] == r"1 broken file skipped: a/torn\x1b\n.png"
    assert dataset.name == r"red\x1b[31m"
    with pytest.raises(DataError, match=r"a/torn\\x1b\\n.png: cannot be read as an image"):
        load_at(path)


def test_real_photographs_of_many_sizes():
    path = needs_shared("ants_bees")
    dataset = load_at(path, size=64)
    assert dataset.classes == ("ants", "bees")
    assert (len(dataset.train), dataset.test_size, dataset.train.images.shape[1:]) == (245, 153, (64, 64, 3))
    with pytest.raises(DataError, match="images must have one size"):
        load_at(path)


def test_real_scenes():
    dataset = load_at(needs_shared("scenes"))
    assert len(dataset.classes) == 6
    assert (len(dataset.train), dataset.test_size, dataset.train.images.shape[1:]) == (1800, 480, (100, 100, 3))
