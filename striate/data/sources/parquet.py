"""Parquet files with encoded images and labels, as on the Hugging Face hub.

A column `img` or `image` holds the bytes of an image file (or a struct with them), a column `label` or `labels` whole
numbers or words. The class names come from the hub's metadata in the schema, if it is there.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.records import printable
from striate.data.contents import (
    Contents,
    EncodedImage,
    EncodedPart,
    Source,
    check_class_name,
    numbered_classes,
    to_labels,
)

FOLDERS = (".", "plain_text", "data")
PART_PREFIXES = {"train": "train", "valid": "validation", "val": "validation", "test": "test"}
IMAGE_COLUMNS, LABEL_COLUMNS = ("img", "image"), ("label", "labels")
BATCH_ROWS = 256


@dataclass(frozen=True)
class Table:
    """One parquet file, opened."""

    path: Path
    file: Any  # pyarrow.parquet.ParquetFile, which has no types
    image_column: str
    label_column: str


def list_files(path: Path) -> tuple[Path, ...]:
    """The parquet files that `path` is or holds; none if there are none."""
    if path.is_file():
        return (path,) if path.suffix.lower() == ".parquet" else ()
    for name in FOLDERS:
        files = tuple(sorted(file for file in (path / name).glob("*.parquet") if not file.name.startswith(".")))
        if files:
            return files
    return ()


def find(path: Path) -> Source:
    """The source at a path for which `list_files` lists some."""
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return Source(name, str(path), list_files(path), partial(_read, path))


def _read(path: Path) -> Contents:
    tables = {part: [_open(file) for file in files] for part, files in _part_files(path).items()}
    values = {
        part: np.concatenate([_label_values(table) for table in part_tables]) for part, part_tables in tables.items()
    }
    if any(labels.dtype.kind == "U" for labels in values.values()):
        classes = tuple(sorted({str(word) for word in values["train"]}))
        labels = {part: _numbers_of_words(path, words, classes) for part, words in values.items()}
    else:
        classes = _hub_class_names(tables["train"][0]) or numbered_classes(str(path), values["train"])
        labels = values
    parts = {part: EncodedPart(labels[part], partial(_images, part_tables)) for part, part_tables in tables.items()}
    return Contents(str(path), classes, parts)


def _part_files(path: Path) -> dict[str, list[Path]]:
    """The files of each part, by the beginning of their names; if none begins with `train`, all are one part."""
    parts: dict[str, list[Path]] = {}
    for file in list_files(path):
        part = next((part for prefix, part in PART_PREFIXES.items() if file.name.lower().startswith(prefix)), "")
        parts.setdefault(part, []).append(file)
    if "train" not in parts:
        return {"train": list(list_files(path))}
    if "" in parts:
        rule = f"{path}: '{parts[''][0].name}' belongs to no part"
        raise DataError(f"{rule}; begin its name with train, validation or test, or move it away")
    return parts


def _open(path: Path) -> Table:
    import pyarrow.parquet

    with _read_errors(path):
        file = pyarrow.parquet.ParquetFile(path)
    columns = file.schema_arrow.names
    return Table(path, file, _choose(path, IMAGE_COLUMNS, columns), _choose(path, LABEL_COLUMNS, columns))


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Turn pyarrow's errors into a sentence."""
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as parquet ({str(error).splitlines()[0]}); fetch it again") from error


def _choose(path: Path, names: tuple[str, ...], columns: list[str]) -> str:
    for name in names:
        if name in columns:
            return name
    rule = f"{path}: needs a column {' or '.join(names)}, got {', '.join(columns)}"
    raise DataError(f"{rule}; rename the column that holds it")


def _label_values(table: Table) -> NDArray[Any]:
    """The column of labels, as integers or as words."""
    import pyarrow

    with _read_errors(table.path):
        column = table.file.read(columns=[table.label_column])[table.label_column]
    where = f"{table.path}: column {table.label_column}"
    if column.null_count:
        raise DataError(f"{where} has {column.null_count} rows without a label; remove these rows")
    types = pyarrow.types
    value_type = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_integer(value_type):
        return to_labels(np.array(column.to_pylist(), np.int64 if types.is_signed_integer(value_type) else np.uint64))
    if types.is_string(value_type) or types.is_large_string(value_type):
        words = column.to_pylist()
        for word in set(words):
            check_class_name(where, word)  # here, because NumPy drops a NUL at the end
        return np.array(words, np.str_)
    raise DataError(f"{where} must hold whole numbers or words, got {column.type}; cast it")


def _numbers_of_words(path: Path, words: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    words = words.astype(np.str_)
    if extra := sorted({str(word) for word in words} - set(classes)):
        rule = f"{path}: every part must have the classes of the train part, got '{extra[0]}' too"
        raise DataError(f"{rule}; remove it")
    return np.searchsorted(np.array(classes, np.str_), words).astype(np.int64)


def _hub_class_names(table: Table) -> tuple[str, ...]:
    """The class names in the hub's metadata. They are optional, so metadata of another shape is no error."""
    metadata: Mapping[bytes, bytes] = table.file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[table.label_column]["names"])
    except (KeyError, ValueError, TypeError):
        return ()


def _images(tables: list[Table]) -> Iterator[EncodedImage]:
    for table in tables:
        name, row = printable(table.path.name, keep=""), 0
        with _read_errors(table.path):
            for batch in table.file.iter_batches(BATCH_ROWS, columns=[table.image_column]):
                for value in batch.column(0).to_pylist():
                    data = value.get("bytes") if isinstance(value, dict) else value
                    yield EncodedImage(f"{name} row {row}", data if isinstance(data, bytes) else b"")
                    row += 1
