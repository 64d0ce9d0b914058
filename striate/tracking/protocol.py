"""What a logger is, and what it is told of a run.

A logger may raise and may take as long as it likes: it runs in a separate process (`logger_process`), and the run's own
files are written in any case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from striate.runs.records import EpochRow, Summary


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run, described to a logger as JSON data."""

    study: str
    arm: str
    seed: int
    fingerprint: str
    folder: str  # of the run
    home: str  # of the study, for what its runs share
    config: dict[str, Any] = field(default_factory=dict)  # data, network, recipe
    # From the ledger, where the logger has logged this run before.
    token: str = ""  # what its `start` returned
    logged: int = 0  # the last epoch that it logged

    @property
    def name(self) -> str:
        return f"{self.arm} seed {self.seed}"

    @property
    def folder_path(self) -> Path:
        return Path(self.folder)

    @property
    def home_path(self) -> Path:
        return Path(self.home)


class Logger(Protocol):
    """Sends the numbers of one run to another tracker. Made without arguments."""

    package: ClassVar[str]  # the library that `start` imports

    def start(self, info: RunInfo) -> str:
        """Open the log, or resume the one with `info.token`; returns the token to resume it by."""

    def row(self, row: EpochRow) -> None:
        """Log an epoch's numbers. Epochs come in order, none of them twice."""

    def finish(self, summary: Summary | None) -> None:
        """Close the log: with how the run ended, or None when it was stopped and may be resumed."""


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones, as in a study file: `recipe.optimizer.lr`."""
    items: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            items |= flat(value, f"{prefix}{key}.")
        else:
            items[f"{prefix}{key}"] = value
    return items


def numbers(record: EpochRow | Summary) -> dict[str, float]:
    """The fields that can be drawn as a curve: the numbers, without the epoch itself."""
    return {
        key: float(value)
        for key, value in record.model_dump(mode="json").items()
        if key != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
    }
