"""What every scheduler promises, as tests. A scheduler's own test file inherits them and gives a `scheduler` fixture."""

from collections import Counter

import pytest

from striate.data import DataConfig
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import Job, layout, read
from striate.studies.execute.protocol import Ended, Failed, Finished, Note, Progress, Started, Stopped, Task


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


def is_saved(task) -> bool:
    """Whether the run can be resumed."""
    return any((task.folder / name).exists() for name in layout.CHECKPOINTS)


class InlineScheduler:
    """Trains in this process, one task after another: for tests of what a study does with its runs."""

    def run(self, tasks, should_stop=lambda: False):
        for task in tasks:
            yield Started(task)
            heard, notes = [], []
            try:
                summary = train(
                    task.job,
                    task.folder,
                    threads=1,
                    device="cpu",
                    precision=task.precision,
                    report=lambda now, heard=heard: heard.append(now),
                    should_stop=should_stop,
                    loggers=task.loggers,
                    note=notes.append,
                )
            except Exception as error:
                yield Failed(task, str(error))
                continue
            for text in notes:
                yield Note(task, text)
            for progress in heard:
                yield Progress(task, progress)
            yield Finished(task, summary) if summary else Stopped(task)
            if summary is None:
                return


class SchedulerContract:
    """Needs the fixtures `scheduler`, `tasks` (three that work), `long_tasks` (one more than run at once) and `broken` (one that fails)."""

    def test_every_task_ends_exactly_once_and_its_folder_is_finished(self, scheduler, tasks):
        events = list(scheduler.run(tasks, lambda: False))
        ends = Counter(event.task.label for event in events if isinstance(event, Ended))
        assert ends == {task.label: 1 for task in tasks}
        assert {read(task.folder).state for task in tasks} == {"finished"}

    def test_a_task_starts_before_anything_else_happens_to_it(self, scheduler, tasks):
        first = {}
        for event in scheduler.run(tasks, lambda: False):
            first.setdefault(event.task.label, type(event))
        assert set(first.values()) == {Started}

    def test_one_failing_task_does_not_stop_the_others(self, scheduler, tasks, broken):
        ends = {
            event.task.label: event
            for event in scheduler.run([broken, *tasks], lambda: False)
            if isinstance(event, Ended)
        }
        assert isinstance(ends[broken.label], Failed)
        assert ends[broken.label].reason
        assert {type(ends[task.label]) for task in tasks} == {Finished}

    def test_a_stop_saves_what_runs_and_starts_no_more(self, scheduler, long_tasks):
        """A started task ends once; one that was still in the queue has no event and no folder."""
        events = []
        for event in scheduler.run(long_tasks, lambda: any(isinstance(event, Progress) for event in events)):
            events.append(event)
        started = [event.task for event in events if isinstance(event, Started)]
        ends = [event for event in events if isinstance(event, Ended)]
        assert {type(event) for event in ends} == {Stopped}
        assert sorted(event.task.label for event in ends) == sorted(task.label for task in started)
        assert {event.task.label for event in events} == {task.label for task in started}
        assert any(is_saved(task) for task in started)
        queued = [task for task in long_tasks if task not in started]
        assert queued
        assert not any(task.folder.exists() for task in queued)

    def test_no_tasks_is_no_work(self, scheduler):
        assert list(scheduler.run([], lambda: False)) == []

    @pytest.fixture
    def tasks(self, tmp_path, squares):
        return make_tasks(tmp_path, *squares)

    @pytest.fixture
    def long_tasks(self, tmp_path, squares):
        return make_tasks(tmp_path, *squares, count=3, epochs=100_000)

    @pytest.fixture
    def broken(self, tmp_path, squares):
        npz, _ = squares
        (task,) = make_tasks(tmp_path / "broken", npz, "e" * 64, count=1)
        return Task("broken", task.job, task.folder)
