"""What the missing runs of a plan would cost on this machine, from a few timed steps of each arm."""

from typing import Any

from striate.core.errors import StriateError, TrainingError
from striate.data import Dataset, split
from striate.engines import select as engines
from striate.recipes import views
from striate.studies.execute.machine import shares
from striate.studies.plan import Plan
from striate.studies.study import Arm

# An evaluated image costs about a third of a trained one: the forward pass of forward and backward.
FORWARD_SHARE = 1 / 3
# What a worker needs before its first step: importing torch, reading the images.
START_SECONDS = 5.0


def estimate(plan: Plan, jobs: int | None, device: str) -> dict[str, Any]:
    """Seconds and bytes, and what they rest on."""
    at_once, threads = shares(plan, jobs, {engines.device_of(arm.recipe, device) for arm in plan.arms})
    computes = sorted({engines.computes_with(arm.recipe, device) for arm in plan.arms})
    speeds = {arm.name: _speed(arm, plan.datasets[arm.name], device, threads) for arm in plan.arms}
    arms = {arm.name: arm for arm in plan.arms}
    seconds = total_bytes = 0.0
    for run in plan.missing:
        dataset, arm = plan.datasets[run.arm], arms[run.arm]
        parts = split(dataset, arm.data.validation, run.seed)
        sizes = {"train": parts.size("train"), "validation": parts.size("validation"), "test": dataset.test_size}
        looked_at = sizes["validation"] + min(arm.recipe.precise_norm or 0, sizes["train"])
        looked_at += plan.study.watch_train * sizes["train"] + plan.study.watch_test * sizes["test"]
        judged = len(views(arm.recipe.test_time)) * (sizes["validation"] + sizes["test"])
        images = arm.recipe.epochs * (sizes["train"] + FORWARD_SHARE * looked_at) + FORWARD_SHARE * judged
        seconds += images / speeds[run.arm]
        # Best and final weights, and the logits of validation and test.
        total_bytes += 8 * plan.parameters[run.arm] + 4 * len(dataset.classes) * (
            parts.size("validation") + dataset.test_size
        )
    return {
        "seconds": seconds / max(1, min(at_once, len(plan.missing))) + (START_SECONDS if plan.missing else 0),
        "bytes": total_bytes,
        "images_per_second": speeds,
        "at_once": at_once,
        "threads": threads,
        "device_name": ", ".join(dict.fromkeys(name for name, _ in computes)),
        "precision": ", ".join(dict.fromkeys(precision for _, precision in computes)),
    }


def _speed(arm: Arm, dataset: Dataset, device: str, threads: int) -> float:
    try:
        return engines.speed(arm.network, arm.recipe, dataset, device, threads)
    except StriateError:
        raise
    except Exception as error:  # a step that torch refuses, or for which there is no memory
        raise TrainingError(f"arm '{arm.name}': a step of training failed: {type(error).__name__}: {error}") from error
