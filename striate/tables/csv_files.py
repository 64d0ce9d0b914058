"""CSV files of any spreadsheet: encodings, delimiters, decimal commas."""

import codecs
import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

from striate.core.errors import TableError
from striate.tables.table import NO_VALUE, Table

DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_csv(path: Path, content: bytes) -> Table:
    """A file with a header row.

    Raises:
        TableError: for what is no table, with the row.
    """
    text, notes = _decoded(path, content)
    delimiter = _delimiter(text)
    names = _header(path, text, delimiter)
    columns = _columns(path, text, delimiter, names)
    table = Table(
        place=str(path),
        origin="CSV",
        columns=columns,
        notes=tuple(notes),
        decimal_comma=delimiter == ";",
    )
    if not table.rows:
        raise TableError(f"{path}: has a header and no rows; a verdict needs a row for each run")
    return table


def _decoded(path: Path, content: bytes) -> tuple[str, list[str]]:
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    notes = []
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise TableError(f"{path}: is marked as {encoding} and is not; save it as UTF-8") from error
        text = content.decode("cp1252", errors="replace")
        notes.append("The file is not UTF-8; it was read as Windows-1252.")
    if "\0" in text:
        raise TableError(
            f"{path}: is no text file (it holds NUL characters); give CSV, parquet, JSON, or a folder of runs"
        )
    return text, notes


def _delimiter(text: str) -> str:
    """The one that the header has most of."""
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    return max(DELIMITERS, key=first.count)


def _header(path: Path, text: str, delimiter: str) -> list[str]:
    try:
        first: list[str] = next((row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)), [])
    except csv.Error as error:
        raise TableError(f"{path}: its header cannot be read ({error}); save it as CSV again") from error
    names = [name.strip() or f"column {index}" for index, name in enumerate(first, 1)]
    if not first:
        raise TableError(f"{path}: is empty; give a table with a header and a row for each run")
    if unnamed := next((name for name in names if _is_fraction(name)), None):
        raise TableError(
            f"{path}: the first row must name the columns, got '{unnamed:.40}'; add a row such as arm,seed,accuracy"
        )
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise TableError(f"{path}: two columns are called '{twice[0]:.40}'; rename one")
    return names


def _is_fraction(text: str) -> bool:
    """0.91 is a value and not the name of a column; 17 may be that of an image."""
    try:
        return not text.lstrip("+-").isdigit() and text.lower() not in NO_VALUE and abs(float(text)) >= 0
    except ValueError:
        return False


def _columns(path: Path, text: str, delimiter: str, names: list[str]) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    torn: list[Any] = []

    def refuse(row: Any) -> str:
        torn.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text.lstrip("\r\n").encode()),
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows_after_names=1, use_threads=False, block_size=1 << 24
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise TableError(f"{path}: cannot be read as CSV ({error}); save it again") from error
    if torn:
        row = torn[0]
        where = f", row {row.number} (the header is row 1)" if row.number is not None else ""
        raise TableError(
            f"{path}{where}: must have {row.expected_columns} cells like the header, has {row.actual_columns}; "
            f"mend '{row.text:.40}'"
        )
    return {name: table.column(name) for name in names}
