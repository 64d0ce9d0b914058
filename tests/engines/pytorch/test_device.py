"""Devices and precision: chosen, or refused in words; and the process is left as it was."""

import contextlib
import dataclasses
import json
import os
import sys

import pytest
import torch

from striate.core.errors import TrainingError
from striate.engines import select
from striate.engines.pytorch import device
from striate.nets import NetworkConfig
from striate.nets.pytorch import winograd
from striate.recipes import Recipe
from striate.runs import read
from striate.runs.records import RunEnvironment
from tests.engines.pytorch.conftest import make_dataset, make_job


def test_what_is_asked_for_is_what_comes():
    assert device.choose(Recipe(precision="float32"), "cpu", 3).dtype == torch.float32
    assert device.choose(Recipe(precision="bf16"), "cpu", 3).precision == "bf16"
    assert device.choose(Recipe(), "cpu", 3).threads == 3


def test_auto_uses_bf16_only_where_there_are_units_for_it(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr(device, "_has_bf16_units", lambda _, has=has: has)
        assert device.choose(Recipe(), "cpu").precision == ("bf16" if has else "float32")


def test_a_device_that_does_not_exist_is_refused():
    with pytest.raises(TrainingError, match="--device: must be one of auto, cpu, cuda, mps, got 'gpu'"):
        device.choose(Recipe(), "gpu")


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"--device cuda: PyTorch finds no such device here; usable: .*cpu"):
        device.choose(Recipe(), "cuda")


@pytest.mark.skipif(sys.platform != "linux", reason="sets the affinity of the process, which Linux does")
@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_a_run_uses_the_cores_that_the_process_may_use(tmp_path, dataset, engine):
    """Not those of the machine: a container or a batch system may give fewer."""
    allowed = os.sched_getaffinity(0)
    job = make_job(dataset, engine=engine, epochs=1)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        select.train(job, tmp_path, dataset=dataset)
    finally:
        os.sched_setaffinity(0, allowed)
    assert read(tmp_path).environment.threads == 1


def test_a_run_leaves_the_number_of_threads_as_it_was(tmp_path, job, dataset):
    before = torch.get_num_threads()
    select.train(job, tmp_path, dataset=dataset, threads=before + 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_timing_steps_changes_nothing_and_gives_a_speed(dataset, engine):
    before = torch.get_num_threads(), torch.get_rng_state()
    recipe = Recipe.model_validate({"engine": engine, "augment": {"flip": True}, "batch_size": 16})
    network = NetworkConfig(layers="conv8 pool drop0.2 fc8")
    assert select.images_per_second(network, recipe, dataset, "cpu", before[0] + 1, seconds=0.0) > 0
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_flags_of_cudnn_and_threads_come_back_after_a_failure_too(monkeypatch):
    """On a setup that says cuda; the flags can be set without a GPU, its random numbers cannot."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.random, "fork_rng", lambda _: contextlib.nullcontext())
    cudnn, setup = torch.backends.cudnn, device.choose(Recipe(precision="float32"), "cpu", 3)
    setup = dataclasses.replace(setup, device=torch.device("cuda"))
    before = cudnn.benchmark, cudnn.allow_tf32, torch.get_num_threads()
    with contextlib.suppress(ZeroDivisionError), device.applied(setup):
        assert (cudnn.benchmark, cudnn.allow_tf32, torch.get_num_threads()) == (True, False, 3)
        raise ZeroDivisionError
    assert (cudnn.benchmark, cudnn.allow_tf32, torch.get_num_threads()) == before


def test_float32_on_a_cpu_computes_convolutions_by_winograd_unless_told_not_to():
    assert device.choose(Recipe(precision="float32"), "cpu").convolution == "winograd"
    assert device.choose(Recipe(precision="float32-direct"), "cpu").convolution == "direct"
    assert device.choose(Recipe(precision="float32-direct"), "cpu").precision == "float32"
    assert device.choose(Recipe(precision="bf16"), "cpu").convolution == "direct"


def test_a_resumed_run_keeps_the_convolutions_that_it_began_with():
    """Runs of version 0.1.0 did not state them: they were PyTorch's."""
    recipe = Recipe(precision="float32")
    assert device.choose(recipe, "cpu", previous=RunEnvironment(precision="float32")).convolution == "direct"
    assert device.choose(recipe, "cpu", previous=RunEnvironment(convolution="winograd")).convolution == "winograd"


def test_a_run_uses_the_convolutions_that_its_environment_states(tmp_path):
    """Two layers of 128 channels, so that the rule takes Winograd's way; a resumed run of an earlier version does not."""
    dataset = make_dataset(size=16)
    network = NetworkConfig(layers="conv128 conv128 pool8 fc8")
    job = make_job(dataset, network=network, precision="float32", epochs=1)
    calls = []
    real = winograd.winograd_conv2d
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(winograd, "winograd_conv2d", lambda *args: calls.append(1) or real(*args))
        select.train(job, tmp_path / "new", "cpu", dataset=dataset, threads=1)
        assert calls
        assert read(tmp_path / "new").environment.convolution == "winograd"
        steps = iter([False, True])
        select.train(job, tmp_path / "old", "cpu", dataset=dataset, threads=1, should_stop=lambda: next(steps))
        path = tmp_path / "old" / "env.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "convolution"}))
        calls.clear()
        select.train(job, tmp_path / "old", "cpu", dataset=dataset, threads=1)
        assert not calls
        assert read(tmp_path / "old").environment.convolution == "direct"


class QueueingEngine:
    """Steps queue up on a GPU whose first one starts its libraries; reading waits for all of them."""

    def __init__(self, first: float, later: float, wait: float, read_every: int = 20) -> None:
        self.now, self.steps, self.read_every = 0.0, 0, read_every
        self._first, self._later, self._wait, self._queued = first, later, wait, 0.0

    def train_step(self, plan, step, lr):
        self._queued += self._later if self.steps else self._first
        self.steps += 1

    def running_sums(self):
        self.now += self._queued + self._wait
        self._queued = 0.0


@pytest.mark.parametrize(("budget", "steps", "error"), [(1.0, 262, 2e-4), (0.1, 34, 2e-4), (-3.0, 3, 0.0021)])
def test_the_start_of_a_gpu_is_not_part_of_the_time_of_a_step(budget, steps, error):
    """Seen: 46 s estimated as 4 h 50 min, from one step that started CUDA and cuDNN."""
    engine = QueueingEngine(first=12.0, later=0.004, wait=0.002)
    measured = select.step_seconds(engine, None, 0.1, budget, is_gpu=True, clock=lambda: engine.now)
    assert measured == pytest.approx(0.004, abs=error)
    assert engine.steps == steps


def test_slow_steps_of_a_gpu_are_timed_one_by_one():
    engine = QueueingEngine(first=5.0, later=0.8, wait=0.0)
    assert select.step_seconds(engine, None, 0.1, 1.0, is_gpu=True, clock=lambda: engine.now) == pytest.approx(0.8)
    assert engine.steps == 4


def test_on_a_cpu_the_first_step_counts_where_there_is_time_for_no_other():
    engine = QueueingEngine(first=3.0, later=2.0, wait=0.0, read_every=1)
    assert select.step_seconds(engine, None, 0.1, 1.0, is_gpu=False, clock=lambda: engine.now) == 3.0
    engine = QueueingEngine(first=0.5, later=0.1, wait=0.0, read_every=1)
    assert select.step_seconds(engine, None, 0.1, 1.0, is_gpu=False, clock=lambda: engine.now) == pytest.approx(0.1)
