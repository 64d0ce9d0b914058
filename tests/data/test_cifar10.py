"""CIFAR-10 in its layouts: found, checked, downloaded; and the real one, decoded by an independent loop."""

import contextlib
import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data import DataConfig, load
from striate.data.canonical_order import HashedPart, argsort_by_hash, dataset_digest, hash_images
from striate.data.sources import cifar10
from tests.needs import needs_shared

CIFAR10 = DataConfig(source="cifar10")


@pytest.fixture
def small(pictures, monkeypatch):
    """Sixty images that pass for CIFAR-10, because its digest is replaced by theirs."""
    parts = {"train": pictures(50, side=32), "test": pictures(10, seed=1, side=32)}
    hashed = {}
    for name, (images, labels) in parts.items():
        whole = HashedPart(images, labels, hash_images(images))
        hashed[name] = whole.select(argsort_by_hash(labels, whole.hashes))
    monkeypatch.setattr(cifar10, "SIZES", {"train": 50, "test": 10})
    monkeypatch.setattr(cifar10, "DIGEST", dataset_digest((), hashed))
    monkeypatch.setattr(cifar10, "CLASSES", ("x", "y", "z"))
    return parts


@pytest.fixture
def archive(small, tmp_path, monkeypatch):
    """The same as torchvision's archive, whose checksums torchvision is given."""
    from torchvision.datasets import CIFAR10 as TORCHVISION

    files = {f"data_batch_{i + 1}": _batch(small["train"], slice(10 * i, 10 * i + 10)) for i in range(5)}
    files["test_batch"] = _batch(small["test"], slice(None))
    files["batches.meta"] = pickle.dumps({"label_names": ["x", "y", "z"]})
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    path = tmp_path / "served" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    monkeypatch.setattr(TORCHVISION, "train_list", [[name, md5[name]] for name in files if name.startswith("data")])
    monkeypatch.setattr(TORCHVISION, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(TORCHVISION, "meta", {**TORCHVISION.meta, "md5": md5["batches.meta"]})
    monkeypatch.setattr(TORCHVISION, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def _batch(part, rows):
    images, labels = part[0][rows], part[1][rows]
    return pickle.dumps({"data": images.transpose(0, 3, 1, 2).reshape(len(images), -1), "labels": labels.tolist()})


@pytest.fixture
def server(archive, monkeypatch):
    """A local server in place of the author's; returns the list of requests."""
    from torchvision.datasets import CIFAR10 as TORCHVISION

    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.command)

        def copyfile(self, source, outputfile):
            with contextlib.suppress(
                ConnectionError
            ):  # torchvision closes a connection after it has read the redirections
                super().copyfile(source, outputfile)

    serving = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(archive.parent))
    )
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setattr(TORCHVISION, "url", f"http://127.0.0.1:{serving.server_port}/{archive.name}")
    yield requests
    serving.shutdown()
    serving.server_close()


def test_every_layout_is_the_same_dataset(archive, small, parquet, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent / "unpacked", filter="data")
    layouts = [
        archive,
        archive.parent,
        archive.parent / "unpacked",
        archive.parent / "unpacked" / "cifar-10-batches-py",
        parquet(small),
        parquet(small, ("l", "m", "n"), name="named"),
        folder(small, ("l", "m", "n")),
    ]
    loaded = [load(DataConfig(source=str(path))) for path in layouts]
    assert {dataset.digest for dataset in loaded} == {loaded[0].digest}
    assert {(dataset.name, dataset.classes) for dataset in loaded} == {("cifar10", ("x", "y", "z"))}


def test_it_is_recognized_before_it_is_resized(small, parquet):
    dataset = load(DataConfig(source=str(parquet(small)), channels=1, size=16, limit=30))
    assert (dataset.name, dataset.classes, dataset.train.images.shape) == ("cifar10", ("x", "y", "z"), (30, 16, 16, 1))


@pytest.mark.parametrize("below", ["cifar10", "cifar10/plain_text", "."])
def test_it_is_found_in_the_data_folder(small, parquet, tmp_path, monkeypatch, below):
    parquet(small, name=f"home/{below}")
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "home"))
    assert load(CIFAR10).name == "cifar10"


def test_what_is_not_cifar10_is_refused_by_that_name_only(small, parquet, tmp_path, monkeypatch):
    small["train"][0][7, 0, 0, 0] ^= 1
    path = parquet(small, name="home/cifar10")
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "home"))
    assert load(DataConfig(source=str(path))).classes == ("0", "1", "2")
    # Also if these files are in the cache already.
    for config in (CIFAR10, CIFAR10.replace(limit=9)):
        with pytest.raises(DataError, match=r"not those of CIFAR-10 \(checksum\); fetch it again, or give its path"):
            load(config)


def test_it_is_downloaded_once(server, small, cache):
    assert len(load(CIFAR10).train) == 50
    assert (cache / "data" / "cifar10" / "cifar-10-python.tar.gz").exists()
    requests = len(server)
    assert requests > 0
    load(CIFAR10.replace(channels=1))
    assert len(server) == requests


def test_an_interrupted_download_starts_again(server, small, cache):
    torn = cache / "data" / "cifar10" / "unfinished" / "cifar-10-python.tar.gz"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half")
    assert load(CIFAR10).name == "cifar10"


def test_a_download_with_a_wrong_checksum(server, monkeypatch):
    from torchvision.datasets import CIFAR10 as TORCHVISION

    monkeypatch.setattr(TORCHVISION, "tgz_md5", "0" * 32)
    with pytest.raises(DataError, match=r"cifar10: not found .* could not be downloaded \(File not found or corrupted"):
        load(CIFAR10)


def test_without_a_network_the_error_says_what_to_put_where(monkeypatch, cache):
    from torchvision.datasets import CIFAR10 as TORCHVISION

    monkeypatch.setattr(TORCHVISION, "url", "http://127.0.0.1:9/none")
    where = cache / "data" / "cifar10"
    with pytest.raises(DataError, match=f"put cifar-10-python.tar.gz into {where}, or set STRIATE_DATA"):
        load(CIFAR10)


def test_a_torn_archive_and_a_torn_batch(archive):
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent / "unpacked", filter="data")
    batch = archive.parent / "unpacked" / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match="a file of cifar-10-batches-py is missing or its MD5 is not the known one"):
        load(DataConfig(source=str(batch.parent)))
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"its MD5 must be .*, and is not; delete it and download it again"):
        load(DataConfig(source=str(archive)))


def test_the_real_cifar10(monkeypatch):
    path = needs_shared("cifar10")
    monkeypatch.setenv("STRIATE_DATA", str(path.parent))
    dataset = load(CIFAR10)
    with monkeypatch.context() as once:
        once.setattr("striate.data.picture.decode", lambda *_: pytest.fail("decoded again"))
        assert load(CIFAR10).digest == dataset.digest
    assert isinstance(dataset.train.images, np.memmap)
    assert (len(dataset.train), dataset.test_size, dataset.classes[3]) == (50_000, 10_000, "cat")
    # The means that are in every CIFAR-10 recipe.
    assert np.allclose(dataset.train.images.mean((0, 1, 2)) / 255, [0.49139968, 0.48215841, 0.44653091], atol=1e-8)
    labels = {image.tobytes(): label for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)}
    for row in pq.ParquetFile(path / "train.parquet").read_row_group(7).to_pylist():
        pixels = np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])))
        assert labels[pixels.tobytes()] == row["label"]
