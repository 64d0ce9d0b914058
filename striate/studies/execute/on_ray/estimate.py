"""What the missing runs of a plan would cost on a cluster: nodes and runs at once, and time from steps that its nodes time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from striate.studies.execute.estimate import Measure, Resources, disk_bytes
from striate.studies.execute.messages import TimeSteps
from striate.studies.execute.on_ray import cluster, images
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.on_ray.scheduler import RayScheduler, open_scheduler
from striate.studies.execute.precision import study_precision
from striate.studies.execute.protocol import Task
from striate.studies.plan import Plan
from striate.studies.study import Arm

# So many places of a cluster stand for all.
MOST_TIMED = 8


@contextmanager
def checked_cluster(
    plan: Plan, options: RayOptions, jobs: int | None, device: str
) -> Iterator[tuple[Resources, Measure]]:
    """What the runs of `plan` use on the cluster, and a way to time their steps there, once engines and nodes have been checked.

    Raises:
        StriateError: for a cluster or an engine that cannot train them.
    """
    with cluster.connected(options) as ray:
        scheduler = open_scheduler(ray, options, jobs, device)
        allocation = scheduler.allocation
        allocation.datasets |= {images.key(arm.data): plan.datasets[arm.name] for arm in plan.arms}
        scheduler.check(plan, _never)
        auto = study_precision(plan, device, scheduler.threads, partial(scheduler.choose_precision, should_stop=_never))
        computes = scheduler.devices(plan, auto)
        resources = Resources(
            at_once=scheduler.at_once,
            threads=scheduler.threads,
            device_name=", ".join(dict.fromkeys(name for name, _ in computes)),
            precision=", ".join(dict.fromkeys(precision for _, precision in computes)),
            auto=auto,
            disk_bytes=disk_bytes(plan),
            nodes=_in_words(allocation.nodes),
        )
        yield resources, partial(_images_per_second, plan, scheduler, resources)


def _images_per_second(plan: Plan, scheduler: RayScheduler, resources: Resources, arm: Arm, seconds: float) -> float:
    run = next(run for run in plan.missing if run.arm == arm.name)
    asked = TimeSteps(arm.data, arm.recipe, arm.network, scheduler.device, resources.threads, seconds, resources.auto)
    count = min(resources.at_once, len(plan.missing), MOST_TIMED)
    with arm.error_context():
        return scheduler.images_per_second(asked, Task(run.label, run.job, run.folder), count)


def _in_words(nodes: Sequence[cluster.Node]) -> tuple[str, ...]:
    """2 nodes with 4 CPUs and 1 GPU (AMD EPYC)."""
    counts = Counter((node.cpus, node.gpus, node.kind) for node in nodes)
    return tuple(
        f"{number} node{'s' * (number > 1)} with {cpus:g} CPU{'s' * (cpus != 1)}"
        + (f" and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else "")
        + f" ({kind})"
        for (cpus, gpus, kind), number in sorted(counts.items())
    )


def _never() -> bool:
    return False
