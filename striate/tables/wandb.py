"""What Weights & Biases exports: a chart as CSV. Its tables of runs are read as any other CSV."""

from pathlib import Path
from typing import Any

import numpy as np

from striate.tables.history import table_of_rows
from striate.tables.table import Table

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
