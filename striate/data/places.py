"""Where data is looked for and where decoded images are kept.

Two variables decide: STRIATE_DATA, a folder of datasets that is only read, and STRIATE_CACHE, which may be deleted at
any time. Without the second, the cache is where the system keeps such things.
"""

import os
import sys
from pathlib import Path


def data_folder() -> Path | None:
    """$STRIATE_DATA, if set."""
    value = os.environ.get("STRIATE_DATA")
    return Path(value).expanduser() if value else None


def cache_folder() -> Path:
    """$STRIATE_CACHE, or `striate` in the user's cache directory."""
    if value := os.environ.get("STRIATE_CACHE"):
        return Path(value).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "striate" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "striate"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "striate"
