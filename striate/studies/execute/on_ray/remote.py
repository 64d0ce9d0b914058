"""What the nodes of a cluster do: these functions run in Ray's worker processes.

Requests and answers are JSON, as between the scheduler of one machine and its workers.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock

from striate.core.errors import StriateError
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.runs import Job, RunWriter, layout
from striate.studies.execute.messages import Check, TimeSteps, Train, decode_request, encode
from striate.studies.execute.on_ray import files
from striate.studies.execute.on_ray.files import Files, State
from striate.studies.execute.on_ray.images import Packed, unpack
from striate.studies.execute.on_ray.versions import differing
from striate.studies.execute.protocol import Ended, Event, Failed, Note, Progress, Started
from striate.studies.execute.worker import answer_check, answer_precision, answer_timing, train

# How often the study is told how far a run is, asks whether to stop, and looks for a new save.
SECONDS = 0.5
# How long a run waits for the lock of its folder: on a node that was lost, its process may not have ended yet.
LOCK_SECONDS = 60.0
# How long the last messages of a run may take to arrive.
GOODBYE_SECONDS = 30.0
SCRATCH = "striate-run-"


def train_run(
    request: str,
    attempt: str,
    mailbox: Any,
    setting: dict[str, Any],
    packed: Packed,
    copied: Files | None,
    weights: bytes | None,
) -> str:
    """Train the task of `request`; returns its last event. Empty: the study was stopping, so it did not begin.

    `setting` says what must be the same here as where the study was started. `copied`: the files of the run so far, where they
    are sent and not shared; `weights`: the file that the network starts from.
    """
    import ray

    task_request = decode_request(json.loads(request))
    assert isinstance(task_request, Train)
    node = ray.get_runtime_context().get_node_id()
    if reason := unfit_for(setting):
        return json.dumps({"kind": "Unfit", "node": node, "reason": reason})
    first = {**encode(Started(task_request.task)), "node": node}
    # A future, because `ray.get` would free the CPUs of this task for another one while it waits.
    if not mailbox.begin.remote(attempt, json.dumps(first)).future().result():
        return ""
    with _scratch() as scratch:
        try:
            here = _prepare(task_request, scratch, copied, weights)
            dataset = unpack(packed)
        except StriateError as error:
            return json.dumps(encode(Failed(task_request.task, str(error))))
        line = _Line(mailbox, attempt, None if copied is None else here.task.folder)
        train(here, line.send, line.should_stop, dataset)
        return line.end()


def unfit_for(setting: dict[str, Any]) -> str:
    """Why this node cannot train the study's runs; empty if it can."""
    if reason := differing(setting["versions"]):
        return reason
    probe = setting["probe"]
    if probe and not Path(probe).exists():
        return f"does not see the folder of the results, {Path(probe).parent}"
    return ""


def see_storage(folder: str, token: str, name: str) -> bool:
    """Whether this node finds the token in `folder`, and can write there."""
    try:
        if (Path(folder) / token).read_text(encoding="utf-8") != token:
            return False
        (Path(folder) / name).write_text(token, encoding="utf-8")
    except OSError:
        return False
    return True


def answer(request: str) -> str:
    """The answer to a question about an engine, given by this node."""
    asked = decode_request(json.loads(request))
    assert isinstance(asked, Check | PrecisionQuestion)
    return json.dumps(encode(answer_check(asked) if isinstance(asked, Check) else answer_precision(asked)))


def time_steps(request: str, packed: Packed) -> str:
    """How fast such runs are on this node."""
    asked = decode_request(json.loads(request))
    assert isinstance(asked, TimeSteps)
    return json.dumps(encode(answer_timing(asked, unpack(packed))))


def device_and_precision(request: str, precision: tuple[str, str] | None) -> tuple[str, str]:
    """The name of the device that a run would use here, and its precision; `precision`: the study's choice, and why."""
    from striate.engines import select

    asked = decode_request(json.loads(request))
    assert isinstance(asked, Check)
    return select.device_and_precision(asked.recipe, asked.device, PrecisionChoice(*precision) if precision else None)


def node_facts() -> str:
    """The processor of this node."""
    from striate.engines.environment import cpu_name

    return cpu_name()


