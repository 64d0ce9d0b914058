"""`striate run all`: every built-in study, one after another, and one page with all answers."""

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from striate import cli
from striate.cli.output import duration, out, plain_json, table
from striate.cli.results import print_results, results_json, write_report
from striate.cli.run import Changes, jobs_number, stop_on_signal, train
from striate.cli.run_options import Place
from striate.core.errors import Missing, StriateError
from striate.report.overview import Outcome, State, write
from striate.studies.loaded import LoadedStudy, built_in, load
from striate.studies.results import Results


def run_all(changes: Changes, folder: Path, device: str, jobs: str, place: Place, as_json: bool) -> int:
    """Run each built-in study; one that fails or lacks something stops no other. Returns the exit code."""
    at_once = jobs_number(jobs, is_here=place.ray is None)
    outcomes: list[Outcome] = []
    with stop_on_signal() as stop:
        for name in built_in():
            if stop.is_set():
                break
            out(f"\n{name}", bold=True, error=as_json)

            def start(study: LoadedStudy) -> tuple[Results, dict[str, str]]:
                return train(study, at_once, device, place, stop)

            outcomes.append(_run(name, changes, folder, start))
            if not as_json:
                _print_answer(outcomes[-1])
    page = write(outcomes, folder, changes.size)
    if as_json:
        plain_json([_json(outcome) for outcome in outcomes])
    else:
        _print(outcomes, page)
    if stop.is_set():
        return cli.INTERRUPTED
    return cli.FAILED_RUNS if any(outcome.state == "failed" for outcome in outcomes) else 0


def _run(
    name: str, changes: Changes, folder: Path, start: Callable[[LoadedStudy], tuple[Results, dict[str, str]]]
) -> Outcome:
    """One study. What is missing on this machine (images, weights, a package) is no failure."""
    started = time.monotonic()
    study = built_in()[name]

    def outcome(state: State, reason: str, results: Results | None = None, page: Path | None = None) -> Outcome:
        return Outcome(
            name=name, row=study.row, question=study.question, state=state, reason=reason,
            seconds=time.monotonic() - started, results=results, page=page,
        )  # fmt: skip

    try:
        loaded = load(name, *changes.overrides, seeds=changes.seeds, size=changes.size, out=folder)
        loaded.fetch_weights()
        results, reasons = start(loaded)
        page = write_report(results)
    except StriateError as error:
        return outcome("left out" if isinstance(error, Missing) else "failed", str(error))
    except Exception as error:
        traceback.print_exc()  # a defect of Striate; the other studies need not wait for its cure
        return outcome("failed", f"{type(error).__name__}: {error}")
    # A run that diverged is a result.
    failed = [f"{row.arm} seed {row.seed}: {row.reason}" for row in results.failures if row.state == "failed"]
    failed = [f"{label}: {reason}" for label, reason in reasons.items()] or failed
    ended: State = "failed" if failed else "finished" if results.is_complete else "stopped"
    return outcome(ended, "; ".join(failed), results, page)


def _print_answer(outcome: Outcome) -> None:
    if outcome.results:
        print_results(outcome.results)
    if outcome.reason:
        out(f"  {outcome.state}: {outcome.reason}")


def _print(outcomes: Sequence[Outcome], page: Path) -> None:
    rows = [
        [outcome.name, outcome.row, outcome.state, duration(outcome.seconds), outcome.reason] for outcome in outcomes
    ]
    out("")
    table(["study", "row", "", "took", "reason"], rows, unbroken={0, 1, 2, 3})
    states = [outcome.state for outcome in outcomes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    out(f"\n{len(outcomes)} studies: {counts}")
    out(f"All answers: {page}")


def _json(outcome: Outcome) -> dict[str, Any]:
    facts = {
        "name": outcome.name,
        "row": outcome.row,
        "state": outcome.state,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
    }
    return {**facts, "results": results_json(outcome.results) if outcome.results else None}
