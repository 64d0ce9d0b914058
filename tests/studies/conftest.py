"""A study that runs in seconds: made images in an .npz file, a tiny network, two arms."""

from pathlib import Path

import numpy as np
import pytest

from tests.engines.pytorch.conftest import make_dataset

STUDY = """\
question: Does batch normalization help?
data: squares.npz
network:
  layers: conv4 pool fc8
recipe:
  optimizer: {name: Adam, lr: 0.01}
  batch_size: 16
  epochs: 2
  precision: float32
seeds: 2
arms:
  plain: {}
  normalized: {network.norm: batch}
"""


@pytest.fixture
def study_file(tmp_path) -> Path:
    """study.yaml beside squares.npz."""
    return write_study(tmp_path, STUDY)


def write_study(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dataset = make_dataset()
    test = dataset.open_test("to write it to a file")
    np.savez(
        folder / "squares.npz",
        train_images=dataset.train.images,
        train_labels=dataset.train.labels,
        test_images=test.images,
        test_labels=test.labels,
    )
    path = folder / "study.yaml"
    path.write_text(text)
    return path
