"""The layer table as text for a terminal and as HTML for a notebook or a page.

The text is one table where it fits, and several below each other where it does not. The HTML has no script, no outside
files, and the colors of its surroundings.
"""

import io
import textwrap
from collections.abc import Iterable, Sequence
from html import escape

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from striate.core.records import printable
from striate.nets.layers import shape_text
from striate.nets.summary.columns import COLUMNS, Column, legend, total_row, totals_in_words
from striate.nets.summary.table import LayerTable

# Where a table is too wide, its longest cells are wrapped at this many characters; no other cell is.
_WRAPPED, _WRAP_AT = "weights + biases", 30
# A field stands beside its status, however narrow the terminal.
_FIELD = ("field", "stride", "center", "status")


def render_text(table: LayerTable, width: int, *, color: bool, with_legend: bool) -> str:
    """The table and its totals for a terminal of `width` columns, ending in a line break."""
    console = Console(file=io.StringIO(), width=width, force_terminal=color, highlight=False, legacy_windows=False)
    for part in _parts(table, width, console):
        # A part that is too wide even so runs over the edge; no number is cut.
        console.print(part, "", width=max(width, _width(part, console)))
    lines = _definition_lines(totals_in_words(table), width)
    if with_legend:
        lines += ["", *_definition_lines(legend(), width)]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _parts(table: LayerTable, width: int, console: Console) -> list[RichTable]:
    """All columns in one table if it fits, or else in as many as it takes; each begins with the names."""
    whole = _rich_table(table, COLUMNS)
    if _width(whole, console) <= width:
        return [whole]
    names, *others = COLUMNS
    groups = [[column] for column in others if column.heading not in _FIELD]
    groups.append([column for column in others if column.heading in _FIELD])
    parts = [[names]]
    for group in groups:
        if len(parts[-1]) > 1 and _width(_rich_table(table, [*parts[-1], *group], _WRAP_AT), console) > width:
            parts.append([names])
        parts[-1] += group
    return [_rich_table(table, part, _WRAP_AT) for part in parts]


def _width(part: RichTable, console: Console) -> int:
    """How many columns of a terminal `part` needs."""
    return console.measure(part, options=console.options.update(width=10_000)).maximum


def _rich_table(table: LayerTable, columns: Sequence[Column], wrap_at: int | None = None) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for column in columns:
        is_wrapped = column.heading == _WRAPPED
        made.add_column(
            column.heading,
            justify="right" if column.is_number else "left",
            no_wrap=not is_wrapped,
            max_width=wrap_at if is_wrapped else None,
        )
    made.add_row(*(Text(cell, style="dim") for cell in _input_row(table, columns)))
    for row in table.rows:  # a module of somebody else's may have any name
        made.add_row(
            *(Text(printable(column.cell(row), keep="")) for column in columns), end_section=row is table.rows[-1]
        )
    totals = total_row(table, columns)
    if any(totals[1:]):
        made.add_row(*(Text(cell, style="bold") for cell in totals))
    return made


def _input_row(table: LayerTable, columns: Sequence[Column]) -> list[str]:
    cells = {"layer": "input", "output": shape_text(table.input_shape)}
    return [cells.get(column.heading, "") for column in columns]


def _definition_lines(pairs: tuple[tuple[str, str], ...], width: int) -> list[str]:
    """Names in one column, their texts wrapped in another."""
    margin = max(len(name) for name, _ in pairs) + 2
    lines = []
    for name, text in pairs:
        lines += textwrap.wrap(f"{name:<{margin}}{text}", width, subsequent_indent=" " * margin)
    return lines


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


def render_html(table: LayerTable) -> str:
    """A `div` with the table and its totals; the meaning of every column unfolds on a click."""
    head = _html_row([column.heading for column in COLUMNS], 'th scope="col"')
    body = "".join(_html_row([column.cell(row) for column in COLUMNS]) for row in table.rows)
    return (
        f'<div class="striate-table"><style>{_STYLE}</style>'
        f"<table><thead>{head}</thead>"
        f"<tbody>{_html_row(_input_row(table, COLUMNS))}{body}</tbody>"
        f"<tfoot>{_html_row(total_row(table, COLUMNS))}</tfoot></table>"
        f"{_html_definitions(totals_in_words(table))}"
        f"<details><summary>What the columns mean</summary>{_html_definitions(legend())}</details></div>"
    )


def _html_row(texts: list[str], tag: str = "td") -> str:
    """A row of cells, those of numbers to the right; `tag` may carry attributes."""
    cells = []
    for column, text in zip(COLUMNS, texts, strict=True):
        side = ' class="number"' if column.is_number else ""
        cells.append(f"<{tag}{side}>{escape(text)}</{tag.partition(' ')[0]}>")
    return f"<tr>{''.join(cells)}</tr>"


def _html_definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in pairs)}</dl>"
