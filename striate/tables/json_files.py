"""JSON files of runs: records, lines of records, or columns, as pandas and trackers write them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.core.errors import TableError
from striate.tables.history import table_of_rows
from striate.tables.table import Table


def read_json(path: Path, content: bytes) -> Table:
    """A file of JSON or of lines of JSON.

    Raises:
        TableError: for what is no table.
    """
    try:
        rows = list(_records(_parsed(content)))
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"{path}: cannot be read as JSON ({error}); write a list of records, one for each run"
        ) from error
    if not rows:
        raise TableError(f"{path}: has no records; write a list of records, one for each run")
    return table_of_rows(str(path), "JSON", [dict(flat(row)) for row in rows])


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a record, nested ones as `outer.inner`; lists are left out."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{prefix}{key}", value


def _parsed(content: bytes) -> Any:
    text = content.decode(json.detect_encoding(content)).removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]


def _records(data: Any) -> Iterator[Mapping[str, Any]]:
    """Records of a list, or of columns."""
    if isinstance(data, list):
        if not all(isinstance(row, Mapping) for row in data):
            raise ValueError("a list must hold records")
        yield from data
    elif isinstance(data, Mapping) and isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        yield from (dict(zip(map(str, data["columns"]), row, strict=True)) for row in data["data"])
    elif isinstance(data, Mapping) and data and all(isinstance(column, Mapping) for column in data.values()):
        yield from _records_of_columns({name: list(column.values()) for name, column in data.items()})
    elif isinstance(data, Mapping) and data and all(isinstance(column, list) for column in data.values()):
        yield from _records_of_columns(data)
    else:
        raise ValueError("it is neither records nor columns")


def _records_of_columns(columns: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))
