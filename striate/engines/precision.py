"""bf16 or float32, for a recipe that says `precision: auto`: what is asked, what is answered, and the cache of what was measured.

A processor with units for bf16 is not always faster with them, so a step of training is tried both ways, once for each network,
input, batch size and number of threads on a machine.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field

from striate.core.errors import StriateError
from striate.core.records import Number, Record, fingerprint
from striate.data import Dataset
from striate.data.cache import cache_folder
from striate.nets import NetworkConfig
from striate.nets.layers import Shape
from striate.recipes import Recipe
from striate.runs.files import write_json

# bf16 has 8 significant bits of float32's 24, so it must gain more than what a measured time varies by.
LEAST_SPEEDUP = 1.15


@dataclass(frozen=True)
class PrecisionChoice:
    """What a run computes in, and why; an empty reason: the recipe says so."""

    precision: str  # bf16 or float32
    reason: str = ""
    speedup: float | None = None  # how many times as fast bf16 is, where it was measured

    def __str__(self) -> str:
        return f"{self.precision}: {self.reason}" if self.reason else self.precision


class PrecisionQuestion(Record):
    """Asks for the precision of a run whose recipe says auto: what its steps cost depends on this."""

    engine: str
    network: NetworkConfig
    input_shape: Shape
    classes: int
    images: int
    """Of a batch."""
    device: str
    threads: int
    earlier: str = ""
    """The precision that runs of the same study have."""

    @classmethod
    def of(
        cls, recipe: Recipe, network: NetworkConfig, dataset: Dataset, device: str, threads: int, earlier: str = ""
    ) -> Self:
        """The question of a run on the images of `dataset`."""
        return cls(
            engine=recipe.engine,
            network=network,
            input_shape=(dataset.channels, dataset.height, dataset.width),
            classes=len(dataset.classes),
            images=min(recipe.batch_size, len(dataset.train)),
            device=device,
            threads=threads,
            earlier=earlier,
        )


class Bf16Check(Record):
    """A step of training in bf16 beside one in float32."""

    speedup: Number = Field(gt=0)
    """The time in float32 over the time in bf16."""
    disagreement: str = ""
    """What differs by more than rounding explains; empty: nothing."""

    def choice(self) -> PrecisionChoice:
        if self.disagreement:
            return PrecisionChoice("float32", self.disagreement, self.speedup)
        times = f"{self.speedup:.1f} times" if self.speedup >= 0.1 else f"{self.speedup:.1g} times"
        if self.speedup >= LEAST_SPEEDUP:
            return PrecisionChoice("bf16", f"{times} as fast as float32 here", self.speedup)
        only = "only " if self.speedup >= 1 else ""
        return PrecisionChoice("float32", f"bf16 is {only}{times} as fast here", self.speedup)


def checked(asked: dict[str, Any], measure: Callable[[], Bf16Check]) -> Bf16Check:
    """The check of what was `asked`, from the user's cache; measured and kept there the first time.

    A file that cannot be read is written again; where nothing can be written, nothing is kept.
    """
    path = cache_folder() / "precision" / f"{fingerprint(asked)}.json"
    try:
        kept = _KeptCheck.model_validate_json(path.read_bytes())
        if kept.asked == asked:
            return kept.check
    except (OSError, ValueError):
        pass
    check = measure()
    with contextlib.suppress(StriateError):
        write_json(path, _KeptCheck(asked=asked, check=check).model_dump(mode="json"))
    return check


class _KeptCheck(Record):
    asked: dict[str, Any]
    check: Bf16Check


def together(choices: Sequence[tuple[str, PrecisionChoice]]) -> PrecisionChoice:
    """One precision for all arms of a study, by name: bf16 where every arm has it. The reason is that of the arm that decides."""

    def key(named: tuple[str, PrecisionChoice]) -> tuple[bool, float]:
        _, choice = named
        return choice.precision == "bf16", 0.0 if choice.speedup is None else choice.speedup

    arm, choice = min(choices, key=key)
    if len({choice for _, choice in choices}) == 1:
        return choice
    return replace(choice, reason=f"{choice.reason} (arm '{arm}')")
