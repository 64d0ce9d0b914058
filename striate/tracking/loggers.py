"""The loggers of a run: which there are, and a run's numbers to those that its study names.

A logger that fails is given up. It never stops a run or keeps it waiting; the user is told once.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from striate.core.config import suggest
from striate.core.errors import ConfigError, StriateError
from striate.core.optional import check_package
from striate.core.records import printable
from striate.runs import layout
from striate.runs.records import EpochRow, Job, Summary
from striate.runs.writer import RunWriter
from striate.tracking.logger_process import LoggerProcess
from striate.tracking.mlflow import Mlflow
from striate.tracking.protocol import Logger, RunInfo
from striate.tracking.tensorboard import TensorBoard
from striate.tracking.wandb import WeightsAndBiases

# By the name in a study file, which is also that of the extra that installs the package.
LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": Mlflow}
# How long the end of a run waits, at most and for all its loggers together.
LAST_SECONDS = 10.0


def check_names(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that is no logger's."""
    for name in names:
        if name not in LOGGERS:
            raise ConfigError(f"no logger is called '{name}'; {suggest(name, LOGGERS)}")


def check_installed(names: Iterable[str]) -> None:
    """Raise MissingExtra for a logger whose package is absent."""
    for name in names:
        check_package(LOGGERS[name].package, extra=name, why=f"'log: {name}'")


def print_note(text: str) -> None:
    """To stderr. A warning would end the run where warnings are made errors."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


class Loggers:
    """The loggers `names` of the run that `writer` writes, as a context.

    `note` is called once for each logger that is given up, in the caller's thread; the run's log has the text too.

    Raises:
        ConfigError: for a logger that does not exist.
        MissingExtra: for one whose package is absent.
    """

    def __init__(self, names: Sequence[str], writer: RunWriter, note: Callable[[str], None] = print_note) -> None:
        check_names(names)
        check_installed(names)
        self._names, self._writer, self._note = names, writer, note
        self._processes: list[LoggerProcess] | None = None  # None: not started
        self._given_up: set[str] = set()
        self._has_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(None)

    def log(self, rows: Iterable[EpochRow]) -> None:
        """Start the loggers, at the first call, and give them these epochs. A logger skips what it logged before."""
        if self._has_ended:
            return
        if self._processes is None:
            self._processes = []
            for name in self._names:
                self._start(name)
        for row in rows:
            for process in self._processes:
                process.row(row)
            self._report_faults()

    def end(self, summary: Summary | None) -> None:
        """How the run ended, or None when it was stopped and may be resumed. Waits LAST_SECONDS at most; acts once."""
        if self._has_ended:
            return
        self._has_ended = True
        for process in self._processes or ():
            process.finish(summary)
        deadline = time.monotonic() + LAST_SECONDS
        for process in self._processes or ():
            process.close(max(0.0, deadline - time.monotonic()))
        self._report_faults()

    def _start(self, name: str) -> None:
        assert self._processes is not None
        try:
            info = describe(name, self._writer.folder, self._writer.job)
            self._processes.append(LoggerProcess(name, class_path(name), info))
        except (OSError, RuntimeError) as error:  # the machine starts no more processes or threads
            self._give_up(name, f"{type(error).__name__}: {error}")

    def _report_faults(self) -> None:
        for process in self._processes or ():
            if process.fault:
                self._give_up(process.name, process.fault)

    def _give_up(self, name: str, fault: str) -> None:
        if name in self._given_up:
            return
        self._given_up.add(name)
        first_line = printable(fault.strip().splitlines()[0])
        text = f"logger '{name}' was given up: {first_line}; the run and its own files are complete without it"
        with contextlib.suppress(StriateError, OSError):  # a full disk does not stop the run here either
            self._writer.log(text)
        self._note(text)


def class_path(name: str) -> str:
    """MODULE:CLASS of a logger, which its process imports."""
    logger = LOGGERS[name]
    return f"{logger.__module__}:{logger.__qualname__}"


def describe(name: str, folder: Path, job: Job) -> RunInfo:
    """The run in `folder`, and how far logger `name` is with it."""
    folder = folder.absolute()
    # A run that is trained by itself has no study folder around it.
    home = folder.parent.parent if (folder.parent.parent / layout.STUDY).exists() else folder
    token, epoch = _read_ledger(folder / layout.ledger(name))
    return RunInfo(
        study=folder.parent.parent.name or "striate",
        arm=folder.parent.name,
        seed=job.seed,
        fingerprint=job.fingerprint,
        folder=str(folder),
        home=str(home),
        config=job.model_dump(mode="json", exclude={"seed", "digest", "weights"}),
        token=token,
        logged=epoch,
    )


def _read_ledger(path: Path) -> tuple[str, int]:
    """The logger's token and last epoch. A broken ledger counts as none: the logger starts again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content["token"]), int(content["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0
