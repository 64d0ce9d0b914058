"""The engines behind one set of doors. Which one a recipe means is decided here and nowhere else.

Each is imported only when it is used: a run on NumPy needs no torch, and planning a study needs neither.
"""

from pathlib import Path
from typing import Unpack

from striate.core.errors import TrainingError
from striate.data import Dataset
from striate.engines.inputs import RunOptions
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import Job, Summary


def train(job: Job, folder: Path, device: str, **settings: Unpack[RunOptions]) -> Summary | None:
    """The door of the engine that the job's recipe names."""
    if job.recipe.engine == "torch":
        from striate.engines.pytorch import engine as torch

        return torch.train(job, folder, device=device, **settings)
    from striate.engines.scratch import engine as scratch

    return scratch.train(job, folder, **settings)


def check(recipe: Recipe, network: NetworkConfig, device: str) -> None:
    """Let the engine look at what it would be given, before anything is trained.

    Raises:
        RecipeError, NetworkError: for what it does not have.
        TrainingError, MissingExtra: for a device or a library that is not there.
    """
    if recipe.engine == "torch":
        from striate.engines.pytorch import optimizers

        optimizers.check(recipe.optimizer)
        return
    own = {"numpy": "cpu", "cupy": "cuda"}[recipe.engine]
    if device not in {"auto", own}:
        raise TrainingError(
            f"--device {device}: the engine {recipe.engine} computes on {own} only; leave --device out, or take the engine torch"
        )
    from striate.engines.scratch import engine

    engine.check(recipe, network)


def device_of(recipe: Recipe, device: str) -> str:
    """cpu, cuda or mps.

    Raises:
        TrainingError: when the device that was asked for is not there.
    """
    if recipe.engine == "torch":
        from striate.engines.pytorch.device import choose

        return choose(recipe, device).device.type
    return "cpu" if recipe.engine == "numpy" else "cuda"


def speed(network: NetworkConfig, recipe: Recipe, dataset: Dataset, device: str, threads: int, seconds: float) -> float:
    """Training images a second, from a few steps timed within about `seconds`; one step at least."""
    if recipe.engine == "torch":
        from striate.engines.pytorch import device as devices
        from striate.engines.pytorch import timing as torch

        return torch.images_per_second(network, recipe, dataset, devices.choose(recipe, device, threads), seconds)
    from striate.engines.scratch import timing as scratch

    return scratch.images_per_second(network, recipe, dataset, threads, seconds)


def computes_with(recipe: Recipe, device: str) -> tuple[str, str]:
    """The name of the device, and the precision."""
    if recipe.engine == "torch":
        from striate.engines.pytorch import device as devices

        setup = devices.choose(recipe, device)
        return devices.name(setup.device), setup.precision
    from striate.engines.scratch import library

    return library.device_of(recipe.engine)[1], "float32"
