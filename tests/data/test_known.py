"""The small datasets that go by a name, in every form that people have: small ones pass for them here."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torchvision.datasets
from scipy.io import savemat

from striate.core.errors import DataError, MissingData
from striate.data import DataConfig, load, loading
from striate.data.sources import known as known_module
from striate.data.sources import svhn
from striate.data.sources.known import CIFAR100_CLASSES, KNOWN, idx_md5
from tests.data.conftest import _png, pictures
from tests.needs import needs_packaged

IDX_NAMES = {"train": "train", "test": "t10k"}


def load_at(source, **config):
    return load(DataConfig(source=str(source), **config))


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_idx(folder, parts, suffix=".gz", join="-"):
    """The four files, packed if the suffix says so; returns their MD5."""
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for part, (images, labels) in parts.items():
        for kind, array in (("images", images[..., 0]), ("labels", labels)):
            data = idx_bytes(array)
            packed = gzip.compress(data, mtime=0) if suffix == ".gz" else data
            name = f"{IDX_NAMES[part]}-{kind}{join}idx{array.ndim}-ubyte{suffix}"
            (folder / name).write_bytes(packed)
            checksums[name] = hashlib.md5(packed).hexdigest()
    return checksums


@pytest.fixture
def parts():
    return {"train": pictures(30, side=28, channels=1), "test": pictures(9, seed=1, side=28, channels=1)}


@pytest.fixture
def digits_of(parts, monkeypatch):
    """Makes `parts` pass for a dataset: its sizes, classes and checksums are replaced by theirs."""

    def replace_known(name="mnist", is_own=True, **changes):
        small = replace(KNOWN[name], sizes={"train": 30, "test": 9}, classes=("zero", "one", "two"), **changes)
        if small.idx_md5 and is_own:
            of_parts = {part: (idx_md5(loading.ArrayPart(labels, images))) for part, (images, labels) in parts.items()}
            small = replace(small, idx_md5=of_parts)
        monkeypatch.setitem(known_module.KNOWN, name, small)
        monkeypatch.setitem(loading.NAMED_SOURCES, name, functools.partial(loading._known, small))
        return small

    return replace_known


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(loading, "PACKAGED", tmp_path / "packaged")
    return tmp_path / "home"


FORMS = {
    "packed": lambda home, parts: write_idx(home / "mnist", parts),
    "unpacked": lambda home, parts: write_idx(home / "mnist", parts, ""),
    "with a dot": lambda home, parts: write_idx(home / "MNIST", parts, "", "."),
    "as torchvision leaves them": lambda home, parts: (
        write_idx(home / "MNIST" / "raw", parts),
        write_idx(home / "MNIST" / "raw", parts, ""),
    ),
    "in the folder itself": lambda home, parts: write_idx(home, parts),
    "as Debian lays them": lambda home, parts: write_idx(home.parent / "packaged" / "mnist", parts),
    "as Keras saves them": lambda home, parts: _write_npz(home / "mnist", parts),
}


def _write_npz(folder, parts):
    folder.mkdir(parents=True)
    (x_train, y_train), (x_test, y_test) = parts["train"], parts["test"]
    np.savez(folder / "mnist.npz", x_train=x_train[..., 0], y_train=y_train, x_test=x_test[..., 0], y_test=y_test)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_dataset(form, home, parts, digits_of, parquet):
    digits_of()
    FORMS[form](home, parts)
    dataset = load_at("mnist")
    assert (dataset.name, dataset.classes, dataset.train.images.shape) == (
        "mnist",
        ("zero", "one", "two"),
        (30, 28, 28, 1),
    )
    kept = [note for note in dataset.notes if "another copy" not in note]
    assert kept == []
    # Parquet files decode to color unless told otherwise; under the name they are what they are.
    other = parquet(parts, ("x", "y", "z"), name="hub/mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIATE_DATA", str(other.parent))
        assert load_at("mnist").digest == dataset.digest


def test_a_folder_of_idx_files_is_a_source_too(tmp_path, parts, digits_of):
    write_idx(tmp_path / "letters", parts)
    dataset = load_at(tmp_path / "letters")
    assert (dataset.classes, len(dataset.train), dataset.test_size) == (("0", "1", "2"), 30, 9)
    digits_of()
    (tmp_path / "letters").rename(tmp_path / "again")  # under another name nothing is in the cache
    assert load_at(tmp_path / "again").classes == ("zero", "one", "two")


@pytest.mark.parametrize("fault", ["pixel", "label", "size", "torn", "header", "alone", "no train"])
def test_what_is_another_dataset_or_damaged_is_refused(fault, home, parts, digits_of):
    digits_of()
    folder, says = home / "mnist", r"its pixels and labels are not those of MNIST \(checksum\); fetch it again"
    if fault == "pixel":
        parts["train"][0][3, 4, 5, 0] ^= 1
    elif fault == "label":
        parts["test"][1][0] ^= 1
    elif fault == "size":
        parts["test"], says = pictures(8, 1, 28, 1), "MNIST has 30 train, 9 test images, got 30 train, 8 test; fetch it"
    write_idx(folder, parts, "")
    images = folder / "train-images-idx3-ubyte"
    if fault == "torn":
        images.write_bytes(images.read_bytes()[:-1])
        says = r"has 23,519 values, where its header says 30 x 28 x 28; fetch it again"
    elif fault == "header":
        images.write_bytes(b"<!DOCTYPE html>")
        says = "must be an idx file of 3 axes of bytes, begins with 3c 21 44 4f; fetch it again"
    elif fault == "alone":
        (folder / "t10k-labels-idx1-ubyte").unlink()
        says = "the idx file of the test labels is missing; put it beside the others"
    elif fault == "no train":
        for file in folder.glob("train-*"):
            file.unlink()
        says = "has idx files of the test part and none of the train part; add them"
    with pytest.raises(DataError, match=says):
        load_at("mnist")


def test_a_torn_archive_is_one_sentence(home, parts, digits_of):
    digits_of()
    write_idx(home / "mnist", parts)
    path = home / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: cannot be read \(.*\); fetch it again"):
        load_at("mnist")


def test_what_has_no_checksum_says_so(home, parts, digits_of):
    checksums = write_idx(home / "kmnist", parts)
    digits_of("kmnist", gz_md5=frozenset(checksums.values()))
    assert load_at("kmnist").notes == ()
    write_idx(home / "kmnist", parts, "")
    for file in (home / "kmnist").glob("*.gz"):
        file.unlink()
    assert load_at("kmnist").notes == ("Kuzushiji-MNIST by its sizes alone: no checksum is known for this form of it",)


def test_one_dataset_under_the_name_of_another_is_refused(home, parts, digits_of, parquet):
    """Both have the same sizes, and parquet files may have another order."""
    digits_of("fashion-mnist")
    digits_of("mnist", idx_md5={"train": ("0", "0"), "test": ("0", "0")}, is_own=False)
    parquet(parts, name="home/mnist")
    with pytest.raises(DataError, match=r"its pixels and labels are not those of MNIST \(checksum\)"):
        load_at("mnist")
    for images, labels in parts.values():
        images[:], labels[:] = images[::-1].copy(), labels[::-1].copy()
    parquet(parts, name="home/mnist")
    assert load_at("mnist").notes == ("MNIST by its sizes alone: no checksum is known for this form of it",)


def test_a_folder_of_that_name_comes_before_the_name(tmp_path, folder, parts, monkeypatch):
    monkeypatch.chdir(folder(parts, name="mnist").parent)
    assert load_at("mnist").classes == ("a", "b", "c")


def test_a_folder_of_images_of_that_name_is_read_as_any_other(home, folder, parts):
    folder(parts, name="home/mnist")
    assert load_at("mnist").classes == ("a", "b", "c")


@pytest.fixture
def mats(home, parts, digits_of, monkeypatch):
    """SVHN's files, with the digit 0 labeled 10."""
    color = {"train": pictures(30, side=32), "test": pictures(9, seed=1, side=32)}
    digits_of("svhn")
    (home / "svhn").mkdir(parents=True)
    for part, (images, labels) in color.items():
        arrays = {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)}
        savemat(home / "svhn" / svhn.FILES[part], arrays)
    return color


