"""MLflow's stores, without MLflow: a folder of text files (mlruns), or a SQLite file (mlflow.db).

Columns are called as `mlflow.search_runs` calls them: metrics.NAME, params.NAME, tags.NAME.
"""

import contextlib
import math
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from striate.core.errors import TableError
from striate.tables.history import LoggedRun, history_table
from striate.tables.table import Table

_STATUS = {"1": "running", "2": "scheduled", "3": "finished", "4": "failed", "5": "killed"}
_META = "meta.yaml"


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs in a store of files, or in one of its experiments."""
    return sorted(
        meta.parent
        for pattern in (f"*/{_META}", f"*/*/{_META}", f"mlruns/*/*/{_META}")
        for meta in folder.glob(pattern)
        if (meta.parent / "metrics").is_dir() and ".trash" not in meta.parts
    )


def read_files(folder: Path, runs: list[Path]) -> Table:
    """The runs of a store of files; those that were deleted are left out."""
    kept = [(_meta(path), path) for path in runs]
    kept = [(meta, path) for meta, path in kept if meta.get("lifecycle_stage") != "deleted"]
    kept.sort(key=lambda item: (str(item[0].get("start_time", "")), item[1]))
    return history_table(str(folder), "MLflow", [_run(meta, path) for meta, path in kept], row_name="row")


def read_database(path: Path) -> Table:
    """The runs of a store in a SQLite file."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return history_table(str(path), "MLflow", list(_runs_of(database)), row_name="row")
    except sqlite3.Error as error:
        raise TableError(f"{path}: is no database of MLflow ({error}); give mlflow.db or a folder mlruns") from error


def _run(meta: Mapping[str, Any], folder: Path) -> LoggedRun:
    experiment = _meta(folder.parent).get("name", folder.parent.name)
    fixed = {
        "run_id": folder.name,
        "experiment": str(experiment),
        "status": _status(meta.get("status", 3)),
        "tags.mlflow.runName": str(meta.get("run_name") or ""),
    }
    run = LoggedRun(fixed={**fixed, **dict(_texts(folder, "params")), **dict(_texts(folder, "tags"))})
    for name, path in _files(folder / "metrics"):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                _, value, *step = line.split()
                run.log(int(step[0]) if step else 0, f"metrics.{name}", float(value))
            except ValueError as error:
                raise TableError(
                    f"{path}: must have lines of time, value and step, got '{line:.40}'; leave this run out"
                ) from error
    return run


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / _META
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (yaml.YAMLError, ValueError) as error:
        raise TableError(f"{path}: is broken YAML; leave this run out") from error
    return content if isinstance(content, dict) else {}


def _status(code: Any) -> str:
    return _STATUS.get(str(code), str(code).lower())


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("**/*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _texts(folder: Path, kind: str) -> Iterator[tuple[str, str]]:
    for name, path in _files(folder / kind):
        yield f"{kind}.{name}", path.read_text(encoding="utf-8", errors="replace")


def _runs_of(database: sqlite3.Connection) -> Iterator[LoggedRun]:
    names = dict(database.execute("SELECT experiment_id, name FROM experiments"))
    runs: dict[str, LoggedRun] = {}
    query = (
        "SELECT run_uuid, experiment_id, status, name FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time"
    )
    for run_id, experiment, status, name in database.execute(query):
        fixed = {"run_id": run_id, "experiment": str(names.get(experiment)), "status": _status(status)}
        runs[run_id] = LoggedRun(fixed={**fixed, "tags.mlflow.runName": name or ""})
    for kind in ("params", "tags"):
        for run_id, key, value in database.execute(f"SELECT run_uuid, key, value FROM {kind}"):
            if run_id in runs:
                runs[run_id].fixed[f"{kind}.{key}"] = value
    query = "SELECT run_uuid, key, value, step, is_nan FROM metrics ORDER BY timestamp"
    for run_id, key, value, step, is_nan in database.execute(query):
        if run_id in runs:
            runs[run_id].log(step, f"metrics.{key}", math.nan if is_nan else value)
    yield from runs.values()
