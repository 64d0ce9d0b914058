"""`striate run`: train, answer, report."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from striate import cli
from striate.cli.output import out, plain_json, results_json
from striate.cli.progress import watching
from striate.core.errors import ConfigError
from striate.studies.execute.protocol import Event
from striate.studies.loaded import load
from striate.studies.results import Results


def run(
    source: str, overrides: list[str], seeds: int | None, folder: Path, device: str, jobs: str, as_json: bool
) -> int:
    """The command; returns the exit code."""
    study = load(source, *overrides, seeds=seeds, out=folder)
    failed: dict[str, str] = {}
    with stop_on_signal() as stop, watching() as watcher:

        def on_event(event: Event) -> None:
            watcher.on_event(event)
            if event.kind == "failed":
                failed[event.task.label] = event.data["reason"]

        results = study.run(
            jobs=jobs_number(jobs),
            device=device,
            on_plan=watcher.on_plan,
            on_event=on_event,
            should_stop=stop.is_set,
        )
    page = write_report(results)
    if as_json:
        plain_json({**results_json(results), "report": str(page)})
    else:
        _answer(results, page, failed)
    if stop.is_set() and not results.is_complete:
        given = {"--seeds": seeds, "--out": folder, "--device": device, "--jobs": jobs}
        options = [
            word for option, value in given.items() if value not in (None, "auto") for word in (option, str(value))
        ]
        again = shlex.join(["striate", "run", source, *overrides, *options, *(["--json"] if as_json else [])])
        out(f"Stopped; everything is saved. To go on: {again}", error=True)
        return cli.INTERRUPTED
    return cli.FAILED_RUNS if results.failures or failed else 0


def write_report(results: Results) -> Path:
    from striate.report import pages

    return pages.write(results)


def jobs_number(jobs: str) -> int | None:
    """None for auto."""
    if jobs == "auto":
        return None
    if not (jobs.isascii() and jobs.isdecimal()) or int(jobs) < 1:
        raise ConfigError(f"--jobs: must be 'auto' or a number from 1 up, got '{jobs}'")
    return int(jobs)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) asks for an end after saving; a second one ends at once."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: object) -> None:
        stop.set()
        out("\nStopping: saving the runs first (once more to stop at once).", error=True)
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answer(results: Results, page: Path, failed: dict[str, str]) -> None:
    out("")
    out(results.study.question, bold=True)
    for verdict in results.verdicts:
        out(f"  {verdict.sentence}")
    for change in results.study.replanned:
        out(f"  The plan was changed once results were there: {change}.")
    if not results.verdicts:
        for arm in results.arms:
            out(f"  {arm_line(results, arm.name)}")
    # A full disk may keep even the reason out of the folder, so what was heard counts too.
    named = {f"{row.arm} seed {row.seed}": f"{row.state}: {row.reason}" for row in results.failures}
    for label, what in {**{label: f"failed: {reason}" for label, reason in failed.items()}, **named}.items():
        out(f"  {label} {what}")
    out(f"\nReport: {page}")


def arm_line(results: Results, arm: str) -> str:
    """An arm without a comparison: its mean, spread and n."""
    from striate.studies.statistics import deviation

    found = [row.test_accuracy for row in results.of(arm) if row.test_accuracy is not None]
    if not found:
        return f"{arm}: no finished run"
    spread = f", standard deviation {deviation(found):.1f}" if len(found) > 1 else ""
    diverged = sum(row.state == "diverged" for row in results.of(arm))
    stuck = sum(row.is_at_chance for row in results.of(arm))
    spread += f", {diverged} diverged and counted as chance" * bool(diverged) + f", {stuck} at chance" * bool(stuck)
    return f"{arm}: {sum(found) / len(found):.1f} % test accuracy ({len(found)} seed{'s' if len(found) > 1 else ''}{spread})"
