"""`striate predict`: a row for each image, as CSV or JSON, written while the images are read; `striate export`: a file."""

import csv
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from rich import progress as rich_progress
from rich.console import Console

from striate import cli
from striate.cli.output import count, disk_size, out, plain_json
from striate.core.records import printable
from striate.deploy.classifier import Prediction
from striate.deploy.classifier import open as open_classifier
from striate.deploy.export import export as export_run
from striate.deploy.files import expand_all

LINE_SECONDS = 10.0  # between two lines of progress, where stderr is no terminal


@dataclass(frozen=True)
class Columns:
    """What a row has beside the file, its class and the probability."""

    top: int = 1  # classes, the most probable first
    every: bool = False  # whether also the probability of every class

    def head(self, classes: Sequence[str]) -> list[str]:
        more = [f"{word}_{rank}" for rank in range(2, self._top(classes) + 1) for word in ("class", "probability")]
        return [
            "file",
            "class",
            "probability",
            *more,
            *([f"p_{name}" for name in classes] if self.every else []),
            "error",
        ]

    def row(self, prediction: Prediction) -> list[str]:
        best = prediction.top(self._top(prediction.classes))
        cells = [cell for name, probability in best for cell in (name, f"{probability:.6g}")]
        cells += [""] * (2 * self._top(prediction.classes) - len(cells))
        if self.every:
            known = prediction.probabilities
            cells += [""] * len(prediction.classes) if known is None else [f"{value:.6g}" for value in known]
        return [prediction.file, *cells, prediction.error]

    def record(self, prediction: Prediction) -> dict[str, Any]:
        """The row as JSON data."""
        if prediction.probabilities is None:
            return {"file": prediction.file, "error": prediction.error}
        record: dict[str, Any] = {
            "file": prediction.file,
            "class": prediction.label,
            "probability": prediction.probability,
        }
        if self.top > 1:
            record["top"] = [{"class": name, "probability": value} for name, value in prediction.top(self.top)]
        if self.every:
            values = prediction.probabilities.tolist()
            record["probabilities"] = dict(zip(prediction.classes, values, strict=True))
        return record

    def _top(self, classes: Sequence[str]) -> int:
        return min(self.top, len(classes))


def predict(runs: Sequence[str], images: Sequence[str], device: str, columns: Columns, as_json: bool) -> int:
    """`striate predict`."""
    classifier = open_classifier(*runs, device=device)
    out(f"Images: {classifier.rule.sentence}.", error=True)
    if len(classifier.members) > 1:
        out(f"Ensemble of {count(len(classifier.members), 'run')}.", error=True)
    encoded = expand_all(images, cast(io.BufferedReader, sys.stdin.buffer), lambda text: out(text, error=True))
    total = broken = 0
    started = time.perf_counter()
    write = _Json(columns) if as_json else _Csv(columns, classifier.classes)
    try:
        with _display() as report:
            for prediction in classifier.stream(encoded):
                write(prediction)
                total, broken = total + 1, broken + bool(prediction.error)
                report(total)
    except KeyboardInterrupt:
        out(f"Stopped after {count(total, 'image')}.", error=True)
        return cli.INTERRUPTED
    finally:
        write.close()
    seconds = time.perf_counter() - started
    out(f"{count(total, 'image')} in {seconds:.1f} s{f', {broken:,} not read' if broken else ''}.", error=True)
    return cli.FAILED_RUNS if broken else 0


class _Csv:
    """Rows of a table with a head."""

    def __init__(self, columns: Columns, classes: Sequence[str]) -> None:
        self._columns, self._is_terminal = columns, sys.stdout.isatty()
        self._write(columns.head(classes))

    def __call__(self, prediction: Prediction) -> None:
        self._write(self._columns.row(prediction))

    def close(self) -> None:
        sys.stdout.flush()

    def _write(self, cells: Sequence[str]) -> None:
        line = io.StringIO()
        # A file's name is written as it is, but to a terminal, which its control characters could change.
        csv.writer(line, lineterminator="\n").writerow(
            [printable(cell, "") if self._is_terminal else cell for cell in cells]
        )
        sys.stdout.write(line.getvalue())


class _Json:
    """One list, an image a line."""

    def __init__(self, columns: Columns) -> None:
        self._columns, self._before = columns, "["

    def __call__(self, prediction: Prediction) -> None:
        sys.stdout.write(f"{self._before}\n {json.dumps(self._columns.record(prediction))}")
        self._before = ","

    def close(self) -> None:
        sys.stdout.write("[]\n" if self._before == "[" else "\n]\n")
        sys.stdout.flush()


class _Report(Protocol):
    def __call__(self, done: int, /) -> None: ...


@contextmanager
def _display() -> Iterator[_Report]:
    """A counter if stderr is a terminal, else a line now and then."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield _Lines()
        return
    text = rich_progress.TextColumn("{task.completed:,.0f} images, {task.fields[rate]:.0f} a second")
    with rich_progress.Progress(text, console=Console(stderr=True, highlight=False), transient=True) as bars:
        task, started = bars.add_task("", total=None, rate=0.0), time.perf_counter()

        def report(done: int) -> None:
            bars.update(task, completed=done, rate=done / (time.perf_counter() - started))

        yield report


class _Lines:
    """Says now and then how many images are done."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: int, /) -> None:
        if time.monotonic() - self._last > LINE_SECONDS:
            self._last = time.monotonic()
            out(count(done, "image"), error=True)


def export(folder: Path, kind: str, file: Path | None, data: str, as_json: bool) -> None:
    """`striate export`: how the file compares with the run on the test images."""
    exported = export_run(folder, kind, file, data, note=lambda text: out(text, error=True))
    if as_json:
        plain_json(
            {
                "file": str(exported.file),
                "bytes": exported.file.stat().st_size,
                "test_images": exported.images,
                "same_classes": exported.images,
                "same_classes_as_predictions": exported.same_as_run,
                "largest_difference": exported.largest_difference,
            }
        )
        return
    out(f"{exported.file}: {disk_size(exported.file.stat().st_size)}", bold=True)
    out(
        f"  opened from the disk and run on all {count(exported.images, 'test image')}: "
        f"the same class for each, largest difference of a probability {exported.largest_difference:.1e}"
    )
    out(f"  the class of the run's own predictions for {exported.same_as_run:,} of {exported.images:,}")
    out(
        "  input: uint8 images N x H x W x C; output: probabilities; classes and preparation are in the file's metadata"
    )
