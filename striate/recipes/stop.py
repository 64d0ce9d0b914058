"""When a training ends before its last epoch. Only the rows of its epochs decide, so a resumed run ends alike."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import Field

from striate.core.records import Number, Record, Whole
from striate.recipes.schedule import MAX_EPOCHS


class EpochMetrics(Protocol):
    """The metrics of an epoch that stopping depends on; None for a number that is not finite."""

    @property
    def train_loss(self) -> float | None: ...

    @property
    def validation_loss(self) -> float | None: ...

    @property
    def validation_accuracy(self) -> float | None: ...

    @property
    def validation_balanced_accuracy(self) -> float | None: ...

    @property
    def seconds(self) -> float: ...


class StopConfig(Record):
    """What ends a training early; the first condition that holds."""

    patience: Whole | None = Field(None, ge=1, le=MAX_EPOCHS)
    """Epochs in a row without an improvement on validation."""
    watch: Literal["validation_loss", "validation_accuracy", "validation_balanced_accuracy"] = "validation_loss"
    """The number that `patience` is about."""
    train_loss: Number | None = Field(None, gt=0)
    """End when the mean training loss of an epoch is below this."""
    minutes: Number | None = Field(None, gt=0)
    """Time for training and validation; the epoch in which it runs out is finished."""


def stop_reason(stop: StopConfig, rows: Sequence[EpochMetrics]) -> str:
    """Why the training ends after these epochs; empty if it does not."""
    if not rows:
        return ""
    last = rows[-1]
    if stop.train_loss is not None and last.train_loss is not None and last.train_loss < stop.train_loss:
        return f"the training loss came under {stop.train_loss:g}"
    if stop.minutes is not None and last.seconds >= 60 * stop.minutes:
        return f"the time limit of {stop.minutes:g} minutes was reached"
    if stop.patience is not None and len(rows) - best_epoch(rows, stop.watch) >= stop.patience:
        return f"the {stop.watch.replace('_', ' ')} had not improved for {stop.patience} epochs"
    return ""


def best_epoch(rows: Sequence[EpochMetrics], watch: str) -> int:
    """The first epoch, from 1, with the best value: the lowest of a loss, the highest of an accuracy."""
    if watch == "validation_loss":
        values = [-math.inf if row.validation_loss is None else -row.validation_loss for row in rows]
    else:
        measured = [getattr(row, watch) for row in rows]
        values = [-math.inf if value is None else value for value in measured]
    return values.index(max(values)) + 1
