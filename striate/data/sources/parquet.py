"""Parquet files with encoded images and labels, as on the Hugging Face hub.

A column `img` or `image` holds the bytes of an image file (or a struct with them), a column `label` or `labels` whole
numbers or words. The names of files or of their folders say the part. The class names come from the hub's metadata in
each file's schema, if it is there; files that number the classes differently are brought together by these names.
"""

import json
import os
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
    DecodedDataset,
    EncodedImage,
    EncodedPart,
    Source,
    check_class_name,
    looks_too_dark,
    numbered_classes,
    to_labels,
    with_groups,
)
from striate.data.part_names import part_in, words
from striate.data.unread import Unread, is_left_behind, listed, subfolders

FIRST_FOLDERS = (".", "plain_text", "data")
DEEPEST = 2  # folders between the given one and the files: CONFIG/SPLIT, as the hub converts datasets
IMAGE_COLUMNS, LABEL_COLUMNS = ("img", "image"), ("label", "labels", "fine_label")  # the last of CIFAR-100
BATCH_ROWS = 256
PartFiles = dict[str, list[Path]]


@dataclass(frozen=True)
class Table:
    """One parquet file, opened."""

    path: Path
    file: Any  # pyarrow.parquet.ParquetFile, which has no types
    image_column: str
    label_column: str
    class_names: tuple[str, ...]  # of the hub's metadata; empty if there are none


def list_files(path: Path, is_deep: bool = True) -> tuple[Path, ...]:
    """The parquet files that `path` is or holds; none if there are none. `is_deep`: also in CONFIG/SPLIT folders.

    Raises:
        DataError: if there are those of several datasets.
    """
    if path.is_file():
        return (path,) if path.suffix.lower() == ".parquet" else ()
    if not path.is_dir():
        return ()
    for name in FIRST_FOLDERS:
        if files := _parquet_in(path / name):
            return files
    if not is_deep:
        return ()
    by_config: dict[Path, list[Path]] = {}
    for folder in _folders_below(path, DEEPEST):
        # A folder that is named after a part belongs to the one above it.
        config = folder.parent if part_in(folder.name) and folder != path else folder
        by_config.setdefault(config, []).extend(_parquet_in(folder))
    found = {config: files for config, files in by_config.items() if files}
    if len(found) > 1:
        names = ", ".join(f"'{config.relative_to(path)}'" for config in found)
        raise DataError(f"{path}: holds the parquet files of {len(found)} datasets ({names}); give the folder of one")
    return tuple(file for files in found.values() for file in files)


