"""The reader of run folders: every format that was ever written, never writing anything.

Nothing is unpickled here; a folder may come from anyone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from striate.core.errors import RunError
from striate.runs import layout
from striate.runs.records import Summary


@dataclass(frozen=True)
class Run:
    """One run folder as it was when read. What is missing is empty: a run may be young or broken."""

    folder: Path
    job: dict[str, Any]  # run.yaml as it stands
    summary: dict[str, Any]  # how it ended; empty while it has not
    environment: dict[str, Any]
    metrics: tuple[dict[str, Any], ...]  # a row an epoch

    @property
    def fingerprint(self) -> str:
        return str(self.job["fingerprint"])

    @property
    def seed(self) -> int:
        return int(self.job["seed"])

    @property
    def state(self) -> str:
        """finished, diverged, failed or unfinished."""
        return str(self.summary.get("state", "unfinished"))

    @property
    def is_result(self) -> bool:
        """Whether it is done: a run that diverged is, a run that failed is tried again."""
        return self.state in {"finished", "diverged"}


def read(folder: Path) -> Run:
    """The run in `folder`.

    Raises:
        RunError: when there is none, its format is newer than this program, or a file of it is broken.
    """
    path = folder / layout.RUN
    try:
        job = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder}: holds no run (no {layout.RUN})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: is not readable YAML") from error
    if not isinstance(job, dict) or not isinstance(job.get("format"), int) or not {"fingerprint", "seed"} <= job.keys():
        raise RunError(f"{path}: is not the description of a run (format, fingerprint, seed)")
    if job["format"] > layout.FORMAT:
        raise RunError(
            f"{path}: has format {job['format']}, newer than this program reads ({layout.FORMAT}); upgrade striate"
        )
    return Run(
        folder=folder,
        job=job,
        summary=_summary(folder / layout.SUMMARY),
        environment=_environment(folder / layout.ENVIRONMENT),
        metrics=tuple(_rows(folder / layout.METRICS)),
    )


def _summary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return Summary.model_validate_json(path.read_bytes()).model_dump(mode="json")
    except ValueError as error:
        raise RunError(f"{path}: is not the summary of a run; remove the file to train this run again") from error


def _environment(path: Path) -> dict[str, Any]:
    """It decides nothing, so a broken one is as good as none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    # Only a whole line counts: half a number is still valid JSON.
    *whole, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(whole, 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
            raise RunError(
                f"{path}, line {number}: is not an epoch's numbers; remove the run's folder to train it again"
            )
        yield row
