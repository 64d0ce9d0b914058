"""The table for a terminal: one piece where it fits, two pieces below each other where it does not.

The table as a piece of HTML for a notebook or a page: no script, no outside files, the colors of its surroundings.
"""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Literal

from striate.nets.summary.columns import COLUMNS, Column, meanings, shape, sums, total

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from striate.nets.summary.table import Table
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from striate.nets.summary.table import Table


_LONG = ("layer", "weights + biases")
# What a layer is and holds; the other piece is what it costs and sees.
_FIRST = ("layer", "output", "kernel", "weights + biases", "parameters")


def render_text(table: Table, width: int, color: bool, legend: bool) -> str:
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


# Scoped by the class name, and of no color but the page's own, so that it is right in light and in dark.
_STYLE = """
.striate-table { font: 13px/1.5 system-ui, sans-serif; overflow-x: auto; }
.striate-table table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0 0 .8em; }
.striate-table th { font-weight: 600; vertical-align: bottom; border-bottom: 1px solid currentColor; }
.striate-table th, .striate-table td { padding: .2em .8em .2em 0; text-align: left; white-space: nowrap; background: none; }
.striate-table th.number, .striate-table td.number { text-align: right; }
.striate-table tbody tr + tr td { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.striate-table tfoot td { border-top: 1px solid currentColor; font-weight: 600; }
.striate-table dl { display: grid; grid-template-columns: max-content minmax(0, 56em); gap: .1em 1em; margin: 0 0 .8em; }
.striate-table dt { font-weight: 600; white-space: pre; } .striate-table dd { margin: 0; }
.striate-table summary { cursor: pointer; margin-bottom: .4em; }
"""


def render_html(table: Table) -> str:
    """A `div` with the table, its totals, and the meaning of every column."""
    return (
        f'<div class="striate-table"><style>{_STYLE}</style>'
        f"<table><thead><tr>{_head()}</tr></thead><tbody>{_start(table)}{_body(table)}</tbody>{_foot(table)}</table>"
        f"{_list(sums(table))}<details open><summary>What the columns mean</summary>"
        f"{_list(meanings())}</details></div>"
    )


def _head() -> str:
    return "".join(f'<th scope="col"{_side(c.is_number)}>{escape(c.heading)}</th>' for c in COLUMNS)


def _start(table: Table) -> str:
    start = {"layer": "input", "output": shape(table.input_shape)}
    cells = (start.get(column.heading, "") for column in COLUMNS)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _body(table: Table) -> str:
    rows = ("".join(f"<td{_side(c.is_number)}>{escape(c.cell(row))}</td>" for c in COLUMNS) for row in table.rows)
    return "".join(f"<tr>{row}</tr>" for row in rows)


def _foot(table: Table) -> str:
    pairs = zip(COLUMNS, total(table, COLUMNS), strict=True)
    return f"<tfoot><tr>{''.join(f'<td{_side(c.is_number)}>{cell}</td>' for c, cell in pairs)}</tr></tfoot>"


def _list(pairs: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in pairs)}</dl>"


def _side(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
