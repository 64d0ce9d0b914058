"""The only guarded import: packages that an extra installs."""

import importlib
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
        raise MissingExtra(f"{why} needs {package}: pip install 'striate[{extra}]'") from error
