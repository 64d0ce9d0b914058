"""How many runs go at once on this machine, and with how many threads each."""

import os

from striate.core.errors import StudyError
from striate.studies.execute.engines import device_of
from striate.studies.execute.local import LocalScheduler
from striate.studies.plan import Plan


def local_scheduler(plan: Plan, jobs: int | None, device: str) -> LocalScheduler:
    """The scheduler for `plan`; `jobs` None chooses.

    On a CPU as many runs at once as there are seeds, up to the cores, the threads shared out: two processes of
    one thread do more than one of two. Not the number of runs, because the threads change the last bits and
    adding an arm must not change another arm's numbers. A GPU does one run at a time.

    Raises:
        StudyError: for a number of jobs that cannot be.
    """
    if jobs is not None and jobs < 1:
        raise StudyError(f"--jobs: must be 'auto' or a number from 1 up, got {jobs}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kinds = {device_of(arm.recipe, device) for arm in plan.arms}
    at_once = jobs or (min(cores, len(plan.study.seeds)) if kinds == {"cpu"} else 1)
    return LocalScheduler(at_once, max(1, cores // at_once), device)
