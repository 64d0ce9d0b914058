"""The only guarded import: packages that an extra installs."""

import importlib
import importlib.util
from types import ModuleType

from striate.core.errors import MissingExtra


def require(package: str, *, extra: str, why: str) -> ModuleType:
    """Import `package`, or say which extra brings it.

    An ImportError from inside a package that is there is passed on: a broken install is not a missing one.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingExtra(_cure(package, extra, why)) from error


def look_for(package: str, *, extra: str, why: str) -> None:
    """Say which extra brings `package` if it is absent, without importing it: for what another process will import."""
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(_cure(package, extra, why))


def _cure(package: str, extra: str, why: str) -> str:
    return f"{why} needs {package}: pip install 'striate[{extra}]'"
