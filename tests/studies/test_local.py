"""The scheduler of this machine: the contract, and what only processes can do wrong."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from striate.core.errors import StriateError
from striate.data import DataConfig, load
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import read
from striate.studies.execute import local
from striate.studies.execute.local import LocalScheduler, WorkerPool
from striate.studies.execute.messages import TimeSteps, Train, encode
from striate.studies.execute.protocol import Failed, Finished, Progress, Started, Stopped, Task
from striate.studies.loaded import load as load_study
from tests.contracts.scheduler import InlineScheduler, SchedulerContract, is_saved, make_tasks
from tests.studies.conftest import STUDY, write_study


@pytest.fixture
def squares(tmp_path):
    write_study(tmp_path, STUDY)
    path = tmp_path / "squares.npz"
    return path, load(DataConfig(source=str(path))).digest


class TestTwoAtOnce(SchedulerContract):
    @pytest.fixture
    def scheduler(self):
        return LocalScheduler(at_once=2, threads=1, device="cpu")


def test_steps_are_timed_in_every_worker_at_once(squares):
    path, _ = squares
    asked = TimeSteps(DataConfig(source=str(path)), Recipe(batch_size=8), NetworkConfig(layers="conv4"), "cpu", 1, 0.01)
    with WorkerPool(2) as pool:
        timed = pool.time_steps(asked, lambda: False)
        assert min(timed.train, timed.evaluate) > 10
        assert timed.start_seconds > 0
        with pytest.raises(StriateError, match="there is no"):
            pool.time_steps(replace(asked, data=DataConfig(source="/nowhere/at/all")), lambda: False)
        assert pool.time_steps(asked, lambda: True) is None


class Silent(InlineScheduler):
    """Ends no task when it is asked to stop."""

    def run(self, tasks, should_stop=lambda: False):
        for task in tasks:
            yield Started(task)
            yield Progress(task, None)
            if should_stop():
                return


class Hasty(Silent):
    """Ends every task when it is asked to stop, also those that were not started."""

    def run(self, tasks, should_stop=lambda: False):
        yield from super().run(tasks, should_stop)
        yield from map(Stopped, tasks)


@pytest.mark.parametrize(
    ("scheduler", "found"),
    [(Silent(), r"assert set\(\) == \{.*Stopped"), (Hasty(), r"\['run 0', 'run 1', 'run 2'\] == \['run 0'\]")],
    ids=["silent", "hasty"],
)
def test_a_scheduler_that_breaks_the_promise_on_endings_is_found(scheduler, found, tmp_path):
    tasks = [Task(f"run {seed}", None, tmp_path / str(seed)) for seed in range(3)]
    with pytest.raises(AssertionError, match=found):
        SchedulerContract().test_a_stop_saves_what_runs_and_starts_no_more(scheduler, tasks)


def test_a_killed_process_is_a_failed_run_and_the_rest_goes_on(tmp_path, squares):
    tasks = [
        *make_tasks(tmp_path, *squares, count=1, epochs=100_000),
        *make_tasks(tmp_path / "more", *squares, count=2),
    ]
    scheduler = LocalScheduler(at_once=1, threads=1, device="cpu")
    ends = {}
    for event in scheduler.run(tasks):
        if isinstance(event, Progress) and event.task is tasks[0] and "killed" not in ends:
            ends["killed"] = True
            (worker,) = _children()
            os.kill(worker, signal.SIGKILL)
        ends[event.task.folder] = event
    assert ends[tasks[0].folder].reason.startswith("the process ended by SIGKILL; the machine may be out of memory")
    assert read(tasks[0].folder).state == "failed"
    assert {read(task.folder).state for task in tasks[1:]} == {"finished"}


def test_closing_the_iterator_stops_the_processes(tmp_path, squares):
    events = LocalScheduler(at_once=2, threads=1, device="cpu").run(
        make_tasks(tmp_path, *squares, count=2, epochs=100_000)
    )
    for event in events:
        if isinstance(event, Progress):
            break
    assert _children()
    events.close()
    assert not _children()


@pytest.mark.parametrize("engine", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_the_number_of_runs_at_once_does_not_change_their_numbers(tmp_path, squares, engine):
    weights = []
    for at_once in (1, 3):
        tasks = make_tasks(tmp_path / str(at_once), *squares, engine=engine)
        assert [type(event) for event in LocalScheduler(at_once, 1, "cpu").run(tasks)].count(Finished) == 3
        weights.append([(task.folder / "final.safetensors").read_bytes() for task in tasks])
    assert weights[0] == weights[1]


def _children() -> list[int]:
    """The worker processes of this test."""
    return [
        child.pid
        for child in psutil.Process().children()
        if "striate.studies.execute.worker" in " ".join(child.cmdline())
    ]


def test_a_process_that_ends_in_the_middle_of_a_word_is_a_failed_run(tmp_path, squares, monkeypatch):
    """As a kill while it writes: half a message, and the study must neither hang nor believe it."""
    program = tmp_path / "torn"
    program.write_text('#!/bin/sh\nread task\nprintf \'{"kind": "fini\'\n')
    program.chmod(0o755)
    monkeypatch.setattr("striate.core.processes.sys.executable", str(program))
    (task,) = make_tasks(tmp_path, *squares, count=1)
    events = list(LocalScheduler(1, 1, "cpu").run([task]))
    assert [type(event) for event in events] == [Started, Failed]
    assert events[1].reason == "the process ended with code 0"


@pytest.mark.parametrize("last_words", ['{"kind": "St', '{"kind": "Unknown"}\n', ""])
def test_a_worker_whose_parent_died_saves_and_ends(tmp_path, squares, last_words):
    """Also when the parent died in the middle of a line: no run may train on without its study."""
    (task,) = make_tasks(tmp_path, *squares, count=1, epochs=100_000)
    command = [sys.executable, "-m", "striate.studies.execute.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(encode(Train(task, "cpu", 1, 1))) + "\n")
        process.stdin.flush()
        assert '"Progress"' in process.stdout.readline()
        process.stdin.write(last_words)
        process.stdin.close()
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
        assert '"Stopped"' in process.stdout.readlines()[-1]
    assert read(task.folder).state == "unfinished"
    assert is_saved(task)


def test_a_run_that_was_done_when_its_process_died_is_done(tmp_path, squares, monkeypatch):
    (task,) = make_tasks(tmp_path, *squares, count=1)
    list(InlineScheduler().run([task]))
    program = tmp_path / "silent"
    program.write_text("#!/bin/sh\nread task\n")
    program.chmod(0o755)
    monkeypatch.setattr("striate.core.processes.sys.executable", str(program))
    events = list(LocalScheduler(1, 1, "cpu").run([task]))
    assert [type(event) for event in events] == [Started, Finished]
    assert read(task.folder).state == "finished"


def test_a_worker_that_died_between_two_tasks_costs_none(tmp_path, squares):
    arm = load_study(write_study(tmp_path / "study", STUDY), "recipe.engine=numpy").arms[0]
    tasks = make_tasks(tmp_path, *squares, count=2)
    with WorkerPool(1) as pool:
        assert pool.check(arm, "cpu", lambda: False) == "cpu"
        (worker,) = _children()
        os.kill(worker, signal.SIGKILL)
        psutil.Process(worker).wait()
        events = list(LocalScheduler(1, 1, "cpu", pool).run(tasks))
    assert [type(event) for event in events if isinstance(event, Failed | Finished)] == [Finished] * 2


def test_after_a_failure_a_fresh_process_takes_the_next_task(tmp_path, squares):
    """On a GPU the one that failed may fail in whatever it is given."""
    path, digest = squares
    broken, *good = [
        *make_tasks(tmp_path, path, "other images", count=1),
        *make_tasks(tmp_path / "more", path, digest, count=1),
    ]
    at_work = []
    kinds = []
    for event in LocalScheduler(1, 1, "cpu").run([broken, *good]):
        kinds.append(type(event))
        if isinstance(event, Failed | Finished):
            # Not at Started: a process that was started just now has no command line yet.
            (worker,) = _children()
            at_work.append(worker)
    assert kinds[:3] == [Started, Failed, Started]
    assert kinds[-1] is Finished
    failed, next_one = at_work
    assert next_one != failed


def test_a_wish_to_stop_waits_for_no_worker_that_does_not_answer(tmp_path, monkeypatch):
    program = tmp_path / "deaf"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr("striate.core.processes.sys.executable", str(program))
    study, left = load_study(write_study(tmp_path, STUDY), out=tmp_path / "runs"), iter([False] * 3)
    results = study.run(should_stop=lambda: next(left, True), device="cpu")
    assert [row.state for row in results.rows] == ["missing"] * 4
    assert not psutil.Process().children()


def test_an_interrupt_saves_the_runs(tmp_path, squares):
    """As in a notebook, where it is an exception in the middle of the scheduler."""
    (task,) = make_tasks(tmp_path, *squares, count=1, epochs=100_000)
    events = []

    def interrupt():
        if Progress in events:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        events.extend(type(event) for event in LocalScheduler(1, 1, "cpu").run([task], interrupt))
    assert is_saved(task)
    assert not _children()


def test_a_second_interrupt_waits_no_longer(tmp_path, squares, monkeypatch):
    program = tmp_path / "deaf"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr("striate.core.processes.sys.executable", str(program))
    killed = []
    kill = local._Worker.kill
    monkeypatch.setattr(local._Worker, "kill", lambda worker: (killed.append(worker), kill(worker)))
    answers = iter([False, True])

    def interrupt():
        for answer in answers:
            return answer
        raise KeyboardInterrupt

    (task,) = make_tasks(tmp_path, *squares, count=1)
    with pytest.raises(KeyboardInterrupt):
        list(LocalScheduler(1, 1, "cpu").run([task], interrupt))
    assert len(killed) == 1
