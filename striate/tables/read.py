"""Any file or folder of results to a table."""

import os
from pathlib import Path

from striate.core.errors import TableError
from striate.tables.csv_files import read_csv
from striate.tables.table import Table, plain_columns

MOST_BYTES = 4_000_000_000
_PARQUET = b"PAR1"


def read(path: Path) -> Table:
    """The table in a file.

    Raises:
        TableError: for what cannot be read.
    """
    if not os.path.exists(path):
        raise TableError(
            f"{path}: there is no such file or folder; give a CSV, parquet or JSON file, or a folder of runs"
        )
    try:
        return _read_file(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}); give another file, or ask its owner") from error


def _read_file(path: Path) -> Table:
    if os.path.getsize(path) > MOST_BYTES:
        raise TableError(
            f"{path}: must have at most {MOST_BYTES / 1e9:g} GB; leave out the columns that are not judged"
        )
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == _PARQUET:
        return _read_parquet(path)
    content = path.read_bytes()
    if not content.strip():
        raise TableError(f"{path}: is empty; give a table with a header and a row for each run")
    return read_csv(path, content)


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        columns = plain_columns(parquet.ParquetFile(path).read())
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: is broken parquet ({error}); write it again") from error
    table = Table(place=str(path), origin="Parquet", columns=columns)
    if not table.rows:
        raise TableError(f"{path}: has no rows; a verdict needs a row for each run")
    return table
