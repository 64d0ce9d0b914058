"""A dataset and a job that train in a second, and what a run folder holds."""

import json
from pathlib import Path

import numpy as np
import pytest

from striate.data import DataConfig, Dataset, Part, load
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import Job


def make_dataset(count: int = 120, size: int = 8, channels: int = 1, classes: int = 3) -> Dataset:
    """Noise with a bright square whose place tells the class: learnable, and made without a file."""
    rng = np.random.default_rng(0)
    parts = []
    for images in (count, count // 2):
        labels = np.arange(images) % classes
        pictures = rng.integers(0, 80, (images, size, size, channels), np.uint8)
        for picture, label in zip(pictures, labels, strict=True):
            picture[2:5, 2 * label : 2 * label + 2] += 150
        parts.append(Part(pictures, labels.astype(np.int64)))
    return Dataset("squares", tuple("abc"[:classes]), parts[0], None, parts[1], "d" * 64)


def unequal(dataset: Dataset, few: int) -> Dataset:
    """The dataset with so few training images of its last class."""
    train = dataset.train
    last = np.flatnonzero(train.labels == len(dataset.classes) - 1)
    rows = np.setdiff1d(np.arange(len(train)), last[few:])
    part = Part(train.images[rows], train.labels[rows])
    return Dataset(dataset.name, dataset.classes, part, None, dataset.open_test("to make another"), "f" * 64)


@pytest.fixture(scope="session")
def dataset():
    return make_dataset()


@pytest.fixture(scope="session")
def digits():
    return load(DataConfig(source="digits"))


@pytest.fixture
def job(dataset):
    return make_job(dataset)


def make_job(dataset: Dataset, **changes) -> Job:
    network = changes.pop("network", NetworkConfig(layers="conv8 pool drop0.2 fc16", norm="batch"))
    seed = changes.pop("seed", 0)
    settings = {
        "epochs": 3,
        "batch_size": 16,
        "optimizer": {"name": "Adam", "lr": 0.01},
        "augment": {"flip": True, "crop": 1},
        "schedule": "cosine",
        **changes,
    }
    return Job(
        data=DataConfig(source="x"), digest=dataset.digest, network=network, recipe=Recipe(**settings), seed=seed
    )


def files(folder: Path) -> dict[str, bytes]:
    """What a run decided: its weights, predictions and metrics, times left out."""
    kept = {name: (folder / name).read_bytes() for name in ("best.safetensors", "final.safetensors", "predictions.npz")}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    untimed = [{key: row[key] for key in row if key not in {"seconds", "images_per_second"}} for row in rows]
    return {**kept, "metrics": json.dumps(untimed).encode()}
