"""Decoded images, stored once and memory-mapped by every process that uses them.

A folder of the cache holds one source as one config decodes it. Its name tells which, so a changed file is another
folder. It is written under another name and renamed, so a reader sees all of it or nothing, and two writers at once do
no harm. What cannot be read is decoded again; where nothing can be written, the images stay in memory.
"""

import contextlib
import hashlib
import io
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.lib.format import open_memmap, write_array_header_1_0

from striate.core.errors import DataError
from striate.data.assemble import assemble, store_in_memory
from striate.data.canonical_order import HashedPart
from striate.data.contents import DecodedDataset, Source
from striate.data.dataset import DataConfig, Images

VERSION = 1
READER = 2  # raised when a source may be read otherwise than before; `Source.is_outdated` tells which
META = "meta.json"


def cache_folder() -> Path:
    """$STRIATE_CACHE, or `striate` in the user's cache directory."""
    value = os.environ.get("STRIATE_CACHE")
    return expand_user(value, "STRIATE_CACHE") if value else platformdirs.user_cache_path("striate", appauthor=False)


def expand_user(path: str, setting: str) -> Path:
    """`path` with ~ replaced by the home directory; `setting` names its origin in errors.

    Raises:
        DataError: if the user after ~ is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{setting}: {path!r} names a user whose home directory is unknown; write it out") from error


def load_cached(source: Source, config: DataConfig) -> DecodedDataset:
    """The source as `config` decodes it, from the cache if it is there, else decoded and stored.

    Raises:
        DataError: for labels, classes or images that do not fit together.
    """
    if not source.files:
        return assemble(source.contents(config.group), config, store_in_memory)
    home = cache_folder() / "decoded"
    try:
        folder = home / _folder_name(source, config)
        return _read_current(folder, source) or _decode_into(folder, source, config)
    except OSError as error:
        # Also a full disk: pixels are written with write(), because a full disk under a memory map kills the process.
        dataset = assemble(source.contents(config.group), config, store_in_memory)
        note = f"the cache {home} could not be used ({error.strerror or error}): images are in memory"
        return replace(dataset, notes=(*dataset.notes, note))


def _folder_name(source: Source, config: DataConfig) -> str:
    """The source and how it is decoded, then the state of its files."""
    identity = [VERSION, str(Path(source.location).absolute()), config.channels, config.size, config.broken]
    identity += [source.reading] if source.reading else []
    identity += [{"group": config.group}] if config.group is not None else []
    state = [(str(path), stat.st_size, stat.st_mtime_ns) for path in source.files for stat in [path.stat()]]
    return f"{source.name[:40]}-{_short_hash(identity)}-{_short_hash(state)}"


def _short_hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]


def _read_current(folder: Path, source: Source) -> DecodedDataset | None:
    """The dataset in a folder of the cache; None if it cannot be read, or an older version may have read it wrongly."""
    dataset = _read_folder(folder)
    if dataset is None or _read_meta(folder).get("reader", 1) == READER:
        return dataset
    if source.is_outdated(dataset):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    with contextlib.suppress(OSError):  # a cache that is only read is asked again next time
        _write_meta(folder, dataset)
    return dataset


def _read_folder(folder: Path) -> DecodedDataset | None:
    """The dataset in a folder of the cache; None if it cannot be read."""
    try:
        meta = _read_meta(folder)
        parts = {name: _read_part(folder, name, meta.get("groups", False)) for name in meta["parts"]}
        notes = tuple(meta["notes"])
        return DecodedDataset(tuple(meta["classes"]), parts, notes, meta["is_cifar10"], meta.get("bits"))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _read_meta(folder: Path) -> Mapping[str, Any]:
    return json.loads((folder / META).read_text(encoding="utf-8"))


def _read_part(folder: Path, name: str, has_groups: bool) -> HashedPart:
    images = np.load(folder / f"{name}.npy", mmap_mode="r")
    labels, hashes = np.load(folder / f"{name}-labels.npy"), np.load(folder / f"{name}-hashes.npy")
    groups = np.load(folder / f"{name}-groups.npy") if has_groups else None
    if not len(images) == len(labels) == len(hashes) == (len(labels) if groups is None else len(groups)):
        raise ValueError(f"{folder}: {name} has {len(images)} images and {len(labels)} labels")
    return HashedPart(images, labels, hashes, groups)


def _decode_into(folder: Path, source: Source, config: DataConfig) -> DecodedDataset:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's, whose folders are closed to other users: they may share this cache.
    unfinished = folder.parent / f".making-{secrets.token_hex(8)}"
    unfinished.mkdir()
    try:
        contents = source.contents(config.group)
        decoded = assemble(contents, config, lambda name, chunks: _store_npy(unfinished / f"{name}.npy", chunks))
        _write_folder(unfinished, decoded)
        _move_into_place(unfinished, folder)
        dataset = _read_folder(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if dataset is None:
        raise OSError(f"{folder} cannot be read back")
    return dataset


def _write_folder(folder: Path, dataset: DecodedDataset) -> None:
    """Write everything but the images, which `_store_npy` has written, and remove those in their first order."""
    for name, part in dataset.parts.items():
        np.save(folder / f"{name}-labels.npy", part.labels)
        np.save(folder / f"{name}-hashes.npy", part.hashes)
        if part.groups is not None:
            np.save(folder / f"{name}-groups.npy", part.groups)
    for raw in folder.glob("raw-*"):
        raw.unlink()
    _write_meta(folder, dataset)


def _write_meta(folder: Path, dataset: DecodedDataset) -> None:
    """Written beside and renamed: another process may be reading."""
    meta = {
        "reader": READER,
        "classes": dataset.classes,
        "notes": dataset.notes,
        "is_cifar10": dataset.is_cifar10,
        "bits": dataset.bits,
        "parts": list(dataset.parts),
        **({"groups": True} if dataset.parts["train"].groups is not None else {}),
    }
    unfinished = folder / f"{META}.{secrets.token_hex(8)}"
    unfinished.write_text(json.dumps(meta), encoding="utf-8")
    os.replace(unfinished, folder / META)


def _move_into_place(unfinished: Path, folder: Path) -> None:
    if _read_folder(folder):
        return  # another process was first
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(unfinished, folder)
    except OSError:
        if not _read_folder(folder):
            raise
    # Earlier states of this source are not needed again; processes that have them mapped keep their pages.
    prefix = folder.name.rpartition("-")[0]
    for other in folder.parent.iterdir():
        if other.name.startswith(f"{prefix}-") and other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _store_npy(path: Path, chunks: Iterator[Images]) -> Images:
    """Write chunks to an .npy file and map it. The count is known at the end, so the header is written twice."""
    first = next(chunks)
    count = 0
    with path.open("wb") as file:
        header_bytes = file.write(_header((0, *first.shape[1:])))
        for chunk in itertools.chain([first], chunks):
            file.write(np.ascontiguousarray(chunk).data)
            count += len(chunk)
        file.seek(0)
        header = _header((count, *first.shape[1:]))
        assert len(header) == header_bytes, "NumPy leaves room in a header for the first axis to grow"
        file.write(header)
    return open_memmap(path, mode="r")


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
