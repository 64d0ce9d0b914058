"""Packages that an extra installs: imported here, or reported with the extra that installs them; and their remarks kept quiet."""

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from striate.core.errors import MissingExtra


def require(package: str, *, extra: str, why: str) -> ModuleType:
    """Import `package`; `why` begins the message, as in "Logging to MLflow".

    Raises:
        MissingExtra: when it is absent. An ImportError from inside the package passes: a broken install is not a missing one.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingExtra(_message(package, extra, why)) from error


def check_package(package: str, *, extra: str, why: str) -> None:
    """Raise MissingExtra when `package` is absent, without importing it: for one that another process imports."""
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(_message(package, extra, why))


def _message(package: str, extra: str, why: str) -> str:
    return f"{why} needs {package}: pip install 'striate[{extra}]'"


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, libraries say nothing of themselves: neither warnings nor log lines below an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
