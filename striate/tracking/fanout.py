"""A run's numbers to every logger that its study names, and what became of the loggers to its user."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from striate.core.errors import StriateError
from striate.runs import layout
from striate.runs.records import EpochRow, Job, Summary
from striate.runs.writer import RunWriter
from striate.tracking.logger_process import LoggerProcess
from striate.tracking.protocol import RunInfo
from striate.tracking.registry import LOGGERS, check_installed, check_names

# How long the end of a run waits, at most and for all its loggers together.
LAST_SECONDS = 10.0


def say(text: str) -> None:
    """To stderr: a warning would end the run where warnings are made errors."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


class LoggedRunWriter(RunWriter):
    """A run's writer whose numbers go to loggers too; `note` is told once of each logger that is given up.

    Raises:
        ConfigError, MissingExtra: for a logger that does not exist or is not installed.
    """

    def __init__(self, folder: Path, job: Job, names: Sequence[str] = (), note: Callable[[str], None] = say) -> None:
        check_names(names)
        check_installed(names)
        super().__init__(folder, job)
        self._names, self._tell = names, note
        self._loggers: Loggers | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end_loggers(None)
        finally:
            super().__exit__(kind, error, trace)

    def append(self, row: EpochRow) -> None:
        super().append(row)
        self._begun_loggers().row(row)

    def rewind(self, rows: Iterable[EpochRow]) -> None:
        kept = list(rows)
        super().rewind(kept)
        self._begun_loggers().rows(kept)  # each takes those that it has not had

    def finish(self, summary: Summary) -> None:
        super().finish(summary)
        self._end_loggers(summary.model_dump(mode="json"))

    def _begun_loggers(self) -> "Loggers":
        if self._loggers is None:
            self._loggers = Loggers(self._names, self.folder, self.job, self._note)
        return self._loggers

    def _end_loggers(self, summary: dict[str, Any] | None) -> None:
        """Once, and only if there was something to log."""
        if self._loggers is not None:
            ending, self._loggers, self._names = self._loggers, None, ()
            ending.end(summary)

    def _note(self, text: str) -> None:
        with contextlib.suppress(StriateError, OSError):  # a full disk is no reason to stop either, here
            self.log(text)
        self._tell(text)


class Loggers:
    """Starts them when made. `note` is told once of each logger that is given up, in this thread."""

    def __init__(self, names: Sequence[str], folder: Path, job: Job, note: Callable[[str], None]) -> None:
        self._note = note
        self._told: set[str] = set()
        self._all: list[LoggerProcess] = []
        for name in names:
            try:
                self._all.append(LoggerProcess(name, place_of(name), describe(name, folder, job)))
            except OSError as error:  # no process to be had
                self._tell(name, f"{type(error).__name__}: {error}")

    def row(self, row: EpochRow) -> None:
        for logger in self._all:
            logger.row(row)
        self._look()

    def rows(self, rows: Iterable[EpochRow]) -> None:
        for row in rows:
            self.row(row)

    def end(self, summary: dict[str, Any] | None) -> None:
        """How the run ended, or None when it was stopped and goes on later; waits LAST_SECONDS at most."""
        for logger in self._all:
            logger.finish(summary)
        deadline = time.monotonic() + LAST_SECONDS
        for logger in self._all:
            logger.close(max(0.0, deadline - time.monotonic()))
        self._look()

    def _look(self) -> None:
        for logger in self._all:
            if logger.fault:
                self._tell(logger.name, logger.fault)

    def _tell(self, name: str, fault: str) -> None:
        if name not in self._told:
            self._told.add(name)
            first_line = fault.strip().splitlines()[0]
            self._note(f"logger '{name}' was given up: {first_line}; the run and its own files are complete without it")


def place_of(name: str) -> str:
    """MODULE:CLASS of a logger, for the process that is to make it."""
    logger = LOGGERS[name]
    return f"{logger.__module__}:{logger.__qualname__}"


def describe(name: str, folder: Path, job: Job) -> RunInfo:
    """The run in `folder`, and how far logger `name` is with it."""
    folder = folder.absolute()
    # A run that is trained by itself has no study around it to keep things in.
    home = folder.parent.parent if (folder.parent.parent / layout.STUDY).exists() else folder
    before = _ledger(folder / layout.ledger(name))
    parts = job.model_dump(mode="json", exclude={"seed", "digest", "weights"})
    return RunInfo(
        study=folder.parent.parent.name or "striate",
        arm=folder.parent.name,
        seed=job.seed,
        fingerprint=job.fingerprint,
        folder=str(folder),
        home=str(home),
        config=parts,
        token=str(before.get("token", "")),
        logged=int(before.get("epoch", 0)),
    )


def _ledger(path: Path) -> dict[str, Any]:
    """A broken one is as good as none: the logger then begins anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"token": str(found["token"]), "epoch": int(found["epoch"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