class _Line:
    """The messages of one run to the study, and back whether to stop."""

    def __init__(self, mailbox: Any, attempt: str, copied: Path | None) -> None:
        self._mailbox, self._attempt, self._copied = mailbox, attempt, copied
        self._sent: State = files.state_of(copied) if copied else {}
        self._posted: list[Future[None]] = []
        self._question: Future[bool] | None = None
        self._is_stopping = False
        self._last: Ended | None = None
        self._reported = self._asked = 0.0
        self._epoch = 0
        self._told: set[str] = set()

    def send(self, event: Event) -> None:
        """Post an event, but the last one, which is the answer of the task. Of the progress enough is posted to show it."""
        if isinstance(event, Ended):
            self._last = event
        elif isinstance(event, Progress):
            now, epoch = time.monotonic(), event.progress.epoch
            if now - self._reported > SECONDS or epoch != self._epoch:
                self._reported, self._epoch = now, epoch
                self._mailbox.post_progress.remote(self._attempt, json.dumps(encode(event)))
                self._copy_save(event)
        else:
            self._post(self._mailbox.post, json.dumps(encode(event)))

    def should_stop(self) -> bool:
        """Asked before each step, so it never waits for the answer."""
        now = time.monotonic()
        if self._question is not None:
            if self._question.done():
                # An error: the study is gone, and the run is saved and ends.
                self._is_stopping |= self._question.exception() is not None or self._question.result()
                self._question = None
        elif now - self._asked > SECONDS:
            self._asked, self._question = now, self._mailbox.is_stopping.remote().future()
        return self._is_stopping

    def end(self) -> str:
        """The last event, once everything before it has arrived."""
        last = self._last
        assert last
        try:
            if self._copied:
                self._post(self._mailbox.post_files, files.changes_since(self._copied, self._sent)[1])
            for posted in self._posted:
                posted.result(GOODBYE_SECONDS)
        except Exception as error:  # of Ray, or a limit of time
            if self._copied:
                last = Failed(last.task, f"its files could not be sent to the study's folder ({_first_line(error)})")
        return json.dumps(encode(last))

    def _copy_save(self, event: Event) -> None:
        """Send the run's files, if it was saved since the last time and what was posted has arrived."""
        if self._copied is None or not all(posted.done() for posted in self._posted):
            return
        state = files.state_of(self._copied)
        if all(state.get(name) == self._sent.get(name) for name in layout.CHECKPOINTS):
            return
        now, changed = files.changes_since(self._copied, self._sent)
        try:
            self._post(self._mailbox.post_files, changed)
            self._sent = now
        except Exception as error:  # a full object store: the training has priority, and the next save may find room
            text = f"a save could not be sent to the study's folder ({_first_line(error)}); the next is tried"
            if text not in self._told:
                self._told.add(text)
                self.send(Note(event.task, text))

    def _post(self, method: Any, content: str | Files) -> None:
        self._posted = [posted for posted in self._posted if not posted.done() or posted.exception()]
        self._posted.append(method.remote(self._attempt, content).future())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _prepare(request: Train, scratch: Path, copied: Files | None, weights: bytes | None) -> Train:
    """The request with the paths of this node."""
    task = request.task
    folder = task.folder
    if copied is None:
        _wait_for_lock(folder)
    else:
        folder = scratch.joinpath(*folder.parts[-3:])  # under the names that it has there, which loggers use
        files.write(folder, copied)
    job = _local_weights(task.job, weights, scratch)
    if job is not task.job:
        with RunWriter(folder, task.job):
            pass  # what describes the run has the paths of the study
    return replace(request, task=replace(task, job=job, folder=folder))


def _local_weights(job: Job, weights: bytes | None, scratch: Path) -> Job:
    """The job, with the file of weights that it starts from where this node has it."""
    if weights is None:
        return job
    with contextlib.suppress(StriateError):
        if job.network.weights_digest() == job.weights:
            return job
    path = scratch / f"weights{Path(str(job.network.pretrained)).suffix}"
    path.write_bytes(weights)
    return job.model_copy(update={"network": job.network.model_copy(update={"pretrained": str(path)})})


def _wait_for_lock(folder: Path) -> None:
    """Wait until a process that trained this run before, on a node that was lost, has ended too."""
    if folder.exists():
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(folder / layout.LOCK, LOCK_SECONDS):
            pass


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what this run alone needs. Those of processes that were killed are removed first."""
    home = Path(tempfile.gettempdir())
    for path in home.glob(f"{SCRATCH}*"):
        if not _is_alive(path.name.removeprefix(SCRATCH).split("-")[0]):
            shutil.rmtree(path, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        pass
    return True
