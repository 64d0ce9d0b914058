"""When a training ends before its last epoch. Decided by the epochs' rows alone, so a resumed run decides alike."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import Field

from striate.core.records import Number, Record, Whole


class Row(Protocol):
    """An epoch's numbers, as far as stopping depends on them; None for one that is not finite."""

    @property
    def train_loss(self) -> float | None: ...

    @property
    def validation_loss(self) -> float | None: ...

    @property
    def validation_accuracy(self) -> float | None: ...

    @property
    def seconds(self) -> float: ...


class StopConfig(Record):
    """What ends a training early; whichever comes first."""

    patience: Whole | None = Field(None, ge=1)
    """Epochs in a row without an improvement on validation."""
    watch: Literal["validation_loss", "validation_accuracy"] = "validation_loss"
    """What `patience` looks at."""
    train_loss: Number | None = Field(None, gt=0)
    """A mean training loss to come under."""
    minutes: Number | None = Field(None, gt=0)
    """Time for training and validation; the epoch in which it runs out is finished."""


def reason_to_stop(stop: StopConfig, rows: Sequence[Row]) -> str:
    """Why the training ends after these epochs, or nothing."""
    if not rows:
        return ""
    last = rows[-1]
    if stop.train_loss is not None and last.train_loss is not None and last.train_loss < stop.train_loss:
        return f"the training loss came under {stop.train_loss:g}"
    if stop.minutes is not None and last.seconds >= 60 * stop.minutes:
        return f"its {stop.minutes:g} minutes were over"
    if stop.patience is not None and len(rows) - best_epoch(rows, stop.watch) >= stop.patience:
        return f"the {stop.watch.replace('_', ' ')} had not improved for {stop.patience} epochs"
    return ""


def best_epoch(rows: Sequence[Row], watch: str) -> int:
    """The first epoch, from 1, with the best value: the lowest of a loss, the highest of an accuracy."""
    if watch == "validation_loss":
        values = [-math.inf if row.validation_loss is None else -row.validation_loss for row in rows]
    else:
        values = [-math.inf if row.validation_accuracy is None else row.validation_accuracy for row in rows]
    return values.index(max(values)) + 1
