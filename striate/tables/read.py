"""Any file or folder of results to a table. The content decides what a file is, not its name."""

import os
from pathlib import Path

from striate.core.errors import TableError
from striate.tables import mlflow, tensorboard, wandb
from striate.tables.csv_files import read_csv
from striate.tables.history import table_of_rows
from striate.tables.json_files import read_json
from striate.tables.table import Table, plain_columns

MOST_BYTES = 4_000_000_000
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_PARQUET, _SQLITE = b"PAR1", b"SQLite format 3\0"


def read(path: Path) -> Table:
    """The table in a file, or of the runs in a folder.

    Raises:
        TableError: for what cannot be read.
        MissingExtra: when event files are to be read and TensorBoard is not installed.
    """
    if not os.path.exists(path):
        raise TableError(
            f"{path}: there is no such file or folder; give a CSV, parquet or JSON file, or a folder of runs"
        )
    try:
        return _read_folder(path) if os.path.isdir(path) else _read_file(path)
    except OSError as error:
        place = error.filename or path
        raise TableError(f"{place}: cannot be read ({error.strerror}); give another file, or ask its owner") from error


def _read_file(path: Path) -> Table:
    if os.path.getsize(path) > MOST_BYTES:
        raise TableError(
            f"{path}: must have at most {MOST_BYTES / 1e9:g} GB; leave out the columns that are not judged"
        )
    with path.open("rb") as stream:
        start = stream.read(len(_SQLITE))
    if start.startswith(_PARQUET):
        return _read_parquet(path)
    if start == _SQLITE:
        return mlflow.read_database(path)
    content = path.read_bytes()
    if not content.strip():
        raise TableError(f"{path}: is empty; give a table with a header and a row for each run")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return read_json(path, content)
    return wandb.from_chart(wandb.without_dicts_in_cells(read_csv(path, content)))


def _read_folder(folder: Path) -> Table:
    """A store of MLflow, event files, or a file for each run."""
    if runs := mlflow.run_folders(folder):
        return mlflow.read_files(folder, runs)
    if (database := folder / "mlflow.db").is_file():
        return mlflow.read_database(database)
    if files := tensorboard.event_files(folder):
        return tensorboard.read_events(folder, files)
    if wandb.has_binary_runs(folder):
        raise TableError(
            f"{folder}: holds runs in the format of W&B, which only W&B reads; export their table or a chart as CSV"
        )
    if files := sorted(path for path in folder.glob("**/*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        return _read_files(folder, files)
    raise TableError(
        f"{folder}: holds no results that are known; give a folder of MLflow (mlruns) or TensorBoard, "
        "or one with a CSV, JSON or parquet file for each run"
    )


def _read_files(folder: Path, files: list[Path]) -> Table:
    """A file for each run, whose name says which; or files with parts of one table."""
    rows = []
    for path in files:
        table = _read_file(path)
        name = path.relative_to(folder).with_suffix("").as_posix()
        columns = {column: values.to_pylist() for column, values in table.columns.items()}
        rows += [
            {"run file": name, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)
        ]
    return table_of_rows(str(folder), f"{len(files)} files", rows, row_name="row")


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
