"""Which engine a recipe means, and what the rest of the program asks of it. Decided here and nowhere else.

An engine is imported only when it is used: a run in NumPy needs no torch, and planning a study needs neither.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np

from striate.core.errors import RecipeError, TrainingError
from striate.data import DataConfig, Dataset, Part, Splits, mean_std
from striate.engines.driver import OpenEngine, drive
from striate.engines.inputs import RunInputs, RunOptions
from striate.engines.loop import epoch_plan
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.engines.protocol import Engine, EpochPlan
from striate.nets import NetworkConfig, all_layers
from striate.nets.freezing import frozen_parameters, norm_name
from striate.nets.layers import Shape
from striate.nets.resolve import resolve
from striate.recipes import Recipe
from striate.runs import Job, Summary

# Of the steps that are timed to estimate the speed: the first ones are a warm-up.
WARM_UP_STEPS = 2
MAX_TIMINGS = 20


def train(
    job: Job,
    folder: Path,
    device: str = "auto",
    precision: PrecisionChoice | None = None,
    **options: Unpack[RunOptions],
) -> Summary | None:
    """Train `job` into `folder`, or resume it, as `driver.drive` promises.

    `precision` is what its study chose for recipes that say auto; without it, the engine chooses.

    Raises:
        TrainingError: when the device is not there, the images changed, or a batch does not fit into memory.
        StriateError: for whatever else the user can mend.
    """
    return drive(job, folder, _opener(job.recipe, device, precision), **options)


def check(recipe: Recipe, network: NetworkConfig, device: str) -> None:
    """Let the engine refuse what it does not have, before anything is trained.

    Raises:
        RecipeError, NetworkError: for a part of the recipe or of the network.
        TrainingError, MissingExtra: for a device or a library that is not there.
    """
    if recipe.engine == "torch":
        from striate.engines.pytorch import optimizers

        optimizers.check(recipe.optimizer)
        return
    own = device_of(recipe, device)
    if device not in {"auto", own}:
        raise TrainingError(
            f"--device {device}: the engine {recipe.engine} computes on {own} only; leave --device out, "
            "or use the PyTorch engine (recipe.engine=torch)"
        )
    from striate.engines.scratch import engine

    engine.check(recipe, network)


def fetch_weights(network: NetworkConfig) -> None:
    """Download the weights of a torchvision network, unless they are here.

    Raises:
        MissingWeights: when they cannot be downloaded.
    """
    from striate.nets.pytorch import pretrained

    pretrained.published_weights(str(network.torchvision))


def check_batch_norm(
    recipe: Recipe, network: NetworkConfig, input_shape: Shape, classes: int, train_images: int
) -> None:
    """Refuse a batch norm that would normalize over one value a channel, which has no variance.

    A frozen norm uses its running statistics, so one value is enough for it.

    Raises:
        RecipeError: naming the first layer.
        NetworkError: for a module of others, which is tried.
    """
    if min(recipe.batch_size, train_images) > 1:
        return
    if network.is_foreign:
        from striate.nets.pytorch import pretrained

        pretrained.check_training_batch(network, input_shape, classes, images=1)
        return
    layers = resolve(network, input_shape, classes)
    frozen = frozen_parameters(network.freeze, layers)
    for layer in all_layers(layers):
        is_frozen = f"{norm_name(layer)}.weight" in frozen
        if layer.norm == "batch" and math.prod(layer.output_shape[1:]) == 1 and not is_frozen:
            raise RecipeError(
                f"recipe.batch_size: the batch norm of layer {layer.name} must have two values a channel, "
                "a batch of 1 image has one there; use batches of 2 or more, or another norm"
            )


def device_of(recipe: Recipe, device: str) -> str:
    """The kind of device that a run would use: cpu, cuda or mps.

    Raises:
        TrainingError: when the requested device is not there.
    """
    if recipe.engine == "torch":
        from striate.engines.pytorch.device import choose

        return choose(recipe, device).device.type
    return "cpu" if recipe.engine == "numpy" else "cuda"


def choose_precision(asked: PrecisionQuestion) -> PrecisionChoice:
    """The precision of a run whose recipe says auto. On a CPU with units for bf16 it is measured, once on a machine.

    Raises:
        TrainingError: when the requested device is not there.
    """
    if asked.engine == "torch":
        from striate.engines.pytorch import precision_check

        return precision_check.choose_precision(asked)
    return PrecisionChoice("float32", f"the engine {asked.engine} computes in it")


def device_and_precision(recipe: Recipe, device: str, precision: PrecisionChoice | None) -> tuple[str, str]:
    """The name of the device that a run would use, and its precision; `precision` is that of recipes that say auto."""
    if recipe.engine == "torch":
        from striate.engines.pytorch import device as devices

        setup = devices.choose(recipe, device, decide=(lambda: precision) if precision else None)
        return devices.name(setup.device), setup.precision
    from striate.engines.scratch import library

    return library.device_of(recipe.engine)[1], "float32"


def images_per_second(
    network: NetworkConfig,
    recipe: Recipe,
    dataset: Dataset,
    device: str,
    threads: int,
    seconds: float,
    precision: PrecisionChoice | None = None,
) -> float:
    """The speed of training, from steps on the first images of `dataset` within about `seconds`; from one step at least."""
    with _engine_to_time(network, recipe, dataset, device, threads, precision) as (engine, plan):
        is_gpu = device_of(recipe, device) != "cpu"
        return len(plan.order) / step_seconds(engine, plan, recipe.optimizer.lr, seconds, is_gpu=is_gpu)


class Speeds(NamedTuple):
    """How fast a run would be on this machine, measured."""

    train: float  # images a second
    evaluate: float  # images a second
    start_seconds: float  # until the first step, in a process that has read the images


def speeds(
    network: NetworkConfig,
    recipe: Recipe,
    dataset: Dataset,
    device: str,
    threads: int,
    seconds: float,
    precision: PrecisionChoice | None = None,
) -> Speeds:
    """As `images_per_second`, with an evaluation of as many images as take about half of `seconds`."""
    started = time.perf_counter()
    with _engine_to_time(network, recipe, dataset, device, threads, precision) as (engine, plan):
        opened = time.perf_counter()
        is_gpu = device_of(recipe, device) != "cpu"
        train = len(plan.order) / step_seconds(engine, plan, recipe.optimizer.lr, seconds, is_gpu=is_gpu)
        count = min(len(dataset.train), 1 + int(seconds * train))
        engine.add_split("timed", Part(dataset.train.images[:count], dataset.train.labels[:count]))
        evaluations = []
        for _ in range(2):  # the first one is a warm-up
            before = time.perf_counter()
            engine.evaluate("timed")
            evaluations.append(time.perf_counter() - before)
        return Speeds(train, count / evaluations[-1], opened - started)


@contextmanager
def _engine_to_time(
    network: NetworkConfig,
    recipe: Recipe,
    dataset: Dataset,
    device: str,
    threads: int,
    precision: PrecisionChoice | None,
) -> Iterator[tuple[Engine, EpochPlan]]:
    """An engine in its first epoch, with the images of one batch."""
    rows = np.arange(min(recipe.batch_size, len(dataset.train)))
    job = Job(data=DataConfig(source=dataset.name), digest=dataset.digest, network=network, recipe=recipe, seed=0)
    inputs = RunInputs(job, dataset, Splits(dataset, rows, rows[:0]), *mean_std(dataset.train.images, rows))
    with _opener(recipe, device, precision)(inputs, threads, None) as engine:
        engine.begin_epoch(0)
        yield engine, epoch_plan(inputs, epoch=0)


def step_seconds(
    engine: Engine,
    plan: EpochPlan,
    lr: float,
    seconds: float,
    *,
    is_gpu: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """The median time of a training step, measured for about `seconds`.

    The first steps of a GPU take seconds, in which its libraries start and choose their kernels, so there they are never counted.
    Later ones are timed as they run in training, several between two reads. On a CPU a step may be slow, so if there was time for
    no others the first ones count.
    """

    def timed(steps: int) -> float:
        started = clock()
        for _ in range(steps):
            engine.train_step(plan, step=0, lr=lr)
        engine.running_sums()  # waits for the device
        return (clock() - started) / steps

    first = [timed(1) for _ in range(WARM_UP_STEPS if is_gpu else 1)]
    steps = min(engine.read_every, max(1, int(seconds / max(first[-1], 1e-6))))
    timings = [] if is_gpu else first
    while not timings or (steps * sum(timings) < seconds and len(timings) < MAX_TIMINGS):
        timings.append(timed(steps))
    return float(np.median(timings if is_gpu else timings[WARM_UP_STEPS:] or timings))


def _opener(recipe: Recipe, device: str, precision: PrecisionChoice | None) -> OpenEngine:
    if recipe.engine == "torch":
        from striate.engines.pytorch import engine as pytorch

        return partial(pytorch.open_engine, device=device, precision=precision)
    from striate.engines.scratch import engine as scratch

    return scratch.open_engine
