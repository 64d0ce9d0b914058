"""Parquet files with encoded images and labels, as the Hugging Face hub keeps them.

A column `img` or `image` holds the bytes of a file (or a struct with them), a column `label` or `labels` whole numbers
or words. Names of the classes come from the hub's metadata in the schema, if it is there.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from striate.core.errors import DataError
from striate.data.dataset import Labels
from striate.data.sources.contents import Contents, Encoded, Found, Item

FOLDERS = (".", "plain_text", "data")
PREFIXES = {"train": "train", "valid": "validation", "val": "validation", "test": "test"}
IMAGE, LABEL = ("img", "image"), ("label", "labels")
BATCH = 256


def files(path: Path) -> tuple[Path, ...]:
    """The parquet files that `path` is or holds; none if it has nothing to do with parquet."""
    if path.is_file():
        return (path,) if path.suffix.lower() == ".parquet" else ()
    for name in FOLDERS:
        if found := tuple(sorted(file for file in (path / name).glob("*.parquet") if not file.name.startswith("."))):
            return found
    return ()


def find(path: Path) -> Found:
    """The parquet files at a path that `files` has found some for."""
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return Found(name, str(path), files(path), partial(_read, path))


def _read(path: Path) -> Contents:
    tables = {part: [_opened(file) for file in found] for part, found in _parts(path).items()}
    values = {part: np.concatenate([_labels(file) for file in found]) for part, found in tables.items()}
    classes, labels = _classes(path, tables["train"][0], values)
    rows = {part: Encoded(labels[part], partial(_items, found)) for part, found in tables.items()}
    return Contents(str(path), classes, rows)


def _parts(path: Path) -> dict[str, list[Path]]:
    """Files by part, known by how their names begin; if no name says `train`, all files are one part."""
    parts: dict[str, list[Path]] = {}
    for file in files(path):
        part = next((part for prefix, part in PREFIXES.items() if file.name.lower().startswith(prefix)), "")
        parts.setdefault(part, []).append(file)
    if "train" not in parts:
        return {"train": list(files(path))}
    if "" in parts:
        rule = f"{path}: '{parts[''][0].name}' belongs to no part"
        raise DataError(f"{rule}; begin its name with train, validation or test, or move it away")
    return parts


def _opened(path: Path) -> tuple[Path, Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as parquet ({str(error).splitlines()[0]}); fetch it again") from error
    _column(path, file, IMAGE)
    _column(path, file, LABEL)
    return path, file


def _column(path: Path, file: Any, names: tuple[str, ...]) -> str:
    have = file.schema_arrow.names
    for name in names:
        if name in have:
            return name
    raise DataError(
        f"{path}: needs a column {' or '.join(names)}, got {', '.join(have)}; rename the column that holds it"
    )


def _labels(opened: tuple[Path, Any]) -> Any:
    """The column of labels, as int64 or as objects."""
    path, file = opened
    name = _column(path, file, LABEL)
    column = file.read(columns=[name])[name]
    if column.null_count:
        raise DataError(f"{path}: column {name} has {column.null_count} rows without a label; remove these rows")
    values = np.array(column.to_pylist())
    if values.dtype.kind not in "iuU":
        raise DataError(f"{path}: column {name} must hold whole numbers or words, got {column.type}; cast it")
    return values


def _classes(path: Path, first: tuple[Path, Any], values: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Labels]]:
    """The class names, and the labels as their numbers."""
    if any(found.dtype.kind == "U" for found in values.values()):
        names = sorted({str(word) for word in values["train"]})
        if extra := sorted({str(word) for found in values.values() for word in found} - set(names)):
            raise DataError(
                f"{path}: every part must have the classes of the train part, got '{extra[0]}' too; remove it"
            )
        return tuple(names), {part: np.searchsorted(names, found).astype(np.int64) for part, found in values.items()}
    count = int(values["train"].max(initial=-1)) + 1
    named = _hub_names(first) or tuple(str(label) for label in range(count))
    return named, {part: found.astype(np.int64) for part, found in values.items()}


def _hub_names(opened: tuple[Path, Any]) -> tuple[str, ...]:
    """Names from the hub's metadata, or nothing: they are a comfort, so metadata of another shape is no error."""
    path, file = opened
    try:
        features = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[_column(path, file, LABEL)]["names"])
    except (KeyError, ValueError, TypeError):
        return ()


def _items(tables: list[tuple[Path, Any]]) -> Iterator[Item]:
    for path, file in tables:
        name, row = _column(path, file, IMAGE), 0
        for batch in file.iter_batches(BATCH, columns=[name]):
            for value in batch.column(0).to_pylist():
                data = value.get("bytes") if isinstance(value, dict) else value
                yield f"{path.name} row {row}", data if isinstance(data, bytes) else b""
                row += 1
