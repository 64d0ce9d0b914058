"""The scheduler of a Ray cluster."""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from striate.core.errors import StudyError
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.studies.execute.messages import Accepted, Answer, Check, Refused, Timed, TimeSteps, decode_answer, encode
from striate.studies.execute.on_ray import cluster, images, remote
from striate.studies.execute.on_ray.allocation import Allocation
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.on_ray.runs import Runs
from striate.studies.execute.protocol import Event, Task
from striate.studies.plan import Plan

# How often `should_stop` is asked.
LISTEN_SECONDS = 0.2


@contextmanager
def ray_scheduler(
    plan: Plan, options: RayOptions, jobs: int | None, device: str, should_stop: Callable[[], bool]
) -> Iterator["RayScheduler"]:
    """The scheduler for `plan` on a cluster, once its nodes and engines have been checked. Where nothing is missing, Ray is not needed.

    Raises:
        StudyError: when there is no cluster, or none that can train these runs.
        StriateError: for what an engine does not have.
    """
    if not plan.missing:
        yield RayScheduler(Allocation(None, options, jobs, device))
        return
    with cluster.connected(options) as ray:
        scheduler = open_scheduler(ray, options, jobs, device)
        scheduler.allocation.datasets |= {images.key(arm.data): plan.datasets[arm.name] for arm in plan.arms}
        scheduler.check(plan, should_stop)
        yield scheduler


def open_scheduler(ray: Any, options: RayOptions, jobs: int | None, device: str) -> "RayScheduler":
    """The scheduler of the nodes that can train, once they have been asked for their versions."""
    if jobs is not None and jobs < 1:
        raise StudyError(f"--jobs: must be 'auto' or a number from 1 up, got {jobs}")
    nodes = cluster.living_nodes(ray)
    cpus, gpus = cluster.needs(options, nodes, device)
    fit = cluster.survey(ray, [node for node in nodes if node.slots(cpus, gpus)])
    return RayScheduler(Allocation(ray, options, jobs, device, fit, cpus, gpus))


class RayScheduler:
    """Trains tasks on the nodes of a cluster."""

    def __init__(self, allocation: Allocation) -> None:
        self.allocation = allocation
        self.device, self.threads = allocation.device, allocation.options.threads

    @property
    def at_once(self) -> int:
        """How many runs are trained at the same time."""
        room, jobs = self.allocation.room(), self.allocation.jobs
        return min(room, jobs) if jobs else room

    def check(self, plan: Plan, should_stop: Callable[[], bool]) -> set[str]:
        """The kinds of devices that the arms use, once the engine of each has checked it on a node.

        Raises:
            StriateError: for what an engine refuses.
        """
        asked = [(arm, self._ask(Check(arm.recipe, arm.network, self.device))) for arm in plan.arms]
        devices = set()
        for arm, reference in asked:
            answer = self._answer(reference, should_stop)
            if isinstance(answer, Refused):
                with arm.error_context():
                    raise answer.exception()
            devices |= {answer.device} if isinstance(answer, Accepted) else set()
        return devices

    def choose_precision(self, asked: PrecisionQuestion, should_stop: Callable[[], bool]) -> PrecisionChoice | None:
        """The precision that is best on a node; None when `should_stop` is true before.

        Raises:
            StriateError: for a device that is not there.
        """
        answer = self._answer(self._ask(asked), should_stop)
        if isinstance(answer, Refused):
            raise answer.exception()
        assert answer is None or isinstance(answer, PrecisionChoice)
        return answer

    def devices(self, plan: Plan, auto: PrecisionChoice | None) -> list[tuple[str, str]]:
        """The names of the devices that the arms use, each with the precision there."""
        precision = (auto.precision, auto.reason) if auto else None
        asked = {json.dumps(encode(Check(arm.recipe, arm.network, self.device))) for arm in plan.arms}
        function = self.allocation.remote(remote.device_and_precision)
        return sorted({tuple(self._result(function.remote(request, precision))) for request in asked})

    def images_per_second(self, asked: TimeSteps, task: Task, count: int) -> float:
        """The speed of training while `count` runs are timed at once, on as many places of the cluster; their mean.

        Raises:
            StriateError: for a step that fails.
        """
        function, packed, request = (
            self.allocation.remote(remote.time_steps),
            self.allocation.images(task),
            encode(asked),
        )
        speeds = []
        for reference in [function.remote(json.dumps(request), packed) for _ in range(count)]:
            answer = decode_answer(json.loads(self._result(reference)))
            if isinstance(answer, Refused):
                raise answer.exception()
            assert isinstance(answer, Timed)
            speeds.append(answer.train)
        return sum(speeds) / len(speeds)

    def run(
        self, tasks: Sequence[Task], should_stop: Callable[[], bool] = lambda: False
    ) -> Generator[Event, None, None]:
        """Train the tasks and yield what happens. Closing the generator saves and ends the runs.

        Raises:
            StudyError: when the storage is to be shared and is not, or when the cluster is lost.
        """
        if not tasks:
            return
        allocation, ray = self.allocation, self.allocation.ray
        folder, storage = tasks[0].folder.absolute(), allocation.options.storage
        with cluster.probed_storage(ray, allocation.nodes, folder, storage) as probe:
            runs = Runs(allocation, tasks, probe)
            try:
                yield from runs.events(should_stop)
            except ray.exceptions.RayError as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise StudyError(
                    f"--on ray: the cluster is lost ({reason:.200}); everything up to the last saves is kept, "
                    "the same command resumes"
                ) from error
            finally:
                runs.end()

    def _ask(self, request: Check | PrecisionQuestion) -> Any:
        return self.allocation.remote(remote.answer).remote(json.dumps(encode(request)))

    def _answer(self, reference: Any, should_stop: Callable[[], bool]) -> Answer | None:
        """The answer of a node; None when `should_stop` is true before."""
        ray = self.allocation.ray
        while not should_stop():
            if ray.wait([reference], timeout=LISTEN_SECONDS)[0]:
                return decode_answer(json.loads(self._result(reference)))
        return None

    def _result(self, reference: Any) -> Any:
        ray = self.allocation.ray
        try:
            return ray.get(reference)
        except ray.exceptions.RayError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise StudyError(f"--on ray: a node could not check the study ({reason:.300})") from error
