"""What each column and each total of the table means, and how it is written: one list for text, HTML and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from striate.nets.graph.graph import Shape
    from striate.nets.summary.table import Row, Table

MB = 2**20


@dataclass(frozen=True)
class Column:
    """A heading, what stands of it under the table, and how a row fills it."""

    heading: str
    meaning: str
    cell: Callable[[Row], str]
    is_number: bool = True


def shape(sides: Shape) -> str:
    return "x".join(map(str, sides))


def count(number: int) -> str:
    """Zeros stay empty, so that the eye finds the layers that cost."""
    return f"{number:,}" if number else ""


def megabytes(size: float) -> str:
    return "" if not size else f"{size:,.2f}" if size >= 0.005 else "<0.01"


def per_axis(values: tuple[float | None, ...]) -> str:
    """One number where the axes agree."""
    texts = ["varies" if value is None else f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


COLUMNS = (
    Column("layer", "a norm and an activation belong to the layer that they follow", lambda row: row.name, False),
    Column("output", "channels x rows x columns of one image, or features", lambda row: shape(row.output_shape), False),
    Column(
        "kernel",
        "rows x columns; s stride (of a pool, where it is not the kernel), d dilation, g groups, where not 1",
        lambda row: row.kernel,
        False,
    ),
    Column(
        "weights + biases",
        "filters x channels x rows x columns + biases; of a norm 2 x channels (scale and shift)",
        lambda row: row.written,
        False,
    ),
    Column(
        "parameters", "their sum; shared ones are counted once, where first used", lambda row: count(row.parameters)
    ),
    Column("neurons", "outputs of conv and fc layers; inputs, pools and sums are none", lambda row: count(row.neurons)),
    Column(
        "multiply-adds",
        "of one image through conv and fc layers and matrix products; biases, norms, activations and pools count 0",
        lambda row: count(row.macs),
    ),
    Column(
        "MB",
        "what the layer's outputs take for one image as float32, 1 MB = 2^20 bytes; an activation function counts 0",
        lambda row: megabytes(row.activation_bytes / MB),
    ),
    Column(
        "field",
        "the receptive field: rows x columns of the image that one unit can depend on, padding included",
        lambda row: shape(row.field.size),
    ),
    Column(
        "stride",
        "pixels from one unit's field to the next one's; 0: all units see the same",
        lambda row: per_axis(row.field.stride),
    ),
    Column(
        "center",
        "the middle of the first unit's field, in pixels; 0 is the center of the first pixel",
        lambda row: per_axis(row.field.center),
    ),
    Column(
        "status",
        "what the field promises:",
        lambda row: row.field.status,
        False,
    ),
)

STATUS = (
    ("exact", "no pixel outside the field changes the unit, and those of its first and last rows and columns can"),
    ("whole image", "exact, and every unit sees all of the image"),
    ("upper bound", "no pixel outside the field changes the unit; it may be larger than need be"),
    ("depends on the data", "the network looked at values; right for the image it was run on, not for every other"),
)
SIZES = ("input", "forward/backward", "parameters", "total")
SIZES_MEANING = "for one image as float32; forward/backward is twice the MB column: values and gradients"


def meanings() -> tuple[tuple[str, str], ...]:
    """Every column, status and size with what it means."""
    columns = tuple((column.heading, column.meaning) for column in COLUMNS)
    return (*columns, *((f"  {name}", meaning) for name, meaning in STATUS), ("sizes", SIZES_MEANING))


def total(table: Table, columns: Sequence[Column]) -> list[str]:
    """The last row: the sums of what can be summed."""
    totals = table.totals
    sums = {
        "layer": "total",
        "parameters": f"{totals.parameters:,}",
        "neurons": f"{totals.neurons:,}",
        "multiply-adds": f"{totals.macs:,}",
        "MB": megabytes(totals.forward_backward_mb / 2),
    }
    return [sums.get(column.heading, "") for column in columns]


def sizes(table: Table) -> tuple[tuple[str, float], ...]:
    """The four sizes in MB."""
    totals = table.totals
    found = (totals.input_mb, totals.forward_backward_mb, totals.parameters_mb, totals.total_mb)
    return tuple(zip(SIZES, found, strict=True))


def shares(parts: dict[Any, int], total: int) -> str:
    """conv 960,896 (15.46 %), fc 5,255,178 (84.54 %)."""
    texts = (f"{kind} {part:,} ({100 * part / total if total else 0:.2f} %)" for kind, part in parts.items())
    return ", ".join(texts)


def sums(table: Table) -> tuple[tuple[str, str], ...]:
    """The totals in words: (name, text)."""
    totals = table.totals
    unused = f", unused {totals.unused_parameters:,}" if totals.unused_parameters else ""
    return (
        ("parameters", f"{totals.parameters:,}: {shares(totals.parameters_of, totals.parameters)}{unused}"),
        ("neurons", f"{totals.neurons:,}: {shares(totals.neurons_of, totals.neurons)}"),
        ("multiply-adds", f"{totals.macs:,}"),
        ("MB", ", ".join(f"{name} {size:,.2f}" for name, size in sizes(table))),
    )


def plain(table: Table) -> dict[str, Any]:
    """The table as JSON data."""
    totals = table.totals
    return {
        "input_shape": list(table.input_shape),
        "rows": [asdict(row) for row in table.rows],
        "totals": {**asdict(totals), "total_mb": totals.total_mb},
        "meaning": {name.strip(): meaning for name, meaning in meanings()},
    }
