"""Decoded images, kept once and mapped into every process that uses them.

One folder is one source as one config decodes it; its name says which, so a changed file is another folder. It is
written beside and renamed, so a reader sees all of it or nothing, and two writers at once are fine. Whatever cannot be
read is made again, and where nothing can be written the images stay in memory.
"""

import hashlib
import io
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap, write_array_header_1_0

from striate.data.assemble import Assembled, assemble, in_memory
from striate.data.canonical_order import Hashed
from striate.data.config import DataConfig
from striate.data.dataset import Images
from striate.data.places import cache_folder
from striate.data.sources.contents import Found

VERSION = 1
META = "meta.json"


def stored(found: Found, config: DataConfig) -> Assembled:
    """The source decoded: from the cache, or into it."""
    if not found.files:
        return assemble(found.read(), config, in_memory)
    home = cache_folder() / "decoded"
    try:
        folder = home / _key(found, config)
        return _opened(folder) or _made(found, config, folder)
    except OSError as error:
        # Also a full disk: pixels go through write(), since a full disk under a memory map kills the process.
        kept = assemble(found.read(), config, in_memory)
        note = f"the cache {home} could not be used ({error.strerror or error}): images are in memory"
        return replace(kept, notes=(*kept.notes, note))


def _key(found: Found, config: DataConfig) -> str:
    """The source and how it is decoded, then the state of its files."""
    what = [VERSION, str(Path(found.where).absolute()), config.channels, config.size, config.broken]
    state = [(str(path), stat.st_size, stat.st_mtime_ns) for path in found.files for stat in [path.stat()]]
    return f"{found.name[:40]}-{_short(what)}-{_short(state)}"


def _short(data: object) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]


def _opened(folder: Path) -> Assembled | None:
    """What the folder holds, or None if that cannot be read."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        parts = {name: _part(folder, name) for name in meta["parts"]}
        return Assembled(tuple(meta["classes"]), parts, tuple(meta["notes"]), meta["is_cifar10"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _part(folder: Path, name: str) -> Hashed:
    images = np.load(folder / f"{name}.npy", mmap_mode="r")
    labels, hashes = np.load(folder / f"{name}-labels.npy"), np.load(folder / f"{name}-hashes.npy")
    if not len(images) == len(labels) == len(hashes):
        raise ValueError(f"{folder}: {name} has {len(images)} images and {len(labels)} labels")
    return Hashed(images, labels, hashes)


def _made(found: Found, config: DataConfig, folder: Path) -> Assembled:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its folders are closed to other users, who may share this cache.
    beside = folder.parent / f".making-{secrets.token_hex(8)}"
    beside.mkdir()
    try:
        _write(beside, assemble(found.read(), config, lambda name, chunks: _keep(beside / f"{name}.npy", chunks)))
        _replace(beside, folder)
        made = _opened(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if made is None:
        raise OSError(f"{folder} cannot be read back")
    return made


def _write(folder: Path, made: Assembled) -> None:
    for name, part in made.parts.items():
        np.save(folder / f"{name}-labels.npy", part.labels)
        np.save(folder / f"{name}-hashes.npy", part.hashes)
    for raw in folder.glob("raw-*"):
        raw.unlink()
    meta = {"classes": made.classes, "notes": made.notes, "is_cifar10": made.is_cifar10, "parts": list(made.parts)}
    (folder / META).write_text(json.dumps(meta), encoding="utf-8")


def _replace(beside: Path, folder: Path) -> None:
    if _opened(folder):
        return  # another process was first
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(beside, folder)
    except OSError:
        if not _opened(folder):
            raise
    # The same source in an earlier state will not come back; processes that have it mapped keep their pages.
    prefix = folder.name.rpartition("-")[0]
    for old in folder.parent.glob(f"{prefix}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _keep(path: Path, chunks: Iterator[Images]) -> Images:
    """Chunks to an .npy file, mapped. The count is known at the end, so the header is written twice."""
    first = next(chunks)
    count = 0
    with path.open("wb") as file:
        blank = file.write(_header((0, *first.shape[1:])))
        for chunk in itertools.chain([first], chunks):
            file.write(np.ascontiguousarray(chunk).data)
            count += len(chunk)
        file.seek(0)
        header = _header((count, *first.shape[1:]))
        assert len(header) == blank, "NumPy leaves room in a header for the first axis to grow"
        file.write(header)
    return open_memmap(path, mode="r")


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
