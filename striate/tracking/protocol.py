"""What a run tells a logger, and what it may expect of one.

A logger may raise, and it may take as long as it likes: it lives in a process of its own (`apart`), and the run's
own files are written whatever becomes of it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run, described to a logger."""

    study: str
    arm: str
    seed: int
    fingerprint: str
    folder: str  # of the run
    home: str  # of the study: what its runs share is kept here
    config: dict[str, Any] = field(default_factory=dict)  # data, network, recipe: nested plain data
    # What the ledger kept of the same run, when it was logged before and is taken up again.
    token: str = ""  # what the logger's `start` returned
    logged: int = 0  # the last epoch that the logger took

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
    """Takes the numbers of one run to where its user looks at them. Made without arguments."""

    package: ClassVar[str]  # what it imports when it starts

    def start(self, info: RunInfo) -> str:
        """Open the log, or take up the one that `info.token` names; returns the token to take it up by."""

    def row(self, row: dict[str, Any]) -> None:
        """An epoch's numbers, as in metrics.jsonl. Epochs come in order, none of them twice."""

    def finish(self, summary: dict[str, Any] | None) -> None:
        """The end: how the run ended, or None when it was stopped and is to go on later."""


def flat(config: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones, the way a study file writes them: `recipe.optimizer.lr`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{before}{key}."))
        else:
            found[f"{before}{key}"] = value
    return found


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """The entries that can be drawn as a curve: what is no number, and the epoch itself, are left out."""
    return {
        key: float(value)
        for key, value in row.items()
        if key != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
    }
