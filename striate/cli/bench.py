"""`striate bench`: how fast a network is here, as a table, JSON and a figure."""

from pathlib import Path
from typing import Any

from striate.cli.network import IMAGES, read, read_shape
from striate.cli.output import out, plain_json, table
from striate.core.errors import ConfigError, NetworkError
from striate.deploy.bench import BATCHES, PUBLISHED, Bench, Row
from striate.deploy.pytorch import speed
from striate.deploy.pytorch.network import plain_module
from striate.deploy.trained import Trained
from striate.nets import NETWORKS
from striate.nets.layers import Shape, shape_text
from striate.nets.pytorch.build import build
from striate.nets.pytorch.trace.tracer import trace
from striate.nets.summary.table import layer_table
from striate.report.speeds import SpeedFigure, SpeedLine, check_path, write
from striate.runs import layout
from striate.runs import read as read_run

MOST_BATCHES, LARGEST_BATCH = 12, 65_536
SCATTER = 2.0  # a 95th percentile of so many medians is not the network's doing


def command(
    words: list[str], input_text: str | None, classes: int | None, device: str, batches: str, seconds: float,
    figure: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure, and print a table or JSON."""
    sizes = batches_of(batches) if batches else BATCHES
    if figure:
        check_path(figure)
    title, module, shape, count = _network(words, input_text, classes)
    largest = max(row.activation_bytes for row in layer_table(trace(module, shape)).rows)
    made = speed.bench(
        title, module, shape, count, device=device, batches=sizes, largest=largest, seconds=seconds,
        published=PUBLISHED.get(words[0].strip()),
    )  # fmt: skip
    if figure:
        write(_figure(made), figure)
    if as_json:
        plain_json(made.to_json())
    else:
        _print(made)


def batches_of(text: str) -> tuple[int, ...]:
    """1,8,64 as numbers.

    Raises:
        ConfigError: for anything but whole numbers from 1 on.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) > MOST_BATCHES or not all(word.isdecimal() and 0 < int(word[:9]) <= LARGEST_BATCH for word in words):
        raise ConfigError(
            f"--batches: must be at most {MOST_BATCHES} whole numbers from 1 to {LARGEST_BATCH:,} with commas between them, "
            f"got '{text:.40}'"
        )
    return tuple(sorted({int(word) for word in words}))


def _network(words: list[str], input_text: str | None, classes: int | None) -> tuple[str, Any, Shape, int]:
    """Title, module, shape of the images and number of classes of a network or a run."""
    if (Path(words[0]) / layout.RUN).exists():
        if len(words) > 1 or input_text or classes:
            raise NetworkError(f"{words[0]}: is a run, which has its own network and images; leave the other words out")
        trained = Trained.of(read_run(Path(words[0])))
        return (
            f"{words[0]}: {trained.network.title}",
            plain_module(trained),
            trained.rule.shape,
            len(trained.rule.classes),
        )
    config, name = read(words), words[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    shape, count = read_shape(input_text) if input_text else shape, classes or count
    title = f"{name}: {config.title}" if name in NETWORKS else config.title
    return title, build(config, shape, count, 0).eval(), shape, count


def _print(made: Bench) -> None:
    out(made.network, bold=True)
    versions = ", ".join(f"{name} {number}" for name, number in made.versions.items())
    threads = f", {made.threads} threads" if made.device == "cpu" else ""
    out(f"{shape_text(made.input_shape)} images, {made.classes} classes; {made.device_name}{threads}; {versions}\n")
    rows = [_cells(row) for row in made.rows]
    table(
        ["way", "precision", "batch", "images/s", "p50 ms", "p95 ms", "calls", "difference"],
        rows,
        right=set(range(2, 8)),
    )
    left_out = [row for row in made.rows if row.reason]
    out("")
    for row in left_out:
        batch = "" if row.batch is None else f", batch {row.batch}"
        out(f"not measured: {row.way} in {row.precision}{batch}: {row.reason}")
    for sentence in _answers(made):
        out(sentence)
    out("")
    for sentence in made.method:
        out(sentence)


def _cells(row: Row) -> list[str]:
    if row.images_per_second is None or row.p50_ms is None or row.p95_ms is None:
        return [row.way, row.precision, "" if row.batch is None else f"{row.batch}", "-", "", "", "", ""]
    difference = "" if row.difference is None else f"{row.difference:.0e}"
    speeds = [f"{row.images_per_second:,.1f}", f"{row.p50_ms:,.2f}", f"{row.p95_ms:,.2f}"]
    return [row.way, row.precision, f"{row.batch}", *speeds, f"{row.calls}", difference]


def _answers(made: Bench) -> list[str]:
    """What the table says in words."""
    sentences = []
    fastest, plain = made.fastest("float32"), made.plain
    if fastest and plain and made.speedup:
        sentences.append(
            f"fastest in float32: {fastest.way} with batches of {fastest.batch}, {fastest.images_per_second:,.1f} images a second: "
            f"{made.speedup:.1f} times the plain loop at its best ({plain.images_per_second:,.1f}, batches of {plain.batch})"
        )
    best = made.fastest()
    if best and best.precision != "float32":
        sentences.append(
            f"fastest of all: {best.way} in {best.precision} with batches of {best.batch}, {best.images_per_second:,.1f} images a second"
        )
    if scattered := [row for row in made.timed if row.p50_ms and row.p95_ms and row.p95_ms > SCATTER * row.p50_ms]:
        sentences.append(
            f"In {len(scattered)} of {len(made.timed)} rows p95 is more than {SCATTER:g} times p50: other programs may have been running."
        )
    if made.published:
        number, reason = made.published
        sentences.append(f"The report says {number:,.2f} images a second. Not comparable: {reason}.")
    return sentences


def _figure(made: Bench) -> SpeedFigure:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in made.timed:
        if row.batch and row.images_per_second:
            lines.setdefault(f"{row.way} {row.precision}", []).append((float(row.batch), row.images_per_second))
    return SpeedFigure(
        title=f"Images a second, {shape_text(made.input_shape)}, {made.device_name}",
        caption=f"{made.network}. {' '.join(made.method)}",
        lines=tuple(SpeedLine(name=name, points=tuple(points)) for name, points in lines.items()),
    )
