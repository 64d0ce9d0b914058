"""The writer of one run folder: create or reopen, append, finish.

Every file is written whole or not at all, except the metrics, which grow by lines. A lock keeps other processes out.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock
import yaml

from striate.core.errors import RunError
from striate.nets.summary.table import LayerTable
from striate.runs import layout
from striate.runs.files import disk_errors, remove_unfinished, write_atomic, write_json, write_text
from striate.runs.reader import Run, read
from striate.runs.records import EpochRow, Job, RunEnvironment, Summary


class RunWriter:
    """Writes `job`'s run in `folder`; use as a context, which holds the lock.

    `run` is what the folder held when the context was entered, read once; None where the run is new.

    Raises:
        RunError: when the folder holds another job's run, when another process writes it, or when the disk refuses.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder = folder
        self.job = job
        self.run: Run | None = None
        self._result: Summary | None = None
        self._lock = filelock.FileLock(folder / layout.LOCK)

    def __enter__(self) -> Self:
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with disk_errors(self.folder):
                self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RunError(f"{self.folder}: another process is training this run; wait for it to end") from error
        try:
            if self.path(layout.RUN).exists():
                self._reopen()
            else:
                self._create()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def path(self, name: str) -> Path:
        return self.folder / name

    def environment(self, environment: RunEnvironment) -> None:
        write_json(self.path(layout.ENVIRONMENT), environment.model_dump(mode="json"))

    def network(self, table: LayerTable) -> None:
        """The layers of the network, so that a report needs neither torch nor the user's module."""
        write_json(self.path(layout.NETWORK), table.to_json())

    def append(self, row: EpochRow) -> None:
        """One epoch's numbers."""
        path = self.path(layout.METRICS)
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())  # a checkpoint that is saved after it must not outlive it

    def rewind(self, rows: Iterable[EpochRow]) -> None:
        """Keep these rows only: those of the epochs that the checkpoint holds. Drops a line that a crash cut short."""
        write_text(self.path(layout.METRICS), "".join(map(_line, rows)))

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """A file made by `write(path)`, atomically."""
        write_atomic(self.path(name), write)

    def log(self, text: str) -> None:
        """Add a remark on how the run went to its log."""
        path = self.path(layout.LOG)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        write_text(path, f"{before}{text.rstrip()}\n")

    def finish(self, summary: Summary) -> Summary:
        """Write the finished marker; returns the summary that counts, because a failure does not undo a result.

        A finished run needs no checkpoint, so it is removed.
        """
        if summary.state == "failed" and self._result:
            return self._result
        write_json(self.path(layout.SUMMARY), summary.model_dump(mode="json"))
        if summary.state != "failed":
            self._result = summary
        if summary.state == "finished":
            self.remove_checkpoints()
        return summary

    def remove_checkpoints(self, but: str = "") -> None:
        """Remove the saved states, except the file named `but`."""
        for name in layout.CHECKPOINTS:
            if name != but:
                self.path(name).unlink(missing_ok=True)

    def _reopen(self) -> None:
        self.run = run = read(self.folder)
        if run.fingerprint != self.job.fingerprint:
            raise RunError(f"{self.folder}: holds a run of other settings; choose another --out or remove that folder")
        if run.is_result:
            self._result = run.summary
        elif run.state == "failed":  # it is tried again, and its marker must not outlive the attempt
            self.path(layout.SUMMARY).unlink(missing_ok=True)
            self.path(layout.LOG).unlink(missing_ok=True)
        remove_unfinished(self.folder)

    def _create(self) -> None:
        if any(self.path(name).exists() for name in (layout.SUMMARY, layout.METRICS, *layout.CHECKPOINTS)):
            raise RunError(
                f"{self.folder}: holds results without the {layout.RUN} that describes them; remove that folder"
            )
        content = {
            "format": layout.FORMAT,
            "fingerprint": self.job.fingerprint,
            **self.job.model_dump(mode="json", exclude_defaults=True),
        }
        write_text(self.path(layout.RUN), yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _line(row: EpochRow) -> str:
    return json.dumps(row.to_json(), allow_nan=False) + "\n"
