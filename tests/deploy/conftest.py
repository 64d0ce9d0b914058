"""A finished run, and its test images as files."""

import numpy as np
import pytest
from PIL import Image

from striate.data import load
from striate.deploy.classifier import softmax
from striate.runs import layout, read
from tests.cli.conftest import finished, striate, trained

__all__ = ["finished", "striate", "trained"]


@pytest.fixture
def arm(finished):
    return finished.parent / "runs" / "study" / "normalized"


@pytest.fixture
def run(arm):
    return arm / "seed-0"


@pytest.fixture
def photos(run, tmp_path):
    """The run's test images as files whose names are in the run's order."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, pixels in enumerate(images_of(run)):
        Image.fromarray(pixels.squeeze()).save(folder / f"{index:03}.png")
    return folder


def images_of(run):
    return load(read(run).job.data).open_test("to compare").images


def kept_probabilities(run):
    """What the run itself said of its test images."""
    with np.load(run / layout.PREDICTIONS) as arrays:
        return softmax(arrays["test_logits"])
