"""The engine from scratch keeps the promises of every engine, and matches PyTorch through a whole run."""

import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from safetensors.numpy import load_file

from striate.core.errors import NetworkError, RecipeError, TrainingError
from striate.engines import select as engines
from striate.engines.scratch import engine as scratch_engine
from striate.engines.scratch.engine import check
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import read
from tests.contracts.engine import MUCH, EngineContract
from tests.engines.pytorch.conftest import files, make_dataset, make_job


class TestNumpy(EngineContract):
    engine = "numpy"
    checkpoint = "last.npz"


# Not Adam, which divides small gradients by themselves and so makes much of a rounding.
LITTLE = {"optimizer": {"name": "SGD", "lr": 0.05}}


@pytest.mark.parametrize("settings", [LITTLE, {**MUCH, "schedule": "linear"}], ids=["little", "much"])
def test_both_engines_make_the_same_run(tmp_path, settings):
    """The same weights, batches, augmentation and learning rates: after two epochs the losses differ by rounding alone."""
    dataset = make_dataset(channels=3)
    network = NetworkConfig(
        layers="conv8 pool res(conv8) gap fc16", norm="batch"
    )  # no dropout: its numbers are torch's own
    runs = {}
    for engine in ("torch", "numpy"):
        job = make_job(dataset, **{**settings, "network": network}, engine=engine, precision="float32", epochs=2)
        train(job, tmp_path / engine, dataset=dataset, threads=1)
        runs[engine] = read(tmp_path / engine)
    for a, b in zip(runs["torch"].metrics, runs["numpy"].metrics, strict=True):
        for key in ("train_loss", "validation_loss", "learning_rate"):
            assert getattr(a, key) == pytest.approx(getattr(b, key), rel=1e-3), key
    for key in ("test_loss", "validation_loss"):
        assert getattr(runs["torch"].summary, key) == pytest.approx(getattr(runs["numpy"].summary, key), rel=1e-3)
    weights = {engine: load_file(tmp_path / engine / "final.safetensors") for engine in runs}
    for name, array in weights["numpy"].items():
        assert np.allclose(array, weights["torch"][name], atol=1e-3), name


def test_a_state_under_the_name_of_version_0_1_0_is_resumed_and_renamed(tmp_path):
    """That version called NumPy's state last.pt, as torch's own."""
    dataset = make_dataset()
    job = make_job(dataset, engine="numpy", precision="float32", epochs=2)
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    old, steps = tmp_path / "old", iter([False] * 3)
    train(job, old, dataset=dataset, threads=1, should_stop=lambda: next(steps, True))
    (old / "last.npz").rename(old / "last.pt")
    steps = iter([False] * 3)
    assert train(job, old, dataset=dataset, threads=1, should_stop=lambda: next(steps, True)) is None
    assert {path.name for path in old.glob("last.*")} == {"last.npz"}
    assert train(job, old, dataset=dataset, threads=1).state == "finished"
    assert files(old) == files(tmp_path / "whole")


def test_float32_direct_leaves_winograd_out_and_a_resumed_run_goes_on_as_it_began(tmp_path, monkeypatch):
    """The folder of an earlier version does not say how it computed: by Winograd's tiles."""
    dataset = make_dataset()
    jobs = {
        precision: make_job(dataset, engine="numpy", precision=precision, epochs=2)
        for precision in ("float32", "float32-direct")
    }
    for precision, way in (("float32", "winograd"), ("float32-direct", "direct")):
        folder, turns = tmp_path / precision, iter([False] * 3)
        train(jobs[precision], folder, dataset=dataset, threads=1, should_stop=lambda turns=turns: next(turns, True))
        assert read(folder).environment.convolution == way
    used = []
    right = scratch_engine.ScratchEngine.__init__
    monkeypatch.setattr(scratch_engine.ScratchEngine, "__init__", lambda *args: (used.append(args[3]), right(*args))[1])
    for precision in jobs:
        train(jobs[precision], tmp_path / precision, dataset=dataset, threads=1)
    assert used == ["winograd", "direct"]


def test_no_thread_is_left_behind(tmp_path):
    before = threading.active_count()
    dataset = make_dataset()
    train(make_job(dataset, engine="numpy", epochs=1), tmp_path, dataset=dataset, threads=3)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("network", "recipe", "error", "message"),
    [
        ({"layers": "conv8k3", "dims": 3}, {}, NetworkError, "recipe.engine: numpy has no 3D conv"),
        ({"torchvision": "resnet18"}, {}, NetworkError, "use the PyTorch engine"),
        ({"layers": "fc8"}, {"optimizer": "NAdam"}, RecipeError, "NAdam"),
        (
            {"layers": "fc8"},
            {"optimizer": {"name": "SGD", "clip": 1.0}},
            RecipeError,
            "recipe.optimizer.clip: the engine numpy does not have it; use the PyTorch engine",
        ),
        ({"layers": "fc8"}, {"precise_norm": 9}, RecipeError, "recipe.precise_norm: the engine numpy does not have it"),
        ({"layers": "fc8"}, {"precision": "bf16"}, RecipeError, "the engine numpy computes in float32, got bf16"),
    ],
)
def test_what_only_torch_has_is_refused_before_training(network, recipe, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check(Recipe.model_validate({**recipe, "engine": "numpy"}), NetworkConfig.model_validate(network))


@pytest.mark.parametrize(
    ("layers", "images", "layer"),
    [
        ("conv4:batch pool fc8", 1, None),
        ("fc8:batch", 1, "fc1"),
        ("conv4 gap batch", 1, "norm1"),
        ("fc8:batch", 2, None),
    ],
)
@pytest.mark.parametrize("smallest", ["batch_size", "train_images"])
def test_batch_norm_over_one_value_is_refused_before_training(layers, images, layer, smallest):
    recipe = Recipe(batch_size=images if smallest == "batch_size" else 16)
    train_images = images if smallest == "train_images" else 100
    arguments = (recipe, NetworkConfig(layers=layers), (1, 8, 8), 3, train_images)
    if layer is None:
        engines.check_batch_norm(*arguments)
        return
    with pytest.raises(RecipeError, match=f"recipe.batch_size: the batch norm of layer {layer} must have two values"):
        engines.check_batch_norm(*arguments)


def test_a_device_that_the_engine_does_not_use_is_refused():
    with pytest.raises(TrainingError, match="--device cuda: the engine numpy computes on cpu only"):
        engines.check(Recipe(engine="numpy"), NetworkConfig(layers="fc8"), "cuda")


def test_a_run_in_numpy_needs_no_torch(tmp_path):
    code = f"""
import sys
from pathlib import Path
from striate.data import DataConfig, load
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import Job
from striate.engines import select as engines
data = DataConfig(source="digits", limit=100)
dataset = load(data)
recipe = Recipe.model_validate({{"engine": "numpy", "epochs": 1}})
job = Job(data=data, digest=dataset.digest, network=NetworkConfig(layers="conv4 pool"), recipe=recipe, seed=0)
engines.check(recipe, job.network, "auto")
engines.train(job, Path({str(tmp_path)!r}), "auto", threads=1)
print(sorted({{"torch", "torchvision"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
