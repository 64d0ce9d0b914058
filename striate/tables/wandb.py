"""What Weights & Biases exports as CSV: charts, and tables whose cells are dictionaries. Others are read as any CSV."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from striate.tables.history import table_of_rows
from striate.tables.json_files import flat
from striate.tables.table import Table

_LONGEST_CELL = 1_000_000
_NOT_FINITE = re.compile(r"(?<=[:\[,(] )(-?(?:nan|inf))(?=[,}\])])")
_ENDS = ("__MIN", "__MAX")


def from_chart(table: Table) -> Table:
    """A table with a row for each run and step, from the export of a chart: a column for each run, called `run - metric`.

    Other tables are returned as they are.
    """
    step, *others = table.columns
    ranges = [name for name in others if name.endswith(_ENDS)]
    lines = [name for name in others if not name.endswith(_ENDS)]
    if not ranges or not all(" - " in name for name in lines) or len(ranges) != 2 * len(lines):
        return table
    rows: list[dict[str, Any]] = []
    for name in lines:
        run, _, metric = name.rpartition(" - ")
        values, is_missing = table.numbers(name)
        steps, _ = table.numbers(step)
        rows += [
            {"run": run, step: float(steps[row]), metric: float(values[row])} for row in np.flatnonzero(~is_missing)
        ]
    return table_of_rows(table.place, "W&B chart", rows, notes=table.notes)


def has_binary_runs(folder: Path) -> bool:
    """Whether a folder holds runs in W&B's own format, which only W&B reads."""
    return any(folder.glob("**/*run-*/*.wandb"))


def without_dicts_in_cells(table: Table) -> Table:
    """A table whose cells that hold whole dictionaries, as Python or JSON writes them, have become columns."""
    columns: dict[str, Any] = {}
    for name in table.columns:
        records = _records_of(table, name)
        if records is None:
            columns[name] = table.columns[name]
            continue
        parsed = table_of_rows(table.place, table.origin, [dict(flat(record, f"{name}.")) for record in records])
        columns |= parsed.columns
    return table.with_arrays(columns)


def _records_of(table: Table, name: str) -> list[dict[str, Any]] | None:
    """A column of dictionaries; None where it holds something else."""
    first = table.first_text(name)
    if not first.startswith("{") or not first.endswith("}"):
        return None
    texts, codes = table.texts(name)
    parsed = [_dictionary(text) for text in texts]
    return None if None in parsed else [parsed[code] or {} for code in codes]


def _dictionary(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return {}
    if len(text) > _LONGEST_CELL:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(_NOT_FINITE.sub(r"'\1'", text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
