"""`striate run`: train what is missing, print the verdicts, write the report."""

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate import cli
from striate.cli.output import out, plain_json
from striate.cli.progress import progress_display
from striate.cli.results import print_results, results_json, write_report
from striate.cli.run_options import Place
from striate.core.errors import StudyError
from striate.core.processes import cpu_count
from striate.studies.execute.protocol import Event, Failed
from striate.studies.loaded import LoadedStudy, load
from striate.studies.results import Results

# More runs at a time than this for each core would only wait for one another, and take memory.
MOST_JOBS_OF_CORE = 4
MOST_JOBS_OF_CLUSTER = 10_000
ALL = "all"


@dataclass(frozen=True)
class Changes:
    """What the command line changes in a study."""

    overrides: tuple[str, ...]
    seeds: int | None
    size: str


def is_all(source: str) -> bool:
    """Whether all built-in studies are meant, and no file or folder of that name."""
    return source == ALL and not os.path.exists(source)


def run(source: str, changes: Changes, folder: Path, device: str, jobs: str, place: Place, as_json: bool) -> int:
    """Train the missing runs of a study and print its verdicts; returns the exit code."""
    at_once = jobs_number(jobs, is_here=place.ray is None)
    study = load(source, *changes.overrides, seeds=changes.seeds, size=changes.size, out=folder)
    with stop_on_signal() as stop:
        results, reasons = train(study, at_once, device, place, stop)
    page = write_report(results)
    if as_json:
        plain_json({**results_json(results), "report": str(page)})
    else:
        out("")
        out(results.study.question, bold=True)
        print_results(results, reasons)
        out(f"\nReport: {page}")
    if stop.is_set() and not results.is_complete:
        options = {
            "--seeds": changes.seeds,
            "--size": changes.size,
            "--out": folder,
            "--device": device,
            "--jobs": jobs,
            **place.words(),
        }
        given = [
            word for name, value in options.items() if value not in (None, "", "auto") for word in (name, str(value))
        ]
        command = shlex.join(["striate", "run", source, *changes.overrides, *given, *(["--json"] if as_json else [])])
        out(f"Stopped. Everything is saved. To resume: {command}", error=True)
        return cli.INTERRUPTED
    return cli.FAILED_RUNS if results.failures or reasons else 0


def train(
    study: LoadedStudy, jobs: int | None, device: str, place: Place, stop: threading.Event
) -> tuple[Results, dict[str, str]]:
    """Train what is missing, with its progress on the terminal; the results, and why runs failed, by label."""
    reasons: dict[str, str] = {}
    with progress_display() as progress:

        def on_event(event: Event) -> None:
            progress.on_event(event)
            if isinstance(event, Failed):
                reasons[event.task.label] = event.reason

        results = study.run(
            jobs=jobs,
            device=device,
            on=place.ray or "here",
            on_plan=progress.on_plan,
            on_event=on_event,
            should_stop=stop.is_set,
        )
    return results, reasons


def jobs_number(jobs: str, is_here: bool = True) -> int | None:
    """The number of runs to train at the same time; None for auto.

    Raises:
        StudyError: for anything but 'auto' or a number that the processors of this machine, or of a cluster, can take.
    """
    if jobs == "auto":
        return None
    most = MOST_JOBS_OF_CORE * cpu_count() if is_here else MOST_JOBS_OF_CLUSTER
    is_number = jobs.isascii() and jobs.isdecimal() and len(jobs) < 10
    if not is_number or not 1 <= int(jobs) <= most:
        where = " on this machine" if is_here else ""
        raise StudyError(f"--jobs: must be 'auto' or a number from 1 to {most}{where}, got '{jobs[:20]}'")
    return int(jobs)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets, so that runs are saved; a second one ends the process at once."""
    stop = threading.Event()
    old_handlers: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in old_handlers.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        out("\nStopping: saving the runs first. Press Ctrl-C again to stop at once.", error=True)
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        old_handlers[number] = signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()
