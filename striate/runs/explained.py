"""What was seen inside a run's network: the record beside the pictures, and the weights that both belong to."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from striate.runs import layout
from striate.runs.records import Explained

DIGITS = 16


def read_explained(folder: Path) -> Explained | None:
    """The record in `folder`; None if there is none, or it is of another version or broken: it is made again."""
    try:
        return Explained.model_validate_json((folder / layout.EXPLAIN_RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def weights_file(run: Path) -> Path | None:
    """The weights of a run's best epoch, or of its last; None if it has none."""
    return next((run / name for name in (layout.BEST, layout.FINAL) if (run / name).exists()), None)


def digest(file: Path) -> str:
    """The first digits of a file's SHA-256: weights that were trained again have another one."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:DIGITS]
