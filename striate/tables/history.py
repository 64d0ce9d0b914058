"""Logged runs to a table: a row for each run and step, with what is fixed for the run (settings, name, state) in every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from striate.core.errors import TableError
from striate.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """One run as a tracker keeps it."""

    fixed: dict[str, Any]
    history: dict[int, dict[str, float]] = field(default_factory=dict)  # by step
    """The metrics by step; what was logged twice at a step is what was logged last."""

    def log(self, step: int, name: str, value: float) -> None:
        self.history.setdefault(step, {})[name] = value


def history_table(place: str, origin: str, runs: Sequence[LoggedRun], **facts: Any) -> Table:
    """The table of all runs.

    Raises:
        TableError: where no run has logged a number.
    """
    rows = [
        {**run.fixed, "step": step, **values}
        for run in runs
        for step, values in sorted((run.history or {0: {}}).items())
    ]
    if not any(run.history for run in runs):
        raise TableError(f"{place}: no run in it has logged a number; give a folder of finished runs")
    return table_of_rows(place, origin, rows, **facts)


def table_of_rows(place: str, origin: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> Table:
    """A table with the columns of all rows; a column with both text and numbers is text."""
    names = dict.fromkeys(name for row in rows for name in row)
    return Table.of(place, origin, {name: _of_one_type([row.get(name) for row in rows]) for name in names}, **facts)


def _of_one_type(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} or kinds <= {str}:
        return values
    if kinds <= {int, float} and all(abs(value) < 2**63 for value in values if type(value) is int):
        return [None if value is None else float(value) for value in values] if float in kinds else values
    return [None if value is None else str(value) for value in values]
