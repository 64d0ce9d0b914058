"""What each column and each total of the layer table means, and how it is written: one list for text, HTML and JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from striate.nets.layers import shape_text
from striate.nets.summary.table import Kind, LayerRow, LayerTable

MIB = 2**20  # bytes; the unit in which the reports give sizes


@dataclass(frozen=True)
class Column:
    """A heading, what the legend says of it, and how a row fills it."""

    heading: str
    meaning: str
    cell: Callable[[LayerRow], str]
    is_number: bool = True


def count(number: int) -> str:
    """Zeros stay empty, so that the eye finds the layers that cost."""
    return f"{number:,}" if number else ""


def mebibytes(size: int) -> str:
    """`size` bytes in MiB, with two decimals; empty for none."""
    if not size:
        return ""
    return f"{size / MIB:,.2f}" if size / MIB >= 0.005 else "<0.01"


def per_axis(values: tuple[float | None, ...]) -> str:
    """One number where the axes agree."""
    texts = ["varies" if value is None else f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


COLUMNS = (
    Column("layer", "a norm and an activation belong to the layer that they follow", lambda row: row.name, False),
    Column(
        "output", "channels x rows x columns of one image, or features", lambda row: shape_text(row.output_shape), False
    ),
    Column(
        "kernel",
        "rows x columns; s stride (of a pool, where it is not the kernel), d dilation, g groups, where not 1",
        lambda row: row.kernel,
        False,
    ),
    Column(
        "weights + biases",
        "filters x channels x rows x columns + biases; of a norm 2 x channels (scale and shift)",
        lambda row: row.formula,
        False,
    ),
    Column(
        "parameters", "their sum; shared ones are counted once, where first used", lambda row: count(row.parameters)
    ),
    Column("neurons", "outputs of conv and fc layers; inputs, pools and sums are none", lambda row: count(row.neurons)),
    Column(
        "multiply-adds",
        "of one image through conv and fc layers and matrix products; biases, norms, activations and pools count 0; ?: there are more",
        lambda row: f"{count(row.macs)} + ?".removeprefix(" + ") if row.uncounted else count(row.macs),
    ),
    Column(
        "MiB",
        "memory of the layer's outputs for one image as float32, 1 MiB = 2^20 bytes; an activation function counts 0",
        lambda row: mebibytes(row.activation_bytes),
    ),
    Column(
        "field",
        "the receptive field: rows x columns of the image that one unit can depend on, padding included",
        lambda row: shape_text(row.field.size),
    ),
    Column(
        "stride",
        "pixels from one unit's field to the next one's; 0: the same field for all units",
        lambda row: per_axis(row.field.stride),
    ),
    Column(
        "center",
        "the middle of the first unit's field, in pixels; 0 is the center of the first pixel",
        lambda row: per_axis(row.field.center),
    ),
    Column("status", "what the field promises:", lambda row: row.field.status, False),
)

STATUS = (
    ("exact", "no pixel outside the field changes the unit, and those of its first and last rows and columns can"),
    ("whole image", "exact, and every unit depends on all of the image"),
    ("upper bound", "no pixel outside the field changes the unit; it may be larger than necessary"),
    ("depends on the data", "the network branched on values; right for the image it was run on, not for every other"),
)
SIZES_MEANING = "in MiB for one image as float32; forward/backward is twice the MiB column: values and gradients"


def legend() -> tuple[tuple[str, str], ...]:
    """Every column, status and size with what it means."""
    columns = tuple((column.heading, column.meaning) for column in COLUMNS)
    return (*columns, *((f"  {name}", meaning) for name, meaning in STATUS), ("sizes", SIZES_MEANING))


def total_row(table: LayerTable, columns: Sequence[Column]) -> list[str]:
    """The cells of the last row: the sums of what can be summed."""
    totals = table.totals
    cells = {
        "layer": "total",
        "parameters": f"{totals.parameters:,}",
        "neurons": f"{totals.neurons:,}",
        "multiply-adds": f"{totals.macs:,}{' + ?' if table.uncounted else ''}",
        "MiB": mebibytes(totals.forward_backward_bytes // 2),
    }
    return [cells.get(column.heading, "") for column in columns]


def totals_in_words(table: LayerTable) -> tuple[tuple[str, str], ...]:
    """What stands under the table: (name, text)."""
    totals = table.totals
    uncounted = f", and those of {', '.join(table.uncounted)}, which are not known" if table.uncounted else ""
    unused = f", unused {totals.unused_parameters:,}" if totals.unused_parameters else ""
    sizes = {
        "input": totals.input_bytes,
        "forward/backward": totals.forward_backward_bytes,
        "parameters": totals.parameters_bytes,
        "total": totals.total_bytes,
    }
    return (
        ("parameters", f"{totals.parameters:,}: {_shares(totals.parameters_of, totals.parameters)}{unused}"),
        ("neurons", f"{totals.neurons:,}: {_shares(totals.neurons_of, totals.neurons)}"),
        ("multiply-adds", f"{totals.macs:,}{uncounted}"),
        ("MiB", ", ".join(f"{name} {size / MIB:,.2f}" for name, size in sizes.items())),
    )


def _shares(parts: Mapping[Kind, int], total: int) -> str:
    """conv 960,896 (15.46 %), fc 5,255,178 (84.54 %)."""
    texts = (f"{kind} {part:,} ({100 * part / total if total else 0:.2f} %)" for kind, part in parts.items())
    return ", ".join(texts)
