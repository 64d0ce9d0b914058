"""Everything that the commands print: lines, tables, JSON. Nothing reaches a terminal with control characters in it."""

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from striate.core.records import printable

_STDOUT = Console(highlight=False, soft_wrap=True)
_STDERR = Console(stderr=True, highlight=False, soft_wrap=True)
GAP = 2  # between the columns of a table


def out(text: str, *, bold: bool = False, error: bool = False) -> None:
    """Print a line to stdout, or to stderr. Nothing in it is read as markup."""
    (_STDERR if error else _STDOUT).print(Text(printable(text), style="bold" if bold else ""))


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), unbroken: Collection[int] = ()
) -> None:
    """Print a table without lines; the columns in `right` hold numbers, and those in `unbroken` words to copy."""
    texts = [[Text(printable(cell, keep="")) for cell in row] for row in rows]
    columns = Table(box=None, header_style="bold", padding=0)
    widths = _widths([list(map(Text, head)), *texts], unbroken)
    for index, (name, width) in enumerate(zip(head, widths, strict=True)):
        if index:
            columns.add_column(width=GAP)  # Rich's own padding stands after the last column too, where there is no room
        columns.add_column(
            name, justify="right" if index in right else "left", overflow="fold", no_wrap=index in unbroken, width=width
        )
    for row in texts:
        columns.add_row(*[each for cell in row for each in ("", cell)][1:])
    _STDOUT.print(columns, soft_wrap=False)


def _widths(rows: Sequence[Sequence[Text]], unbroken: Collection[int]) -> list[int]:
    """Of each column, so that all fit the terminal: where there is no room for whole cells, lines break between words first."""
    columns = list(zip(*rows, strict=True))
    widths = [max(cell.cell_len for cell in column) for column in columns]
    words = [max(cell_len(word) for cell in column for word in cell.plain.split() or [""]) for column in columns]
    least = [
        width if index in unbroken else word for index, (width, word) in enumerate(zip(widths, words, strict=True))
    ]
    room = max(_STDOUT.width - GAP * (len(widths) - 1), len(widths))
    for _ in range(sum(widths) - room):
        spare = [width - word for width, word in zip(widths, least, strict=True)]
        most = spare if max(spare) > 0 else widths
        widths[most.index(max(most))] -= 1
    return [max(1, width) for width in widths]


def plain_json(data: Any) -> None:
    """Print `data` as JSON."""
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")


def count(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def duration(seconds: float) -> str:
    """42 s, 7 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def disk_size(size: float) -> str:
    """Bytes as 2.5 MB or 1.20 GB, in powers of 1000 as disks are sold."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"
