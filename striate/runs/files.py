"""Files written whole or not at all, and errors of the disk in the user's words."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from striate.core.errors import RunError

_UNFINISHED = ".unfinished"


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` on a file beside `path`, force it to the disk and rename it to `path`.

    Whoever reads `path` sees the old content or the new one, also when the process dies in between.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            write(beside)
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Take out what writes that were killed have left in `folder`; the caller holds its lock."""
    for left in folder.glob(f".*{_UNFINISHED}"):
        left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A text file, atomically."""

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_atomic(path, write)


def write_json(path: Path, data: Any) -> None:
    """A JSON file, atomically; the keys keep their order."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{_UNFINISHED}")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the disk's refusals around `path` into a RunError."""
    try:
        yield
    except TimeoutError:
        raise  # a lock's, not the disk's
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(path.parent).free / 2**20 if path.parent.exists() else 0
            raise RunError(
                f"{path}: no space left on the disk ({free:.0f} MB free); make room and run the same command, "
                "it goes on from the last saved state"
            ) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        raise RunError(f"{path}: {error.strerror or error}; choose another --out, or mend what is there") from error
