"""Event files of TensorBoard, read by its own reader: a run is a folder, scalars are its metrics.

Settings that were logged as hyperparameters are columns too. PyTorch writes them into a folder below the run's, which
counts as the run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from striate.core.errors import TableError
from striate.core.optional import require
from striate.tables.history import LoggedRun, history_table
from striate.tables.table import Table

_MARK = "tfevents"


def event_files(folder: Path) -> list[Path]:
    """In the order of their names, which begin with the time."""
    return sorted(path for path in folder.glob(f"**/*{_MARK}*") if path.is_file())


def read_events(folder: Path, files: list[Path]) -> Table:
    """The scalars of all runs below a folder.

    Raises:
        MissingExtra: when TensorBoard is not installed.
        TableError: for a file that is broken.
    """
    require("tensorboard", extra="tensorboard", why="Reading event files of TensorBoard")
    runs: dict[Path, LoggedRun] = {}
    broken = []
    for path in files:
        run = runs.setdefault(path.parent, LoggedRun(fixed={"run": _name(folder, path.parent)}))
        if not _read_into(run, path):
            broken.append(path.relative_to(folder).as_posix())
    _join_hyperparameters(runs)
    notes = (f"Event files that are torn, read up to there: {', '.join(broken[:10])}.",) if broken else ()
    return history_table(str(folder), "TensorBoard", list(runs.values()), row_name="row", notes=notes)


def _name(folder: Path, run: Path) -> str:
    return run.relative_to(folder).as_posix() if run != folder else folder.absolute().name


def _read_into(run: LoggedRun, path: Path) -> bool:
    """Add what a file holds; False where there is more that cannot be read. The reader says nothing of it."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    scalars: set[str] = set()
    events = 0
    try:
        for event in EventFileLoader(str(path)).Load():
            events += 1
            for value in event.summary.value if event.HasField("summary") else ():
                plugin = value.metadata.plugin_data
                if plugin.plugin_name == "scalars":
                    scalars.add(value.tag)
                elif plugin.plugin_name == "hparams":
                    run.fixed.update(_hyperparameters(plugin.content))
                if value.tag in scalars and value.HasField("tensor"):
                    run.log(event.step, value.tag, float(tensor_util.make_ndarray(value.tensor).item()))
    except Exception as error:  # its errors have many types
        raise TableError(
            f"{path}: is a broken event file ({type(error).__name__}: {error}); leave this run out"
        ) from error
    return events == _records(path)


def _records(path: Path) -> int:
    """How many records a file has, a torn one at its end too. Each is a length of 8 bytes, its checksum of 4, and the data
    with another one."""
    count, position, size = 0, 0, path.stat().st_size
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position)
            position += 16 + int.from_bytes(stream.read(8), "little")
            count += 1
    return count


def _hyperparameters(content: bytes) -> Iterator[tuple[str, Any]]:
    from tensorboard.plugins.hparams import plugin_data_pb2

    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    for name, value in data.session_start_info.hparams.items():
        kind = value.WhichOneof("kind")
        if kind in {"number_value", "string_value", "bool_value"}:
            yield f"hparams.{name}", getattr(value, kind)


def _join_hyperparameters(runs: dict[Path, LoggedRun]) -> None:
    """A folder with hyperparameters below a run's folder belongs to that run."""
    for path in [path for path, run in runs.items() if len(run.fixed) > 1 and path.parent in runs]:
        parent, child = runs[path.parent], runs.pop(path)
        parent.fixed.update({name: value for name, value in child.fixed.items() if name != "run"})
        last = max(parent.history, default=0)
        for values in child.history.values():
            for name, value in values.items():
                parent.log(last, name, value)
