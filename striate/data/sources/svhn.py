"""SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat`, as their authors distribute them.

Yuval Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.
"""

from functools import partial
from pathlib import Path

import numpy as np

from striate.core.errors import DataError
from striate.data.contents import ArrayPart, Contents, Source
from striate.data.sources.known import DIGITS, file_md5

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
EXTRA = "extra_32x32.mat"
MD5 = {"train": "e26dedcc434d2e4c54c9b2d4a06d8373", "test": "eb5a983be6a315427106f1b164d9cef3"}
ZERO = 10  # how the digit 0 is labeled


def list_files(path: Path) -> tuple[Path, ...]:
    """The files of the training and test part that a folder holds; none without that of the training part."""
    files = {part: path / name for part, name in FILES.items()}
    return tuple(file for file in files.values() if file.is_file()) if files["train"].is_file() else ()


def find(path: Path) -> Source:
    """The source at a path for which `list_files` lists some."""
    notes = (f"not read: {EXTRA}, the easier images beside the training part",) if (path / EXTRA).is_file() else ()
    return Source(path.resolve().name, str(path), list_files(path), partial(_read, path), notes=notes)


def _read(path: Path) -> Contents:
    files = {part: path / name for part, name in FILES.items() if (path / name).is_file()}
    parts = {part: _part(file) for part, file in files.items()}
    is_checked = all(file_md5(file) == MD5[part] for part, file in files.items())
    return Contents(str(path), DIGITS, parts, is_checked=is_checked)


def _part(path: Path) -> ArrayPart:
    from scipy.io import loadmat

    try:
        arrays = loadmat(path)
        images, labels = arrays["X"], arrays["y"].reshape(-1).astype(np.int64)
    # Readers of broken files raise anything: ValueError, TypeError, KeyError, zlib.error, MatReadError, ...
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as MATLAB arrays X and y ({error}); fetch it again") from error
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] != len(labels):
        shape = " x ".join(map(str, images.shape))
        raise DataError(f"{path}: X must be 32 x 32 x 3 x images of bytes with a y each, got {shape}; fetch it again")
    return ArrayPart(np.where(labels == ZERO, 0, labels), np.ascontiguousarray(images.transpose(3, 0, 1, 2)))
