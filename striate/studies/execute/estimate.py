"""What the missing runs of a plan would cost on this machine: disk and workers at once, time from a few timed steps."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from striate.core.errors import StriateError, TrainingError
from striate.core.records import fingerprint
from striate.data import Dataset, split
from striate.engines import select as engines
from striate.engines.precision import PrecisionChoice
from striate.recipes import views
from striate.studies.execute.local import runs_and_threads
from striate.studies.execute.precision import study_precision
from striate.studies.plan import Plan, PlannedRun
from striate.studies.study import Arm

# From an arm and the seconds to time its steps for, to training images a second.
Measure = Callable[[Arm, float], float]

# An evaluated image costs about a third of a trained one: the forward pass of forward and backward.
FORWARD_SHARE = 1 / 3
# What a worker needs before its first step: importing torch, reading the images.
START_SECONDS = 5.0
# What timing may take in all, and for one arm; a step that has begun is finished.
TIMING_SECONDS = 10.0
TIMING_SECONDS_OF_ARM = 1.0


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the missing runs use on this machine."""

    at_once: int
    threads: int  # of each run
    device_name: str
    precision: str
    auto: PrecisionChoice | None  # what the recipes that say auto compute in; None: there are none
    disk_bytes: int
    nodes: tuple[str, ...] = ()  # of a cluster, in words; none: this machine


@dataclass(frozen=True, kw_only=True)
class TimeEstimate:
    """About how long the missing runs take."""

    seconds: float
    images_per_second: Mapping[str, float]  # by arm, for the arms with runs to train whose steps were timed
    arms: int  # how many arms have runs to train

    @property
    def is_complete(self) -> bool:
        """Whether every arm with runs to train was timed."""
        return len(self.images_per_second) == self.arms


def resources(plan: Plan, jobs: int | None, device: str) -> Resources:
    """What the missing runs of `plan` use: workers, threads, device, precision, bytes on the disk."""
    at_once, threads = runs_and_threads(plan, jobs, {engines.device_of(arm.recipe, device) for arm in plan.arms})
    auto = study_precision(plan, device, threads, engines.choose_precision)
    computes = sorted({engines.device_and_precision(arm.recipe, device, auto) for arm in plan.arms})
    return Resources(
        at_once=at_once,
        threads=threads,
        device_name=", ".join(dict.fromkeys(name for name, _ in computes)),
        precision=", ".join(dict.fromkeys(precision for _, precision in computes)),
        auto=auto,
        disk_bytes=disk_bytes(plan),
    )


def disk_bytes(plan: Plan) -> int:
    """What the missing runs of `plan` write."""
    return sum(_disk_bytes(plan, run) for run in plan.missing)


def estimate_time(
    plan: Plan,
    workers: Resources,
    device: str,
    timing_seconds: float = TIMING_SECONDS,
    measure: Measure | None = None,
) -> TimeEstimate | None:
    """Time a few steps of the missing runs; None when nothing is missing. `measure` times them elsewhere.

    Arms whose steps cost the same are timed once. When `timing_seconds` are spent, the remaining arms count as the mean
    of those that were timed; the order is random, so that these stand for the rest.

    Raises:
        TrainingError: when a step fails.
    """
    arms = {arm.name: arm for arm in plan.arms if any(run.arm == arm.name for run in plan.missing)}
    if not arms:
        return None

    def measure_here(arm: Arm, seconds: float) -> float:
        return _images_per_second(arm, plan.datasets[arm.name], device, workers, seconds)

    speeds = _time_steps(plan, list(arms.values()), measure or measure_here, timing_seconds)
    mean = sum(1 / speed for speed in speeds.values()) / len(speeds)
    seconds = sum(
        _image_count(plan, run, arms[run.arm]) * (1 / speeds[run.arm] if run.arm in speeds else mean)
        for run in plan.missing
    )
    at_once = min(workers.at_once, len(plan.missing))
    return TimeEstimate(seconds=seconds / at_once + START_SECONDS, images_per_second=speeds, arms=len(arms))


def _time_steps(plan: Plan, arms: list[Arm], measure: Measure, timing_seconds: float) -> dict[str, float]:
    """Training images a second by arm, for as many arms as the time allows, one at least."""
    alike: dict[str, list[Arm]] = {}
    for arm in arms:
        alike.setdefault(_step_key(arm, plan.datasets[arm.name]), []).append(arm)
    groups = list(alike.values())
    random.Random(0).shuffle(groups)
    speeds: dict[str, float] = {}
    end = time.monotonic() + timing_seconds
    for group in groups:
        seconds_left = end - time.monotonic()
        if speeds and seconds_left <= 0:
            break
        arm, seconds = group[0], min(seconds_left, TIMING_SECONDS_OF_ARM)
        speed = measure(arm, seconds)
        speeds |= {arm.name: speed for arm in group}
    return speeds


def _step_key(arm: Arm, dataset: Dataset) -> str:
    """Equal for arms whose steps cost the same: epochs, schedule and the optimizer's numbers do not matter."""
    recipe = arm.recipe.identity()
    for name in (
        "epochs",
        "schedule",
        "stop",
        "test_time",
        "precise_norm",
        "label_smoothing",
        "class_weights",
        "shuffle",
    ):
        recipe.pop(name, None)
    recipe["optimizer"] = [arm.recipe.optimizer.name, sorted(arm.recipe.optimizer.arguments)]
    return fingerprint(arm.network, recipe, dataset.digest)


def _image_count(plan: Plan, run: PlannedRun, arm: Arm) -> float:
    """How many images a run trains on; an evaluated one counts as a share of a trained one."""
    dataset = plan.datasets[run.arm]
    parts = split(dataset, arm.data.validation, run.seed)
    train, validation = parts.size("train"), parts.size("validation")
    per_epoch = validation + min(arm.recipe.precise_norm or 0, train)
    per_epoch += plan.study.watch_train * train + plan.study.watch_test * dataset.test_size
    at_end = len(views(arm.recipe.test_time)) * (validation + dataset.test_size)
    return arm.recipe.epochs * (train + FORWARD_SHARE * per_epoch) + FORWARD_SHARE * at_end


def _disk_bytes(plan: Plan, run: PlannedRun) -> int:
    """Best and final weights, and the logits of validation and test."""
    dataset = plan.datasets[run.arm]
    logits = split(dataset, run.job.data.validation, run.seed).size("validation") + dataset.test_size
    return 8 * plan.parameters[run.arm] + 4 * len(dataset.classes) * logits


def _images_per_second(arm: Arm, dataset: Dataset, device: str, workers: Resources, seconds: float) -> float:
    """Training images a second, from steps timed for about `seconds`."""
    try:
        return engines.images_per_second(
            arm.network, arm.recipe, dataset, device, workers.threads, seconds, workers.auto
        )
    except StriateError:
        raise
    except Exception as error:  # a step that torch refuses, or for which there is no memory
        raise TrainingError(f"arm '{arm.name}': a step of training failed: {type(error).__name__}: {error}") from error