def _parquet_in(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:  # faster than glob in a class folder of many images
        names = [entry.name for entry in entries if entry.name.lower().endswith(".parquet")]
    return tuple(folder / name for name in sorted(names) if not is_left_behind(name))


def _folders_below(folder: Path, depth: int) -> Iterator[Path]:
    for path in subfolders(folder):
        if not is_left_behind(path.name):
            yield path
            if depth > 1:
                yield from _folders_below(path, depth - 1)


def find(path: Path, leave_out: str = "") -> Source:
    """The source at a path for which `list_files` lists some. Files with the word `leave_out` are only noted.

    Raises:
        DataError: if files belong to no part, or none to the train part.
    """
    name = path.resolve().stem if path.is_file() else path.resolve().name
    files = [file for file in list_files(path) if not leave_out or leave_out not in words(file.stem)]
    parts = _part_files(path, files)
    return Source(
        name,
        str(path),
        tuple(files),
        partial(_read, path, parts),
        notes=_other_files(path, set(files)) if path.is_dir() else (),
        is_outdated=partial(_is_outdated, parts),
        read_groups=partial(_read_groups, path, parts),
    )


def _other_files(path: Path, read: set[Path]) -> tuple[str, ...]:
    """Notes of what lies in the folder beside the files that are read."""
    unread = Unread(path)
    folders_read = {parent for file in read for parent in file.parents}
    for folder in sorted({path, *(folder for folder in folders_read if path in folder.parents)}):
        for item in sorted(folder.iterdir()):
            if is_left_behind(item.name):
                unread.left_behind.append(unread.name(item))
            elif item not in read and item not in folders_read:
                unread.beside.append(unread.name(item) + ("/" if item.is_dir() else ""))
    return unread.notes()


def _is_outdated(parts: PartFiles, decoded: DecodedDataset) -> bool:
    """Older versions gave every file the class names of the first one."""
    names = {_open(file).class_names for files in parts.values() for file in files}
    return len(names) > 1 or looks_too_dark(decoded)


def _part_files(path: Path, files: list[Path]) -> PartFiles:
    """The files of each part, by a word in their names or in that of their folder; if none has one, all are one part.

    Raises:
        DataError: if files belong to no part, or none to the train part.
    """
    if path.is_file():
        return {"train": files}
    parts: PartFiles = {}
    for file in files:
        part = part_in(file.stem) or (part_in(file.parent.name) if file.parent != path else "")
        parts.setdefault(part, []).append(file)
    if set(parts) == {""}:
        return {"train": files}
    if "" in parts:
        rule = f"{path}: '{parts[''][0].name}' belongs to no part"
        raise DataError(f"{rule}; begin its name with train, validation or test, or move it away")
    if "train" not in parts:
        rule = f"{path}: has parquet files of the {' and '.join(sorted(parts))} part and none of the train part"
        raise DataError(f"{rule}; add them, or give the file of one part")
    return parts


def _read_groups(path: Path, part_files: PartFiles, column: str) -> Contents:
    """The contents with the group of each image, by a column."""
    contents = _read(path, part_files, column)
    names = {
        part: [name for file in files for name in _group_names(_open(file), column)]
        for part, files in part_files.items()
    }
    if not any(name for of_part in names.values() for name in of_part):
        rule = f"{path}: data.group: column '{printable(column, keep='')}' names no group in any row"
        raise DataError(f"{rule}; fill it, or name another")
    return with_groups(contents, names)


def _group_names(table: Table, column: str) -> list[str]:
    """The value of a column in each row, as text; empty where it is null."""
    import pyarrow

    columns = table.file.schema_arrow.names
    where = f"{table.path}: data.group"
    if column not in columns:
        others = [printable(name, keep="") for name in columns if name not in (table.image_column, table.label_column)]
        rule = f"{where}: there is no column '{printable(column, keep='')}' beside images and labels"
        raise DataError(f"{rule}, only {listed(others)}; name one of these" if others else f"{rule}; add it")
    types, kind = pyarrow.types, table.file.schema_arrow.field(column).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        rule = f"{where}: column '{printable(column, keep='')}' must hold whole numbers or words, got {kind}"
        raise DataError(f"{rule}; cast it, or name another")
    with _read_errors(table.path):
        values = table.file.read(columns=[column])[column].to_pylist()
    return ["" if value is None else str(value) for value in values]


def _read(path: Path, part_files: PartFiles, group: str = "") -> Contents:
    tables = {part: [_open(file) for file in files] for part, files in part_files.items()}
    values = {part: [_label_values(table) for table in part_tables] for part, part_tables in tables.items()}
    notes = [*_partial_notes(part_files), *_column_notes(tables["train"][0], group)]
    if any(column.dtype.kind == "U" for columns in values.values() for column in columns):
        classes = tuple(sorted({str(word) for column in values["train"] for word in column}))
        labels = {part: _numbers_of_words(path, np.concatenate(columns), classes) for part, columns in values.items()}
    else:
        classes = next((table.class_names for table in tables["train"] if table.class_names), ())
        labels = {
            part: np.concatenate([_numbers(*pair, part, classes) for pair in zip(tables[part], columns, strict=True)])
            for part, columns in values.items()
        }
        unnamed = [table.path.name for of_part in tables.values() for table in of_part if not table.class_names]
        if classes and unnamed:
            notes.append(f"no class names in {listed(unnamed)}: numbers there are taken as those of the train part")
        classes = classes or numbered_classes(str(path), labels["train"])
    parts = {part: EncodedPart(labels[part], partial(_images, part_tables)) for part, part_tables in tables.items()}
    return Contents(str(path), classes, parts, tuple(notes))


def _partial_notes(part_files: PartFiles) -> Iterator[str]:
    """The hub calls a part `partial-train` that it converted in part."""
    for part, files in part_files.items():
        if names := sorted({file.parent.name for file in files if "partial" in words(file.parent.name)}):
            yield f"the {part} part is incomplete: its folder is called {listed(names)}"


def _column_notes(table: Table, group: str) -> Iterator[str]:
    used = {table.image_column, table.label_column, group}
    if others := [printable(name, keep="") for name in table.file.schema_arrow.names if name not in used]:
        yield f"columns not read: {listed(others)}"


def _numbers(table: Table, numbers: NDArray[Any], part: str, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The labels of a file as positions in `classes`, by the file's own names."""
    own = table.class_names
    if not own or not classes or own == classes:
        return numbers
    if len(wrong := numbers[(numbers < 0) | (numbers >= len(own))]):
        rule = f"{table.path}: labels must be 0 to {len(own) - 1} for its {len(own)} class names, got {wrong[0]}"
        raise DataError(f"{rule}; number them from 0")
    if unknown := sorted({own[number] for number in np.unique(numbers)} - set(classes)):
        rule = f"{table.path}: the {part} part must have the classes of the train part, got '{unknown[0]}' too"
        raise DataError(f"{rule}; remove its rows")
    positions = {name: position for position, name in enumerate(classes)}
    return np.array([positions.get(name, -1) for name in own], np.int64)[numbers]


def _open(path: Path) -> Table:
    import pyarrow.parquet

    with _read_errors(path):
        file = pyarrow.parquet.ParquetFile(path)
    columns = file.schema_arrow.names
    image_column, label_column = _choose(path, IMAGE_COLUMNS, columns), _choose(path, LABEL_COLUMNS, columns)
    return Table(path, file, image_column, label_column, _hub_class_names(file, label_column))


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
    known = f"{', '.join(names[:-1])} or {names[-1]}"
    rule = f"{path}: needs a column {known}, got {', '.join(columns)}"
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


def _hub_class_names(file: Any, label_column: str) -> tuple[str, ...]:
    """The class names in the hub's metadata. They are optional, so metadata of another shape is no error."""
    metadata: Mapping[bytes, bytes] = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label_column]["names"])
    except (KeyError, ValueError, TypeError):
        return ()


def _images(tables: list[Table]) -> Iterator[EncodedImage]:
    for table in tables:
        name, row = printable(table.path.name, keep=""), 0
        with _read_errors(table.path):
            for batch in table.file.iter_batches(BATCH_ROWS, columns=[table.image_column]):
                for value in batch.column(0).to_pylist():
                    yield EncodedImage(f"{name} row {row}", _bytes_of(value, f"{table.path}, row {row}"))
                    row += 1


def _bytes_of(value: Any, place: str) -> bytes:
    """The bytes of an image; none if the row has none, which makes it a broken one.

    Raises:
        DataError: for a row that says where an image is in place of the image.
    """
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if isinstance(data, str):
        data, path = None, data
    if not data and path:
        rule = f"{place}: has no image, only a path to one ('{printable(str(path), keep='')}')"
        raise DataError(f"{rule}; write the images into the file, or give the folder of images")
    return data if isinstance(data, bytes) else b""
