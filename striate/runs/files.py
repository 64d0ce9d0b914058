"""Files that are written whole or not at all, and errors of the disk in the user's words."""

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
    """Call `write` on a temporary file beside `path`, force it to the disk and rename it to `path`.

    A reader of `path` gets the old content or the new, also when the process dies in between.

    Raises:
        RunError: when the disk refuses.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{_UNFINISHED}")
        try:
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of writes that were killed; the caller holds the folder's lock."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomic(path, write)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file, atomically; the keys keep their order."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise RunError for an OSError around `path`."""
    try:
        yield
    except TimeoutError:
        raise  # of a lock, not of the disk
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(path.parent).free / 2**20 if path.parent.exists() else 0
            raise RunError(
                f"{path}: no space left on the disk ({free:.0f} MB free); make room and run the same command again, "
                "what was saved before is kept"
            ) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        raise RunError(f"{path}: {error.strerror or error}; choose another --out, or repair what is there") from error
