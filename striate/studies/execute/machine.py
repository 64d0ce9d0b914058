"""How many runs go at once on this machine, and with how many threads each."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from striate.core.errors import StudyError
from striate.core.processes import cpu_count
from striate.studies.execute.local import LocalScheduler, WorkerPool
from striate.studies.plan import Plan


@contextmanager
def local_scheduler(
    plan: Plan, jobs: int | None, device: str, should_stop: Callable[[], bool]
) -> Iterator[LocalScheduler]:
    """The scheduler for `plan`, every arm looked at by its engine; `jobs` None chooses.

    It is the workers that look, so that this process needs no engine: importing one takes seconds, and with nothing to
    train none is needed.

    Raises:
        StriateError: for what an engine does not have, or a number of jobs that cannot be.
    """
    most, _ = shares(plan, jobs, {"cpu"})
    # A GPU does one run at a time, and each process that looks at it takes memory there.
    begun = 1 if device != "cpu" and _may_have_gpu() else most
    with WorkerPool(min(begun, len(plan.missing))) as crew:
        kinds = set()
        for arm in plan.arms if plan.missing else ():
            kinds.add(crew.ask(arm, device, should_stop))
        yield LocalScheduler(*shares(plan, jobs, kinds), device, crew)


def shares(plan: Plan, jobs: int | None, kinds: set[str]) -> tuple[int, int]:
    """Runs at once on these kinds of devices, and the threads of each.

    On a CPU as many runs at once as there are seeds, up to the cores, the threads shared out: two processes of
    one thread do more than one of two. Not the number of runs, because the threads change the last bits and
    adding an arm must not change another arm's numbers. A GPU does one run at a time.

    Raises:
        StudyError: for a number of jobs that cannot be.
    """
    if jobs is not None and jobs < 1:
        raise StudyError(f"--jobs: must be 'auto' or a number from 1 up, got {jobs}")
    cores = cpu_count()
    at_once = jobs or (min(cores, len(plan.study.seeds)) if kinds == {"cpu"} else 1)
    return at_once, max(1, cores // at_once)


def _may_have_gpu() -> bool:
    """Without an engine, which takes seconds to ask: whether there is a driver."""
    return sys.platform == "darwin" or any(Path("/dev", name).exists() for name in ("nvidiactl", "kfd", "dxg"))
