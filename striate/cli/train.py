"""`striate train`: from a folder of images to a classifier, with the answer in words."""

import shlex
import time
from pathlib import Path
from typing import Any

from striate import cli
from striate.cli.output import count, out, plain_json
from striate.cli.progress import progress_display
from striate.cli.results import print_results, results_json, write_report
from striate.cli.run import stop_on_signal
from striate.runs import layout
from striate.studies.execute.protocol import Ended, Event, Failed
from striate.train.plan import Request
from striate.train.train import Hooks, Outcome, train

# Between two lines that say how much time is left.
LEFT_SECONDS = 30.0


def command(request: Request, as_json: bool) -> int:
    """Train, and print the answer; returns the exit code."""
    started, reasons = time.monotonic(), {}
    said = started

    def left() -> str:
        seconds = max(0, round(60 * request.minutes - (time.monotonic() - started)))
        return f"{seconds // 60}:{seconds % 60:02} of {request.minutes:g} minutes left"

    with stop_on_signal() as stop, progress_display() as progress:

        def on_event(event: Event) -> None:
            nonlocal said
            progress.on_event(event)
            if isinstance(event, Failed):
                reasons[event.task.label] = event.reason
            if isinstance(event, Ended) or time.monotonic() - said > LEFT_SECONDS:
                said = time.monotonic()
                progress.note(left())

        outcome = train(request, Hooks(progress.note, progress.on_plan, on_event, stop.is_set, write_report))
    if outcome is None:
        out(f"Stopped. Everything is saved. To go on: {_again(request)}", error=True)
        return cli.INTERRUPTED
    if as_json:
        plain_json(_json(outcome))
    else:
        _print(outcome, reasons, request)
    return cli.FAILED_RUNS if outcome.results.failures or reasons else 0


def _print(outcome: Outcome, reasons: dict[str, str], request: Request) -> None:
    choice = outcome.choice
    out("")
    out(outcome.results.study.question, bold=True)
    print_results(outcome.results, reasons)
    out("")
    out(choice.sentence)
    out(f"On the test part, opened once: {choice.overall}", bold=True)
    for score in choice.classes if len(choice.classes) <= 20 else ():
        out(f"  {score.name}: {score}")
    if outcome.is_cut:
        out(f"The time ran out before all runs were done; to train the rest: {_again(request)}")
    out("")
    out(f"Classifier: {outcome.model} ({', '.join(sorted(path.name for path in outcome.model.iterdir()))})")
    if outcome.exported:
        out(
            f"  {layout.MODEL_ONNX} gives the same class for all {count(outcome.exported.images, 'test image')}, "
            f"largest difference of a probability {outcome.exported.largest_difference:.1e}"
        )
    else:
        out(f"  {outcome.export_note}")
    out(f"  striate predict {shlex.quote(str(outcome.model))} IMAGES...")
    out(f"Study file: {outcome.study_file}")
    out(f"Report: {outcome.report}")
    out(f"{outcome.seconds / 60:.1f} of {request.minutes:g} minutes")


def _again(request: Request) -> str:
    """The command that continues from what is saved."""
    given = {"--minutes": f"{request.minutes:g}", "--name": request.name, "--out": str(request.out)}
    return shlex.join(["striate", "train", request.source, *(word for pair in given.items() for word in pair)])


def _json(outcome: Outcome) -> dict[str, Any]:
    choice = outcome.choice
    return {
        **results_json(outcome.results),
        "chosen": {
            "arm": choice.arm,
            "seed": choice.run.seed,
            "validation": dict(choice.validation),
            "test_accuracy": choice.overall.percent,
            "interval": list(choice.overall.interval),
            "per_class": {score.name: score.percent for score in choice.classes},
        },
        "audit": list(outcome.findings),
        "study_file": str(outcome.study_file),
        "report": str(outcome.report),
        "model": str(outcome.model),
        "onnx": outcome.exported is not None,
        "onnx_note": outcome.export_note,
        "seconds": round(outcome.seconds, 1),
    }


def request_of(
    source: str, minutes: float, name: str, folder: Path, network: str, weights: str, device: str
) -> Request:
    """The request; the name is the folder's where none is given."""
    given = name or Path(source).resolve().name.removesuffix(".npz")
    return Request(
        source=source, minutes=minutes, name=given, out=folder, network=network, weights=weights, device=device
    )
