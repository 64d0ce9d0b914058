"""Losses of a tiny run, as they were: a commit that changes them must say why. To write them again: remove the file and run this."""

import json
from pathlib import Path

import pytest

from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.runs import read
from tests.engines.pytorch.conftest import make_dataset, make_job

GOLDEN = Path(__file__).parents[2] / "golden" / "losses_cpu.json"
KEYS = ("train_loss", "validation_loss", "gradient_norm", "learning_rate")


def test_the_losses_of_a_tiny_run_are_those_that_were_kept(tmp_path):
    """Equal to four digits, as other processors add in another order."""
    dataset = make_dataset(channels=3)
    network = NetworkConfig(layers="conv8 pool res(conv8) gap", norm="batch")
    job = make_job(dataset, network=network, precision="float32", label_smoothing=0.1,
                   augment={"flip": True, "crop": 2, "hue": 0.1, "mixup": 0.5},
                   optimizer={"name": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True})  # fmt: skip
    train(job, tmp_path, dataset=dataset, device="cpu", threads=1)
    rows = [{key: getattr(row, key) for key in KEYS} for row in read(tmp_path).metrics]
    if not GOLDEN.exists():
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(rows, indent=1) + "\n")
        pytest.fail(f"{GOLDEN.name} was not there and is now; check it and commit it")
    for row, expected in zip(rows, json.loads(GOLDEN.read_text()), strict=True):
        assert row == pytest.approx(expected, rel=1e-4)
