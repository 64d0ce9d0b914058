"""Folders of small photographs, and a machine that trains in this process at a speed that is stated."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli import train as command
from striate.core.errors import MissingExtra, NetworkError
from striate.engines.precision import PrecisionChoice
from striate.runs import layout
from striate.studies.execute.messages import Timed
from striate.train import backbone, plan, rules, train
from tests.cli.conftest import striate
from tests.contracts.scheduler import InlineScheduler

__all__ = ["striate"]


def make_photos(folder: Path, counts: dict[str, int], size=(20, 16), seed=0):
    """A folder for each class, whose images are bright in a quarter of their own."""
    rng = np.random.default_rng(seed)
    for index, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 90, (size[1], size[0], 3))
            rows, columns = size[1] // 2, size[0] // 2
            top, left = (index // 2 % 2) * rows, (index % 2) * columns
            pixels[top : top + rows, left : left + columns] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:03}.png")
    return folder


class Pool:
    """Workers that are not there: what they would answer."""

    workers = (None,)

    def __init__(self, size: int) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        pass

    def choose_precision(self, asked, should_stop):
        return PrecisionChoice("float32")

    def time_steps(self, asked, should_stop):
        return None if should_stop() else Timed(train=1e6, evaluate=1e6, start_seconds=0.1)


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Train small networks in this process; an epoch is said to take most of a second, so that few fit. Nothing is downloaded."""
    monkeypatch.setattr(train, "WorkerPool", Pool)
    monkeypatch.setattr(train, "LocalScheduler", lambda *_: InlineScheduler())
    monkeypatch.setattr(plan, "EPOCH_SECONDS", 0.6)
    monkeypatch.setattr(backbone, "published", _nothing)
    monkeypatch.setattr(rules, "layers_from_scratch", lambda side: "conv4k3s2 pool conv8")
    monkeypatch.setattr(train, "export", _no_extra)
    monkeypatch.setattr(train, "_slowness", lambda *_: 1.0)
    monkeypatch.setattr(command, "write_report", lambda results: results.folder / layout.REPORT)
    monkeypatch.chdir(tmp_path)


def _nothing(name):
    raise NetworkError(f"the weights of {name} cannot be downloaded (no network)")


def _no_extra(*_, **__):
    raise MissingExtra("Exporting to ONNX needs onnx: pip install 'striate[export]'")