def test_svhn_s_files_and_the_hub_s_are_one_dataset(home, mats, parquet, monkeypatch):
    dataset = load_at("svhn")
    assert (dataset.train.images.shape, dataset.classes) == ((30, 32, 32, 3), ("zero", "one", "two"))
    assert dataset.notes == ("SVHN by its sizes alone: no checksum is known for this form of it",)
    monkeypatch.setattr(
        svhn, "MD5", {part: known_module.file_md5(home / "svhn" / name) for part, name in svhn.FILES.items()}
    )
    (home / "svhn").rename(home / "SVHN")
    (home / "SVHN" / svhn.EXTRA).write_bytes(b"")
    assert load_at("svhn").notes == ("not read: extra_32x32.mat, the easier images beside the training part",)
    parquet({**mats, "extra": pictures(6, 5, 32)}, name="hub/svhn/cropped_digits")
    monkeypatch.setenv("STRIATE_DATA", str(home.parent / "hub"))
    other = load_at("svhn")
    assert other.digest == dataset.digest
    assert "not read, beside the parquet files: cropped_digits/extra-00000-of-00001.parquet" in other.notes


def test_a_mat_file_that_is_none(home, mats):
    (home / "svhn" / "train_32x32.mat").write_bytes(b"no arrays")
    with pytest.raises(
        DataError, match=r"train_32x32.mat: cannot be read as MATLAB arrays X and y \(.*\); fetch it again"
    ):
        load_at("svhn")
    savemat(home / "svhn" / "train_32x32.mat", {"X": np.zeros((2, 2)), "y": np.zeros(2)})
    with pytest.raises(
        DataError, match="X must be 32 x 32 x 3 x images of bytes with a y each, got 2 x 2; fetch it again"
    ):
        load_at("svhn")


