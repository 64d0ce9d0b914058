"""Small sources that tests write; every test has its own cache and no data folder."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder of this test."""
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    return tmp_path / "cache"


def pictures(count, seed=0, side=8, channels=3):
    """`count` random images and the labels 0, 1, 2, 0, 1, 2, ..."""
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return images, np.arange(count) % 3


@pytest.fixture
def parts():
    """Train and test parts of three classes: name -> (images, labels)."""
    return {"train": pictures(30), "test": pictures(9, seed=1)}


@pytest.fixture(name="pictures")
def pictures_fixture():
    return pictures


def _png(image):
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Write parts as a folder of PNG files; a part named "" has its classes at the top."""

    def write(parts, classes=("a", "b", "c"), name="folder"):
        for part, (images, labels) in parts.items():
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                path = tmp_path / name / part / classes[label] / f"{i:03}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_png(image))
        return tmp_path / name

    return write


@pytest.fixture
def npz(tmp_path):
    """Write arrays as they are given."""

    def write(name="arrays", **arrays):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        return tmp_path / f"{name}.npz"

    return write


@pytest.fixture
def parquet(tmp_path):
    """Write parts as the Hugging Face hub does, with class names in the schema if there are some."""

    def write(parts, classes=None, name="parquet", columns=("img", "label")):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for part, (images, labels) in parts.items():
            encoded = [{"bytes": _png(image), "path": None} for image in images]
            table = pa.table({columns[0]: encoded, columns[1]: list(labels)})
            if classes:
                features = {"info": {"features": {columns[1]: {"names": list(classes), "_type": "ClassLabel"}}}}
                table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
            pq.write_table(table, tmp_path / name / f"{part}-00000-of-00001.parquet")
        return tmp_path / name

    return write
