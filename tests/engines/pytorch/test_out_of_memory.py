"""The error for too little memory names the batch size that fits; in a process that really has too little."""

import json
import re
import subprocess
import sys

import pytest
import torch

from striate.core.errors import TrainingError
from striate.engines.pytorch.learner import Learner
from striate.engines.select import train
from striate.runs import read
from tests.engines.pytorch.conftest import make_dataset, make_job

SCRIPT = """
import json, resource, sys
from tests.engines.pytorch.conftest import make_dataset, make_job
from striate.core.errors import StriateError
from striate.nets import NetworkConfig
from striate.engines.select import train
from pathlib import Path

dataset = make_dataset(count=1700, size=32)
def job(batch_size):
    return make_job(dataset, epochs=1, batch_size=batch_size, network=NetworkConfig(layers="conv64k1 conv64k1 gap"),
                    precision="float32", augment="none")
train(job(8), Path(sys.argv[1]) / "small", dataset=dataset, threads=1, should_stop=iter([False, True]).__next__)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 300 * 2**20, resource.RLIM_INFINITY))
try:
    train(job(1500), Path(sys.argv[1]) / "large", dataset=dataset, threads=1)
except StriateError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space, which Linux does")
def test_the_batch_that_fits_is_named_and_does(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True)
    message = json.loads(done.stdout.splitlines()[-1])
    match = re.match(
        r"recipe.batch_size: a step of 1500 images needs more memory than there is; recipe.batch_size=(\d+) fits \(",
        message,
    )
    assert match, message
    assert 8 <= int(match[1]) <= 750
    run = read(tmp_path / "large")
    assert (run.state, run.summary.reason) == ("failed", message)
    assert "Traceback" in (tmp_path / "large" / "log.txt").read_text()


def test_other_errors_of_torch_stay_what_they_are(tmp_path, monkeypatch):
    dataset = make_dataset()
    monkeypatch.setattr(Learner, "step", lambda *_, **__: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        train(make_job(dataset), tmp_path, dataset=dataset, threads=1)


def test_a_single_image_that_does_not_fit_is_said_too(tmp_path, monkeypatch):
    dataset = make_dataset()

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Learner, "step", full)
    with pytest.raises(TrainingError, match="not even one image fits: take a smaller network or smaller images"):
        train(make_job(dataset), tmp_path, dataset=dataset, threads=1)


def test_what_else_needs_memory_is_named(tmp_path, monkeypatch):
    dataset = make_dataset()

    def full(*_, **__):
        raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    monkeypatch.setattr("striate.engines.pytorch.engine.evaluate", full)
    with pytest.raises(
        TrainingError, match=r"^an evaluation of \d+ images needs more memory than there is; take a smaller"
    ):
        train(make_job(dataset), tmp_path, dataset=dataset, threads=1)


def test_a_norm_that_takes_no_single_image_is_not_what_went_wrong(tmp_path, monkeypatch):
    dataset = make_dataset()

    def full(_learner, batch, *_, **__):
        raise torch.OutOfMemoryError("full") if len(batch) > 1 else ValueError("Expected more than 1 value per channel")

    monkeypatch.setattr(Learner, "step", full)
    with pytest.raises(TrainingError, match="needs more memory than there is"):
        train(make_job(dataset), tmp_path, dataset=dataset, threads=1)
