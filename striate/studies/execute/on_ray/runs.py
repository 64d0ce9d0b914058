"""The runs of a study on a cluster: handed out as Ray tasks, heard of, and given to another node when theirs is lost."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from striate.core.errors import StriateError, StudyError
from striate.studies.execute.messages import Train, decode_event, encode
from striate.studies.execute.on_ray import cluster, files, remote
from striate.studies.execute.on_ray.allocation import Allocation
from striate.studies.execute.on_ray.mailbox import Mailbox
from striate.studies.execute.on_ray.versions import own_versions
from striate.studies.execute.protocol import Event, Note, Started, Stopped, Task, closed

# How often a run is tried whose node or process is lost.
MOST_TRIES = 3
# How long to wait for a message, before `should_stop` is asked again.
LISTEN_SECONDS = 0.2
# How long running tasks may take to save and end.
GOODBYE_SECONDS = 60.0
# How long nothing may run before the study says what it waits for, and how often the nodes are looked at.
WAIT_SECONDS = 10.0
LOOK_SECONDS = 5.0
# Tasks that are handed to Ray before there is room for them, so that none waits for this process.
AHEAD = 8
# Calls that the mailbox answers at once, at most.
MOST_CALLS = 10_000


@dataclass
class Attempt:
    """A task in the hands of Ray."""

    task: Task
    number: int
    reference: Any
    has_started: bool = False
    node: str = ""


class Runs:
    """The tasks of one call of `run`, and their attempts."""

    def __init__(self, allocation: Allocation, tasks: Sequence[Task], probe: Path | None) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.allocation, self.ray, self.probe = allocation, allocation.ray, probe
        self.waiting = deque(tasks)
        self.attempts: dict[str, Attempt] = {}  # by a name of each
        self.began = 0
        self.unfit: set[str] = set()  # nodes that came later and cannot train
        self.kinds = _kinds_of_seeds(tasks, allocation)
        self.is_stopping = False
        self._nodes, self._looked, self._moved, self._told = allocation.nodes, time.monotonic(), time.monotonic(), ""
        self._setting = {"versions": own_versions(), "probe": str(probe) if probe else ""}
        self._train = allocation.remote(remote.train_run)
        head = NodeAffinitySchedulingStrategy(cluster.head_node(self.ray), soft=False)
        actor = self.ray.remote(num_cpus=0, max_concurrency=MOST_CALLS, scheduling_strategy=head)(Mailbox)
        self.mailbox = actor.remote()

    def events(self, should_stop: Callable[[], bool]) -> Iterator[Event]:
        while self.waiting or self.attempts:
            if should_stop() and not self.is_stopping:
                yield from self._stop()
            while self.waiting and len(self.attempts) < self._most_attempts():
                yield from self._start(self.waiting.popleft())
            done = set(self._done())
            yield from self._heard(LISTEN_SECONDS)
            for name in [name for name, attempt in self.attempts.items() if attempt.reference in done]:
                yield from self._ended(name)
            yield from self._waits()

    def end(self) -> None:
        """Save and end what runs still; at a second wish to stop, at once."""
        ray = self.ray
        try:
            if self.attempts and not self.is_stopping:
                ray.get(self.mailbox.stop.remote())
                for _ in self._heard(0):
                    pass
                started = [attempt.reference for attempt in self.attempts.values() if attempt.has_started]
                ray.wait(started, num_returns=len(started), timeout=GOODBYE_SECONDS) if started else None
                for _ in self._heard(0):
                    pass
            for attempt in self.attempts.values():
                ray.cancel(attempt.reference, force=True)
            ray.kill(self.mailbox)
        except ray.exceptions.RayError:
            pass  # the cluster is gone, and its processes with it

    def _stop(self) -> Iterator[Event]:
        """Ask the runs to save and end. What has not begun will not, because the mailbox lets nothing begin any more."""
        self.is_stopping = True
        self.waiting.clear()
        self.ray.get(self.mailbox.stop.remote())
        yield from self._heard(0)
        for name in [name for name, attempt in self.attempts.items() if not attempt.has_started]:
            self.ray.cancel(self.attempts.pop(name).reference)

    def _most_attempts(self) -> int:
        """How many tasks Ray is given: as many as it can run, and a few that wait."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._nodes, self._looked = cluster.living_nodes(self.ray), time.monotonic()
        room = self.allocation.room(self._nodes)
        return self.allocation.jobs or room + max(AHEAD, room // 4)

    def _start(self, task: Task, number: int = 1, has_started: bool = False) -> Iterator[Event]:
        """Hand a task to Ray."""
        allocation = self.allocation
        try:
            packed, weights = allocation.images(task), allocation.weights(task)
        except StudyError:
            raise
        except StriateError as error:
            yield from [] if has_started else [Started(task)]
            yield closed(task, str(error))
            return
        folder = task.folder.absolute()
        at_once = allocation.most_on_a_node(self._nodes)
        request = Train(replace(task, folder=folder), allocation.device, allocation.options.threads, at_once)
        copied = None if self.probe else files.contents(folder)
        self.began += 1
        name = f"{self.began}"
        options = {"label_selector": selector} if (selector := self._selector(task)) else {}
        reference = self._train.options(name=f"striate: {task.label}", **options).remote(
            json.dumps(encode(request)), name, self.mailbox, self._setting, packed, copied, weights
        )
        self.attempts[name] = Attempt(task, number, reference, has_started)

    def _selector(self, task: Task) -> dict[str, str]:
        """Which nodes may take the task: those of its seed's kind while there are any, and none that turned out to be unfit."""
        kind = self.kinds.get(task.job.seed)
        living = {node.id for node in self._nodes}
        alike = [node.id for node in self.allocation.nodes if node.kind == kind and node.id in living - self.unfit]
        if kind is not None and alike:
            return {cluster.NODE_ID: f"in({','.join(alike)})"}
        return {cluster.NODE_ID: f"!in({','.join(sorted(self.unfit))})"} if self.unfit else {}

    def _done(self) -> list[Any]:
        references = [attempt.reference for attempt in self.attempts.values()]
        if not references:
            return []
        return self.ray.wait(references, num_returns=len(references), timeout=0, fetch_local=False)[0]

    def _heard(self, seconds: float) -> Iterator[Event]:
        """What the nodes have sent since the last time; waits up to `seconds` for something."""
        messages, with_files = self.ray.get(self.mailbox.take.remote(seconds))
        for name in with_files:
            sent = self.ray.get(self.mailbox.take_files.remote(name))
            if attempt := self.attempts.get(name):
                files.write(attempt.task.folder, sent)
        for name, text in messages:
            if attempt := self.attempts.get(name):
                data = json.loads(text)
                attempt.node = data.pop("node", attempt.node)
                event = decode_event(data, attempt.task)
                if isinstance(event, Started):
                    self._moved = time.monotonic()
                    if attempt.has_started:
                        continue
                    attempt.has_started = True
                yield event

    def _ended(self, name: str) -> Iterator[Event]:
        """What the end of an attempt means for its task."""
        attempt = self.attempts.pop(name)
        self._moved = time.monotonic()
        task, exceptions = attempt.task, self.ray.exceptions
        try:
            answer = self.ray.get(attempt.reference)
        except exceptions.RayTaskError as error:
            yield from self._closed(attempt, (str(error).strip().splitlines() or ["?"])[-1])
        except exceptions.RayError as error:
            yield from self._lost(attempt, error)
        else:
            data = json.loads(answer) if answer else {"kind": ""}
            if data["kind"] == "Unfit" and not self.is_stopping:
                self.unfit.add(data["node"])
                yield Note(task, f"a node that joined the cluster {data['reason']}; it gets no runs")
                yield from self._start(task, attempt.number)
            elif data["kind"] not in {"", "Unfit"}:
                if not attempt.has_started:
                    yield Started(task)
                yield decode_event(data, task)

    def _lost(self, attempt: Attempt, error: Exception) -> Iterator[Event]:
        """A node or a process is gone: the run continues elsewhere from its last save, a few times."""
        task, reason = attempt.task, _loss(self.ray, error)
        if self.is_stopping and attempt.has_started:
            yield Stopped(task)
        elif attempt.number < MOST_TRIES:
            self._looked = -math.inf
            if attempt.has_started:
                text = f"{reason}; the run continues from its last save (try {attempt.number + 1} of {MOST_TRIES})"
                yield Note(task, text)
            yield from self._start(task, attempt.number + 1, attempt.has_started)
        else:
            yield from self._closed(attempt, f"{reason}, {MOST_TRIES} times")

    def _closed(self, attempt: Attempt, reason: str) -> Iterator[Event]:
        if not attempt.has_started:
            yield Started(attempt.task)
        yield closed(attempt.task, reason)

    def _waits(self) -> Iterator[Event]:
        """What the study waits for, when nothing has run for a while."""
        if not self.attempts or any(attempt.has_started for attempt in self.attempts.values()):
            self._moved, self._told = time.monotonic(), ""
        elif time.monotonic() - self._moved > WAIT_SECONDS:
            self._moved = time.monotonic()
            if (text := self._lack()) != self._told:
                self._told = text
                yield Note(next(iter(self.attempts.values())).task, text)

    def _lack(self) -> str:
        wanted = self.allocation.needs()
        if not self.allocation.room(cluster.living_nodes(self.ray)):
            return f"waits for a node with {wanted}: the cluster has none now"
        return f"waits for {wanted}: other work has them, or their node is starting"


def _loss(ray: Any, error: Exception) -> str:
    """Why an attempt has no answer, in words."""
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "Ray ended the process of the run, because its node was out of memory"
    if isinstance(error, ray.exceptions.NodeDiedError | ray.exceptions.LocalRayletDiedError):
        return "the node of the run was lost"
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return "the process of the run was lost"
    return f"the run was lost ({type(error).__name__})"


def _kinds_of_seeds(tasks: Sequence[Task], allocation: Allocation) -> Mapping[int, str]:
    """The kind of node for each seed, so that the arms of a seed are trained on like processors; empty: all nodes are alike."""
    room: dict[str, int] = {}
    for node in allocation.nodes:
        room[node.kind] = room.get(node.kind, 0) + allocation.room([node])
    if len(room) < 2:
        return {}
    load = dict.fromkeys(room, 0)
    kinds: dict[int, str] = {}
    for task in tasks:
        if task.job.seed not in kinds:
            kinds[task.job.seed] = min(room, key=lambda kind: (load[kind] + 1) / room[kind])
        load[kinds[task.job.seed]] += 1
    return kinds
