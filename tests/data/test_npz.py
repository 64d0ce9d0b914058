"""Arrays in .npz files: every layout, and every refusal by its words."""

import numpy as np
import pytest

from striate.core.errors import DataError
from striate.data import DataConfig, load


def load_at(path, **config):
    return load(DataConfig(source=str(path), **config))


def test_three_axes_orders_are_one_dataset(npz, pictures):
    images, labels = pictures(30, channels=1)
    digests = {
        load_at(npz("nhw", images=images[..., 0], labels=labels)).digest,
        load_at(npz("nhwc", images=images, labels=labels)).digest,
        load_at(npz("nchw", images=images.transpose(0, 3, 1, 2), labels=labels[:, None])).digest,
        load_at(npz("wide", images=images.astype(np.int64), labels=labels.astype(np.uint8))).digest,
    }
    assert len(digests) == 1


def test_the_layout_of_medmnist(npz, pictures):
    parts = zip(("train", "val", "test"), (pictures(30), pictures(6, 1), pictures(9, 2)), strict=True)
    arrays = {
        f"{name}_{key}": array for name, part in parts for key, array in zip(("images", "labels"), part, strict=True)
    }
    dataset = load_at(npz(**arrays))
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (30, 6, 9)
    assert dataset.classes == ("0", "1", "2")


def test_channels_and_size_are_set(npz, pictures):
    images, labels = pictures(30)
    dataset = load_at(npz(images=images, labels=labels, class_names=np.array(["x", "y", "z"])), channels=1, size=4)
    assert (dataset.height, dataset.width, dataset.channels, dataset.classes) == (4, 4, 1, ("x", "y", "z"))


PLANTED = {
    "floats": (
        {"images": np.ones((6, 8, 8))},
        r"images: pixels must be whole numbers 0 to 255, got float64; if white is 1",
    ),
    "large": (
        {"images": np.full((6, 8, 8), 256)},
        "images: pixels must be whole numbers 0 to 255, got 256 to 256; scale",
    ),
    "axes": ({"images": np.ones((6, 8, 8, 8), np.uint8)}, "with C 1 or 3, got 6 x 8 x 8 x 8; transpose it"),
    "unequal": (
        {"labels": np.array([0, 1])},
        "images and labels must have one length, got 6 and 2; save them together",
    ),
    "words": (
        {"labels": np.array(list("aabbaa"))},
        "labels: must be one whole number an image, got <U1 of 1 dimensions",
    ),
    "one-hot": (
        {"labels": np.eye(6, dtype=int)},
        "labels: must be one whole number an image, got int64 of 2 dimensions",
    ),
    "negative": (
        {"labels": np.array([0, 1, 0, 1, 0, -1])},
        r"labels must be 0 to 1 for 2 classes, got -1 \(1 out of range\)",
    ),
    "beyond": (
        {"class_names": np.array(["a", "b"]), "labels": np.arange(6)},
        r"0 to 1 for 2 classes, got 2 \(4 out of",
    ),
    "from 1": (
        {"labels": np.array([1, 2, 1, 2, 1, 2])},
        "class '0' has no images in the train part; add some or remove",
    ),
    "pickle": ({"images": np.array([None] * 6)}, "cannot be read as an .npz of plain arrays"),
    "one class": ({"labels": np.zeros(6, int)}, "needs at least 2 classes, got only '0'"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named(npz, fault):
    arrays, message = PLANTED[fault]
    good = {"images": np.zeros((6, 8, 8), np.uint8), "labels": np.array([0, 1, 0, 1, 0, 1])}
    assert load_at(npz("good", **good)).test_size == 2  # two classes, one of each
    with pytest.raises(DataError, match=message):
        load_at(npz("planted", **{**good, **arrays}))


def test_keys_that_are_missing(npz):
    with pytest.raises(DataError, match=r"needs the keys x_train, y_train, x_test, y_test; or .*; got pixels"):
        load_at(npz(pixels=np.zeros(3)))
    with pytest.raises(DataError, match="the key y_train is missing, got x_train; add it"):
        load_at(npz(x_train=np.zeros((3, 8, 8), np.uint8)))


def test_a_file_that_is_no_npz(tmp_path):
    for name, content in {"text.npz": b"text", "empty.npz": b"", "torn.npz": b"PK\x03\x04torn"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: cannot be read as an .npz"):
            load_at(tmp_path / name)


def test_a_damaged_archive(npz, pictures, tmp_path):
    """Whatever in it is torn, the error is one sentence."""
    images, labels = pictures(30)
    good = npz(images=images, labels=labels)
    np.savez_compressed(tmp_path / "compressed.npz", images=images, labels=labels)
    whole = (tmp_path / "compressed.npz").read_bytes()
    faults = {
        "deflate": whole[:60] + bytes(200) + whole[260:],
        "header": good.read_bytes().replace(b"'shape': (30, 8, 8, 3), ", b"'shape': (99999999999,), "),
        "method": whole.replace(b"\x08\x00", b"\x63\x00"),
    }
    for name, data in faults.items():
        (tmp_path / f"{name}.npz").write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.npz: cannot be read as an .npz of plain arrays"):
            load_at(tmp_path / f"{name}.npz")


def test_an_archive_that_may_not_be_read(npz, pictures, monkeypatch):
    images, labels = pictures(30)
    path = npz(images=images, labels=labels)
    monkeypatch.setattr("pathlib.Path.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz"):
        load_at(path)


def test_class_names_that_cannot_be_printed(npz, pictures):
    images, labels = pictures(30)
    with pytest.raises(DataError, match=r"arrays.npz: a class name must not contain the control character \\x07"):
        load_at(npz(images=images, labels=labels, class_names=np.array(["x", "y", "bell\x07"])))


def test_class_names_may_be_as_long_as_those_of_imagenet(npz, pictures):
    images, labels = pictures(30)
    names = np.array(["x", "y", "z" * 200])
    assert load_at(npz(images=images, labels=labels, class_names=names)).classes[2] == "z" * 200
    names = np.array(["x", "y", "z" * 201])
    with pytest.raises(DataError, match=r"a class name must have at most 200 characters, got 201: 'z*[.]{3}'; rename"):
        load_at(npz(images=images, labels=labels, class_names=names))
