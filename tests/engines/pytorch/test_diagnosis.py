"""Why a run stayed at chance: each reason is planted and found; without one the reason is empty."""

import dataclasses

import numpy as np
import pytest

from striate.data import Part
from striate.engines.select import train
from striate.nets import NetworkConfig
from tests.engines.pytorch.conftest import make_dataset, make_job

PLAIN = {"augment": "none", "schedule": "constant", "precision": "float32"}


def why(tmp_path, dataset, **settings):
    summary = train(make_job(dataset, **PLAIN, **settings), tmp_path, dataset=dataset, threads=1)
    assert summary.state == "finished"
    assert summary.at_chance == bool(summary.reason)
    return summary.reason


def test_a_run_that_learns_has_no_reason(tmp_path):
    assert not why(tmp_path, make_dataset(), epochs=12)


def test_a_learning_rate_that_is_too_low(tmp_path):
    network = NetworkConfig(layers="conv8 pool fc16", activation="leaky_relu")
    reason = why(tmp_path, make_dataset(), epochs=20, optimizer={"name": "Adam", "lr": 1e-7}, network=network)
    assert "the learning rate 1e-07 is too low: from the same initial weights, 60 steps at " in reason


def test_a_learning_rate_that_is_too_high_and_the_units_that_died_of_it(tmp_path):
    network = NetworkConfig(layers="conv8 conv8 pool fc16 fc16")
    reason = why(tmp_path, make_dataset(count=600), epochs=4, optimizer={"name": "Adam", "lr": 30.0}, network=network)
    assert "the learning rate 30 is too high: from the same initial weights, 60 steps at " in reason
    assert "8 of the 8 units of conv2_activation are dead (never above 0)" in reason


def test_images_that_are_all_alike(tmp_path):
    data = make_dataset()
    gray = [Part(np.full_like(part.images, 7), part.labels) for part in (data.train, data.open_test("a test"))]
    data = dataclasses.replace(data, train=gray[0], test=gray[1])
    assert why(tmp_path, data) == "stayed at chance: all training images are alike"


def test_labels_that_were_shuffled(tmp_path):
    """Noise with random labels, learned by heart."""
    rng = np.random.default_rng(1)
    parts = [Part(rng.integers(0, 256, (n, 8, 8, 1), np.uint8), rng.integers(0, 3, n)) for n in (150, 90)]
    data = dataclasses.replace(make_dataset(), train=parts[0], test=parts[1])
    reason = why(
        tmp_path, data, epochs=30, network=NetworkConfig(layers="fc128"), optimizer={"name": "Adam", "lr": 0.003}
    )
    assert reason.startswith("stayed at chance: ")
    assert reason.endswith("as with shuffled labels: check the labels")


def lopsided(count=120):
    """Noise of which nine images of ten are of the first class."""
    rng = np.random.default_rng(2)
    parts = [
        Part(rng.integers(0, 256, (n, 8, 8, 1), np.uint8), (np.arange(n) % 10 == 9) * 1) for n in (count, count // 2)
    ]
    return dataclasses.replace(make_dataset(), train=parts[0], test=parts[1], classes=("a", "b"))


@pytest.mark.parametrize("lr", [0.01, 1e-4])
def test_to_know_the_shares_of_the_classes_is_chance(tmp_path, lr):
    """Always the first class is right for nine images of ten: no sign of shuffled labels, and nothing that another learning rate learns."""
    job = make_job(
        lopsided(), **PLAIN, epochs=10, network=NetworkConfig(layers="gap"), optimizer={"name": "Adam", "lr": lr}
    )
    summary = train(job, tmp_path, dataset=lopsided(), threads=1)
    assert (summary.at_chance, summary.reason) == (True, "")


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_units_at_their_limits(tmp_path, activation):
    """On images that say nothing of their labels: with others, saturated tanh units still tell a few classes apart."""
    rng = np.random.default_rng(2)
    data = make_dataset(count=600)
    parts = [
        Part(part.images, rng.permutation(part.labels))
        for part in (data.train, data.open_test("to shuffle its labels"))
    ]
    data = dataclasses.replace(data, train=parts[0], test=parts[1])
    network = NetworkConfig(layers="fc32 fc32 fc32", activation=activation)
    reason = why(tmp_path, data, network=network, optimizer={"name": "SGD", "lr": 1000.0})
    assert "of the outputs of fc1_activation are saturated" in reason


def test_looking_is_decided_by_the_seed(tmp_path):
    network = NetworkConfig(layers="conv8 pool drop0.2 fc16", activation="leaky_relu")
    settings = {"epochs": 20, "optimizer": {"name": "Adam", "lr": 1e-6}, "network": network}
    reason = why(tmp_path / "a", make_dataset(), **settings)
    assert "too low" in reason
    assert why(tmp_path / "b", make_dataset(), **settings) == reason


def test_a_look_that_fails_does_not_take_the_result_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("striate.engines.pytorch.engine.Diagnosis.reason", lambda *_: 1 / 0)
    job = make_job(
        make_dataset(), **PLAIN, optimizer={"name": "SGD", "lr": 1e-12}, network=NetworkConfig(layers="conv4 gap")
    )
    summary = train(job, tmp_path, dataset=make_dataset(), threads=1)
    assert (summary.state, summary.at_chance, summary.reason) == ("finished", True, "")
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()


def test_a_stop_while_looking_is_heeded_and_the_run_ends_alike_later(tmp_path, monkeypatch):
    monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
    data = make_dataset()
    job = make_job(data, **PLAIN, optimizer={"name": "SGD", "lr": 1e-12}, network=NetworkConfig(layers="conv4 gap"))
    whole = train(job, tmp_path / "whole", dataset=data, threads=1)
    left = iter([False] * 25)  # 21 steps, then the looks
    assert train(job, tmp_path / "stopped", dataset=data, threads=1, should_stop=lambda: next(left, True)) is None
    again = train(job, tmp_path / "stopped", dataset=data)
    assert again.replace(seconds=0) == whole.replace(seconds=0)
