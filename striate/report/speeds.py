"""The figure of `striate bench`: images a second over the batch size, a line for each way to compute a network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from striate.core.errors import ReportError
from striate.report import svg
from striate.report.figure_files import FigureFile, sheet
from striate.report.marks import Spec, arm_style, axis, chart, frame, line, marker
from striate.report.numbers import Numbers
from striate.runs.files import write_atomic

KINDS = (".svg", ".png", ".pdf")
_WIDTH, _HEIGHT = 560, 320


@dataclass(frozen=True, kw_only=True)
class SpeedLine:
    """One way: (batch size, images a second) from the smallest batch on."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class SpeedFigure:
    title: str
    caption: str
    lines: tuple[SpeedLine, ...]


def check_path(path: Path) -> None:
    """Refuse a file of another kind, before anything is measured.

    Raises:
        ReportError: for a suffix that is none of `KINDS`, or without vl-convert.
    """
    if path.suffix not in KINDS:
        raise ReportError(f"--figure: must end in {', '.join(KINDS)}, got '{path.name:.60}'")
    if not svg.is_available():
        raise ReportError("--figure: charts need the package vl-convert-python; pip install vl-convert-python")


def write(figure: SpeedFigure, path: Path) -> None:
    """Write the figure as SVG, PNG or PDF, by the suffix of `path`.

    Raises:
        ReportError: when it cannot be drawn.
        RunError: when the disk refuses.
    """
    (drawing,) = svg.render(
        [svg.Chart(figure="speeds", size="wide", spec=speeds_spec(figure.lines), label=figure.title)]
    )
    if drawing.failure:
        raise ReportError(f"--figure: cannot be drawn: {drawing.failure}")
    keys = tuple((each.name, arm_style(i)) for i, each in enumerate(figure.lines))
    made = FigureFile(
        name="speeds", title=figure.title, caption=figure.caption, numbers=Numbers(head=(), rows=()), heading=figure.title,
        charts=(str(drawing.svg),), keys=keys,
    )  # fmt: skip
    text = sheet(made)
    if path.suffix == ".svg":
        content = text.encode()
    else:
        (converted,) = svg.convert([text])
        if converted.failure:
            raise ReportError(f"--figure: cannot be converted: {converted.failure}; write an .svg")
        content = converted.png if path.suffix == ".png" else converted.pdf
    write_atomic(path, lambda temporary: temporary.write_bytes(content))  # type: ignore[arg-type]


def speeds_spec(lines: Sequence[SpeedLine]) -> Spec:
    """Both axes by logarithms, because speeds and batches differ by factors."""
    batches = sorted({batch for each in lines for batch, _ in each.points})
    speeds = [speed for each in lines for _, speed in each.points]
    low, high = min(speeds) / 1.25, max(speeds) * 1.25
    x = axis(
        "x", (batches[0] / 1.25, batches[-1] * 1.25), {"title": "images in a batch", "values": batches, "grid": False}
    )
    y = axis("y", (low, high), {"title": "images a second", "values": ticks(low, high), "format": "~s"})
    for scaled in (x, y):
        scaled["scale"]["type"] = "log"
    layers = [frame(x, y)]
    for index, each in enumerate(lines):
        style = arm_style(index)
        layers.append(line(each.points, color=style.color, strokeWidth=2, strokeDash=list(style.dash)))
        layers += [marker(*point, style.color, style.marker) for point in each.points]
    return chart(layers, _WIDTH, _HEIGHT)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones: 1, 2 and 5 of each power of ten, or every digit where these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), range(1, 10)):
        found = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(found) > 2:
            break
    return found
