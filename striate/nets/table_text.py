"""The table for a terminal: one piece where it fits, two pieces below each other where it does not."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Literal

from striate.nets.table_columns import COLUMNS, Column, meanings, shape, sums, total

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from striate.nets.table import Table

_LONG = ("layer", "weights + biases")
# What a layer is and holds; the other piece is what it costs and sees.
_FIRST = ("layer", "output", "kernel", "weights + biases", "parameters")


def render(table: Table, width: int, color: bool, legend: bool) -> str:
    """The whole text, ending in a line break; `legend`: with the meaning of every column."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, legacy_windows=False)
    pieces: list[tuple[Column, ...]] = [COLUMNS]
    wide = console.options.update(width=10_000)
    if console.measure(_piece(table, COLUMNS), options=wide).maximum > width:
        pieces = [
            tuple(column for column in COLUMNS if column.heading in _FIRST),
            tuple(column for column in COLUMNS if column.heading not in _FIRST[1:]),
        ]
    for piece in pieces:
        console.print(_piece(table, piece), "")
    for line in [*_listed(sums(table), width), *(["", *_listed(meanings(), width)] if legend else [])]:
        console.print(line, markup=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _piece(table: Table, columns: tuple[Column, ...]) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for column in columns:
        side: Literal["right", "left"] = "right" if column.is_number else "left"
        # Numbers stay whole; a long name or product may go on in the next line.
        made.add_column(column.heading, justify=side, overflow="fold", no_wrap=column.heading not in _LONG)
    start = {"layer": "input", "output": shape(table.input_shape)}
    made.add_row(*(Text(start.get(column.heading, ""), style="dim") for column in columns))
    for row in table.rows:
        made.add_row(*(Text(column.cell(row)) for column in columns), end_section=row is table.rows[-1])
    made.add_row(*(Text(cell, style="bold") for cell in total(table, columns)))
    return made


def _listed(pairs: tuple[tuple[str, str], ...], width: int) -> list[str]:
    """Names in one column and what is said of them in another."""
    margin = max(len(name) for name, _ in pairs) + 2
    found = []
    for name, text in pairs:
        found += textwrap.wrap(f"{name:<{margin}}{text}", width, subsequent_indent=" " * margin)
    return found
