"""The table as a piece of HTML for a notebook or a page: no script, no outside files, the colors of its surroundings."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from striate.nets.table_columns import COLUMNS, meanings, shape, sums, total

if TYPE_CHECKING:
    from striate.nets.table import Table

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


def render(table: Table) -> str:
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
