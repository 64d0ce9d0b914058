"""Where the runs of a study are trained: by processes of this machine, or on a Ray cluster."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from striate.core.processes import cpu_count
from striate.engines.precision import PrecisionChoice
from striate.studies.execute.local import LocalScheduler, local_scheduler
from striate.studies.execute.on_ray.options import RayOptions, ray_options
from striate.studies.execute.precision import study_precision
from striate.studies.execute.protocol import Scheduler
from striate.studies.plan import Plan


@contextmanager
def open_scheduler(
    plan: Plan, on: str | RayOptions, jobs: int | None, device: str, should_stop: Callable[[], bool]
) -> Iterator[Scheduler]:
    """The scheduler for `plan`, once every arm's engine has checked it where the runs are trained.

    Raises:
        StriateError: for a place that is none or cannot train these runs, or what an engine does not have.
    """
    options = _ray_options(on)
    if options is None:
        with local_scheduler(plan, jobs, device, should_stop) as local:
            yield local
        return
    from striate.studies.execute.on_ray.scheduler import ray_scheduler

    with ray_scheduler(plan, options, jobs, device, should_stop) as scheduler:
        yield scheduler


def connection(on: str | RayOptions) -> AbstractContextManager[Any]:
    """Keeps the connection to a cluster for a command that runs several studies."""
    options = _ray_options(on)
    if options is None:
        return contextlib.nullcontext()
    from striate.studies.execute.on_ray.cluster import connected

    return connected(options)


def choose_precision(
    plan: Plan, scheduler: Scheduler, device: str, should_stop: Callable[[], bool]
) -> PrecisionChoice | None:
    """The precision of the study's runs whose recipes say auto, measured where the runs are trained if it can be."""
    from striate.engines import select
    from striate.studies.execute.on_ray.scheduler import RayScheduler

    if isinstance(scheduler, RayScheduler):
        ask = partial(scheduler.choose_precision, should_stop=should_stop)
        return study_precision(plan, scheduler.device, scheduler.threads, ask)
    if isinstance(scheduler, LocalScheduler):
        device, threads = scheduler.device, scheduler.threads or cpu_count()
        if scheduler.pool:
            ask = partial(scheduler.pool.choose_precision, should_stop=should_stop)
            return study_precision(plan, device, threads, ask)
        return study_precision(plan, device, threads, select.choose_precision)
    return study_precision(plan, device, cpu_count(), select.choose_precision)


def _ray_options(on: str | RayOptions) -> RayOptions | None:
    return on if isinstance(on, RayOptions) else ray_options(on)
