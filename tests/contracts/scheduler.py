"""What every scheduler promises, as tests. A scheduler's own test file inherits them and gives a `scheduler` fixture."""

from collections import Counter
from dataclasses import asdict

import pytest

from striate.data import DataConfig
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import Job, read
from striate.studies.execute.protocol import ENDINGS, Event, Task


def make_tasks(folder, npz, digest, count=3, **changes):
    """Runs of a second: the NumPy engine, because importing torch takes a new process two seconds."""
    settings = {"epochs": 2, "batch_size": 16, "engine": "numpy", **changes}
    return [
        Task(
            f"run {seed}",
            Job(
                data=DataConfig(source=str(npz)),
                digest=digest,
                network=NetworkConfig(layers="conv4 pool fc8"),
                recipe=Recipe(**settings),
                seed=seed,
            ),
            folder / f"seed-{seed}",
        )
        for seed in range(count)
    ]


class InlineScheduler:
    """Trains in this process, one task after another: for tests of what a study does with its runs."""

    def run(self, tasks, should_stop=lambda: False):
        for task in tasks:
            yield Event(task, "started", {})
            heard, notes = [], []
            try:
                summary = train(
                    task.job,
                    task.folder,
                    threads=1,
                    device="cpu",
                    report=lambda now, heard=heard: heard.append(asdict(now)),
                    should_stop=should_stop,
                    loggers=task.loggers,
                    note=notes.append,
                )
            except Exception as error:
                yield Event(task, "failed", {"reason": str(error)})
                continue
            for text in notes:
                yield Event(task, "note", {"text": text})
            for data in heard:
                yield Event(task, "progress", data)
            yield Event(task, "finished", summary.model_dump()) if summary else Event(task, "stopped", {})
            if summary is None:
                return


class SchedulerContract:
    """Needs the fixtures `scheduler`, `tasks` (three that work) and `broken` (one that fails)."""

    def test_every_task_ends_exactly_once_and_its_folder_is_finished(self, scheduler, tasks):
        events = list(scheduler.run(tasks, lambda: False))
        ends = Counter(event.task.label for event in events if event.kind in ENDINGS)
        assert ends == {task.label: 1 for task in tasks}
        assert {read(task.folder).state for task in tasks} == {"finished"}

    def test_a_task_starts_before_anything_else_happens_to_it(self, scheduler, tasks):
        first = {}
        for event in scheduler.run(tasks, lambda: False):
            first.setdefault(event.task.label, event.kind)
        assert set(first.values()) == {"started"}

    def test_one_failing_task_does_not_stop_the_others(self, scheduler, tasks, broken):
        ends = {
            event.task.label: event for event in scheduler.run([broken, *tasks], lambda: False) if event.kind in ENDINGS
        }
        assert ends[broken.label].kind == "failed"
        assert ends[broken.label].data["reason"]
        assert {ends[task.label].kind for task in tasks} == {"finished"}

    def test_a_stop_saves_what_runs_and_begins_nothing_new(self, scheduler, long_tasks):
        kinds: list[str] = []
        ends = Counter()
        for event in scheduler.run(long_tasks, lambda: "progress" in kinds):
            kinds.append(event.kind)
            ends[event.kind] += event.kind in ENDINGS
        assert ends["stopped"] >= 1
        assert ends["finished"] == 0
        assert (long_tasks[0].folder / "last.pt").exists()

    def test_no_tasks_is_no_work(self, scheduler):
        assert list(scheduler.run([], lambda: False)) == []

    @pytest.fixture
    def tasks(self, tmp_path, squares):
        return make_tasks(tmp_path, *squares)

    @pytest.fixture
    def long_tasks(self, tmp_path, squares):
        return make_tasks(tmp_path, *squares, count=2, epochs=100_000)

    @pytest.fixture
    def broken(self, tmp_path, squares):
        npz, _ = squares
        (task,) = make_tasks(tmp_path / "broken", npz, "e" * 64, count=1)
        return Task("broken", task.job, task.folder)
