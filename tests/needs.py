"""What a test needs that is not everywhere: without it the test skips and says so.

`STRIATE_TEST_ALL=1` says that everything is there, `STRIATE_TEST_ALL="chromium cifar10"` that these are: then the test
fails instead, so that no machine is taken to have tested what it has skipped.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def needs_program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _do_without(names, f"needs the program {' or '.join(names)}")
    return path


def needs_package(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        _do_without([name], f"needs the package {name}: pip install 'striate[{name}]'")


def needs_shared(name: str) -> Path:
    """The path of a real dataset beside the repository."""
    if not (SHARED / name).exists():
        _do_without([name], f"needs the dataset {name} in {SHARED}")
    return SHARED / name


def needs_packaged(name: str) -> Path:
    """The path of a dataset that the system's package manager installs."""
    path = Path("/usr/share/datasets") / name
    if not path.exists():
        _do_without([name], f"needs the dataset {name} in {path.parent}: apt-get install dataset-{name}")
    return path


def _do_without(names: Iterable[str], reason: str) -> NoReturn:
    promised = os.environ.get("STRIATE_TEST_ALL", "").split()
    if promised == ["1"] or set(promised) & set(names):
        pytest.fail(f"STRIATE_TEST_ALL={' '.join(promised)}, but this test {reason}", pytrace=False)
    pytest.skip(reason)
