"""The reader of run folders: reads every format that a release has written, and writes nothing.

Nothing is unpickled or executed: a folder may come from anyone.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from striate.core.errors import RunError
from striate.nets.summary.table import LayerTable
from striate.runs import layout
from striate.runs.records import EpochRow, Job, RunEnvironment, Summary


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder as it was when read. A file that is missing is None or empty: the run may be young."""

    folder: Path
    description: Mapping[str, Any]  # run.yaml, whose job this version may be unable to read
    fingerprint: str
    seed: int
    summary: Summary | None  # None: unfinished
    environment: RunEnvironment | None
    metrics: tuple[EpochRow, ...]

    def __repr__(self) -> str:
        return f"<Run {self.folder}: {self.state} after {len(self.metrics)} epochs>"

    @cached_property
    def job(self) -> Job:
        """What decides the run.

        Raises:
            RunError: when another version wrote settings that this one does not know.
        """
        try:
            return Job.model_validate(
                {key: value for key, value in self.description.items() if key not in {"format", "fingerprint"}}
            )
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise RunError(
                f"{self.folder / layout.RUN}: {key}: is not read by this version of striate ({first['msg']}); "
                "use the version that wrote it (striate in env.json)"
            ) from error

    @cached_property
    def network(self) -> LayerTable | None:
        """The layers of the network; None for a run of version 0.1.0, or when the file is broken: it decides nothing."""
        try:
            return LayerTable.from_json(json.loads((self.folder / layout.NETWORK).read_bytes()))
        except (OSError, ValueError):
            return None

    @property
    def state(self) -> Literal["finished", "diverged", "failed", "unfinished"]:
        return self.summary.state if self.summary else "unfinished"

    @property
    def is_result(self) -> bool:
        """Whether it is done. A run that diverged is; a run that failed is tried again."""
        return self.state in {"finished", "diverged"}


def read(folder: Path) -> Run:
    """The run in `folder`.

    Raises:
        RunError: when there is none, its format is newer than this program, or a file of it is broken.
    """
    path = folder / layout.RUN
    try:
        description = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder}: holds no run (no {layout.RUN})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{path}: is not readable YAML") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from error
    if not _is_description(description):
        raise RunError(f"{path}: is not the description of a run (format, fingerprint, seed)")
    if description["format"] > layout.FORMAT:
        raise RunError(
            f"{path}: has format {description['format']}, newer than this program reads ({layout.FORMAT}); "
            "upgrade striate"
        )
    return Run(
        folder=folder,
        description=description,
        fingerprint=str(description["fingerprint"]),
        seed=description["seed"],
        summary=read_summary(folder),
        environment=_environment(folder / layout.ENVIRONMENT),
        metrics=tuple(_rows(folder / layout.METRICS)),
    )


def _is_description(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("format"), int)
        and isinstance(content.get("seed"), int)
        and "fingerprint" in content
    )


def _content(path: Path) -> bytes | None:
    """None for a file that does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from error


def read_summary(folder: Path) -> Summary | None:
    """How the run in `folder` ended; None if it has not, or if there is no run.

    Raises:
        RunError: for a file that is broken or cannot be read.
    """
    path = folder / layout.SUMMARY
    content = _content(path)
    if content is None:
        return None
    try:
        return Summary.model_validate_json(content)
    except ValueError as error:
        raise RunError(f"{path}: is not the summary of a run; remove the file to train this run again") from error


def _environment(path: Path) -> RunEnvironment | None:
    """None also for a broken file, which decides nothing."""
    try:
        return RunEnvironment.model_validate_json(_content(path) or b"")
    except ValueError:
        return None


def _rows(path: Path) -> Iterator[EpochRow]:
    # Only a whole line counts: half a number is still valid JSON.
    *lines, _ = (_content(path) or b"").split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield EpochRow.model_validate_json(line)
        except ValueError as error:
            raise RunError(
                f"{path}, line {number}: is not an epoch's numbers; remove the run's folder to train it again"
            ) from error