@pytest.fixture
def cifar100(home, digits_of, monkeypatch):
    """A small CIFAR-100 as its author's archive, whose checksums torchvision is given."""
    color = {"train": pictures(30, side=32), "test": pictures(9, seed=1, side=32)}
    digits_of("cifar100")
    files = {}
    for part, (images, labels) in color.items():
        data = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        files[part] = pickle.dumps({"data": data, "fine_labels": labels.tolist(), "coarse_labels": [0] * len(labels)})
    files["meta"] = pickle.dumps({"fine_label_names": ["zero", "one", "two"], "coarse_label_names": ["digit"]})
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    path = home / "cifar100" / "cifar-100-python.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    kind = torchvision.datasets.CIFAR100
    monkeypatch.setattr(kind, "train_list", [["train", md5["train"]]])
    monkeypatch.setattr(kind, "test_list", [["test", md5["test"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5["meta"]})
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return color


def test_cifar100_s_archive_and_the_hub_s_files_are_one_dataset(home, cifar100, monkeypatch):
    dataset = load_at("cifar100")
    assert (dataset.classes, dataset.notes) == (("zero", "one", "two"), ())
    assert load_at(home / "cifar100").digest == dataset.digest
    folder = home.parent / "hub" / "cifar100" / "cifar100"
    folder.mkdir(parents=True)
    for part, (images, labels) in cifar100.items():
        encoded = [{"bytes": _png(image), "path": None} for image in images]
        table = pa.table({"img": encoded, "fine_label": labels, "coarse_label": [0] * len(labels)})
        pq.write_table(table, folder / f"{part}-00000-of-00001.parquet")
    monkeypatch.setenv("STRIATE_DATA", str(home.parent / "hub"))
    other = load_at("cifar100")
    assert other.digest == dataset.digest
    assert other.notes == (
        "columns not read: coarse_label",
        "CIFAR-100 by its sizes alone: no checksum is known for this form of it",
    )


def test_a_torn_cifar100(home, cifar100):
    path = home / "cifar100" / "cifar-100-python.tar.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"its MD5 must be .*, and is not; delete it and download it again"):
        load_at("cifar100")


@pytest.fixture
def server(tmp_path):
    """Serves a folder of this machine; gives its address and the list of requests."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

        def copyfile(self, source, outputfile):
            with contextlib.suppress(ConnectionError):
                super().copyfile(source, outputfile)

    (tmp_path / "served").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/", requests
    serving.shutdown()
    serving.server_close()


def test_it_is_downloaded_once_and_from_the_mirror_that_has_it(
    home, tmp_path, parts, digits_of, server, monkeypatch, cache
):
    checksums = write_idx(tmp_path / "served", parts)
    digits_of()
    address, requests = server
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address + "gone/", address])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", list(checksums.items()))
    assert len(load_at("mnist").train) == 30
    count = len(requests)
    assert count >= 8  # each file from both
    assert {file.name for file in (cache / "data" / "mnist").glob("*.gz")} == set(checksums)
    load_at("mnist", channels=3)
    assert len(requests) == count


def test_a_download_with_a_wrong_checksum_is_refused(home, tmp_path, parts, digits_of, server, monkeypatch, cache):
    checksums = write_idx(tmp_path / "served", parts)
    digits_of()
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [server[0]])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", [(name, "0" * 32) for name in checksums])
    with pytest.raises(
        DataError, match=r"mnist: not found on this machine, and .* could not be downloaded .*; put train-images"
    ):
        load_at("mnist")
    assert not list((cache / "data" / "mnist").glob("*.gz"))


def test_the_checksums_are_torchvision_s():
    kinds = {name: getattr(torchvision.datasets, known.torchvision) for name, known in KNOWN.items()}
    assert {md5 for _, md5 in kinds["kmnist"].resources} == KNOWN["kmnist"].gz_md5
    assert {part: kinds["svhn"].split_list[part][2] for part in ("train", "test")} == svhn.MD5
    assert tuple(kinds["fashion-mnist"].classes) == KNOWN["fashion-mnist"].classes
    assert tuple(kinds["kmnist"].classes) == KNOWN["kmnist"].classes
    assert len(set(CIFAR100_CLASSES)) == 100
    assert list(CIFAR100_CLASSES) == sorted(CIFAR100_CLASSES)


def test_the_real_fashion_mnist(monkeypatch):
    path = needs_packaged("fashion-mnist")
    dataset = load_at("fashion-mnist")
    assert (dataset.name, len(dataset.train), dataset.test_size, dataset.notes) == ("fashion-mnist", 60_000, 10_000, ())
    assert dataset.classes[9] == "Ankle boot"
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    with gzip.open(path / "train-images-idx3-ubyte.gz") as file:
        first = file.read(16 + 28 * 28)[16:]  # an ankle boot
    labels = {image.tobytes(): label for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)}
    assert labels[first] == 9


def test_a_folder_that_the_user_brings_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    with pytest.raises(MissingData, match=r"^scenes: not found on this machine; it holds .* Kaggle .*data.scenes"):
        load_at("scenes")
    for home in (tmp_path / "cache" / "data", tmp_path / "home"):
        for part in ("train", "test"):
            for number, name in enumerate(("forest", "sea")):
                (home / "scenes" / part / name).mkdir(parents=True)
                for image in range(5):
                    picture = pictures(1, seed=100 * number + image + 50 * (part == "test"))[0][0]
                    (home / "scenes" / part / name / f"{image}.png").write_bytes(_png(picture))
        assert load_at("scenes").classes == ("forest", "sea")
        monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "home"))
    assert loading.find_source("scenes").location == str(tmp_path / "home" / "scenes")
