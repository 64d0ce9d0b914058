"""The `search` of a study file: what is varied, how many trials there are, and what was found."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from striate.core.records import Flag, Number, Record, Whole

# Of the runs of trials. The seeds of a study count from 0, so the two best are run again on seeds that no trial had.
FIRST_SEED = 1_000_000
WINNER, RUNNER_UP = "winner", "runner-up"


class Span(Record):
    """Numbers from `low` to `high`; whole ones where both are."""

    low: Whole | Number
    high: Whole | Number
    log: Flag = False
    """Try as many values between 0.001 and 0.01 as between 0.01 and 0.1."""

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 with 'log', got {self.low:g}")
        return self

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


class Search(Record):
    """Trials of settings, chosen on validation accuracy."""

    space: dict[str, Span | tuple[Any, ...]]
    """Keys with a list of values, or with `{low: 1e-4, high: 1e-1, log: true}`."""
    trials: Whole = Field(20, ge=2, le=1000)
    """How many settings are tried."""
    seeds: Whole = Field(3, ge=1, le=100)
    """How many seeds each trial has; its number is their mean validation accuracy."""
    seed: Whole = Field(0, ge=0, lt=2**32)
    """Of the sampler that suggests settings."""

    @field_validator("space")
    @classmethod
    def _check_space(cls, space: dict[str, Span | tuple[Any, ...]]) -> dict[str, Span | tuple[Any, ...]]:
        if not space:
            raise ValueError("needs a key or more, got none")
        for key, values in space.items():
            if isinstance(values, tuple) and len(values) < 2:
                raise ValueError(f"{key}: needs two values or more, got {len(values)}")
        return space

    @property
    def run_seeds(self) -> tuple[int, ...]:
        """The seeds of each trial."""
        return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))


class Candidate(Record):
    """A trial that was chosen: validation accuracies in percent, over the seeds of the search."""

    trial: Whole
    validation_accuracy: Number
    accuracies: tuple[Number, ...]


class Found(Record):
    """What a search found; written by Striate."""

    trials: Whole
    """How many had a number."""
    failed: Whole
    """How many had none: settings that are refused, or a run that failed."""
    winner: Candidate
    runner_up: Candidate

    @property
    def sentence(self) -> str:
        """How the two were chosen, and why their validation accuracies are not the result."""
        failed = f" ({self.failed} more could not be run)" if self.failed else ""
        first, second = (f"trial {c.trial} with {c.validation_accuracy:.2f} %" for c in (self.winner, self.runner_up))
        return (
            f"Searched {self.trials} settings{failed} by validation accuracy: {first} won before {second}. "
            "The best of many is partly luck, so both were run again on fresh seeds."
        )
