"""A run folder that is sent from one machine to another, a save at a time."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from striate.core.errors import RunError
from striate.runs import layout
from striate.runs.files import disk_errors, write_atomic

# By its path in the run's folder; None: it was removed.
Files = dict[str, bytes | None]
State = dict[str, tuple[int, int, int]]  # of each file: inode, time and size; a file that is replaced has another inode


def state_of(folder: Path) -> State:
    """The files in a run's folder, without its lock and what is being written."""
    state: State = {}
    for path in _files(folder):
        try:
            stat = path.stat()
        except FileNotFoundError:  # replaced just now: the next look finds it
            continue
        state[path.relative_to(folder).as_posix()] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return state


def changes_since(folder: Path, before: Mapping[str, tuple[int, int, int]]) -> tuple[State, Files]:
    """The files that are new or other than before, and None for those that are gone; with the state that this is.

    Checkpoints are read first: the metrics, which are written before one, then hold all epochs that it has done.
    """
    now = state_of(folder)
    files: Files = {}
    for name in sorted(now, key=lambda name: name not in layout.CHECKPOINTS):
        if now[name] == before.get(name):
            continue
        try:
            files[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
    return now, files | dict.fromkeys(before.keys() - now.keys())


def contents(folder: Path) -> Files:
    """All files of a run's folder."""
    return changes_since(folder, {})[1]


def write(folder: Path, files: Files) -> None:
    """Bring the files into `folder`: checkpoints after what they rest on, the summary last; then remove what is gone.

    Raises:
        RunError: when the disk refuses, or for a name that leads out of the folder.
    """
    for name, content in sorted(files.items(), key=lambda item: _rank(item[0])):
        path = folder / _checked(name)
        if content is not None:
            write_atomic(path, partial(_write, content=content))
    for name, content in files.items():
        if content is None:
            with disk_errors(folder):
                (folder / _checked(name)).unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def _rank(name: str) -> int:
    return 2 if name == layout.SUMMARY else int(name in layout.CHECKPOINTS)


def _checked(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise RunError(f"a node of the cluster sent a file named {name!r}, which is outside its run's folder")
    return name


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
