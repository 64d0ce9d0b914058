"""The study file that `striate train` writes: the settings with the reasons as comments, for a person to edit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.core.records import printable
from striate.train.rules import FINE_TUNED, FROZEN, OWN, SCRATCH, WIDE, Candidate, Chosen

SEEDS = 3
COMPARISONS = ((FINE_TUNED, FROZEN), (FINE_TUNED, SCRATCH), (WIDE, SCRATCH), (OWN, SCRATCH))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the file says."""

    name: str
    source: str  # of the images
    made: str  # how and for what time, in a sentence
    classes: int
    size: Chosen
    channels: Chosen | None  # None: as in the source
    validation: Chosen | None  # None: the source has a validation part
    group: Chosen | None = None  # None: images are drawn one by one
    batch: Chosen
    augment: tuple[Chosen, ...]  # keys of recipe.augment, as {key: value}
    is_balanced: bool
    matters: Chosen
    candidates: Sequence[Candidate]

    @property
    def arms(self) -> list[str]:
        return [each.name for each in self.candidates]


def text(settings: Settings) -> str:
    """The file. The first candidate is the base, and the others change it."""
    return "\n".join(_lines(settings)) + "\n"


def _lines(settings: Settings) -> Iterator[str]:
    first, *others = settings.candidates
    yield f"# {settings.made}"
    yield "# It is yours to edit: 'striate run' takes it as it takes any study file. Give an edited one another name."
    yield f"question: {_quoted(f'Which network tells the {settings.classes} classes of {settings.name} apart best?')}"
    yield f"name: {_quoted(settings.name)}"
    yield "data:"
    yield f"  source: {_quoted(settings.source)}"
    if settings.channels:
        yield from _commented(f"channels: {settings.channels.value}", settings.channels.why, 2)
    if settings.size.value is None:
        yield f"  # size is left out: {settings.size.why}"
    else:
        yield from _commented(f"size: {settings.size.value}", settings.size.why, 2)
    if settings.validation:
        yield from _commented(f"validation: {settings.validation.value}", settings.validation.why, 2)
    if settings.group:
        yield from _commented(f"group: {_value(settings.group.value)}", settings.group.why, 2)
    yield from _commented("network:", f"{first.name}: {first.why}", 0)
    yield from (f"  {key}: {_value(value)}" for key, value in first.network.items())
    yield "recipe:"
    yield from _commented(f"epochs: {first.epochs}", f"of {first.name}, by its share of the time", 2)
    yield from _commented(f"batch_size: {settings.batch.value}", settings.batch.why, 2)
    yield from (f"  {key}: {_value(value)}" for key, value in first.recipe.items())
    yield "  schedule: {name: linear, warmup: 0.1}"
    if settings.augment:
        yield "  augment:"
        for each in settings.augment:
            ((key, value),) = each.value.items()
            yield from _commented(f"{key}: {_value(value)}", each.why, 4)
    if settings.is_balanced:
        why = "the classes are of very unequal size: each gets the same share of the training"
        yield from _commented("class_weights: balanced", why, 2)
    yield f"seeds: {SEEDS}"
    yield "arms:"
    yield f"  {first.name}: {{}}"
    for other in others:
        yield from _commented(f"{other.name}:", other.why, 2)
        yield from (f"    {key}: {_value(value)}" for key, value in _changes(first, other).items())
    pairs = [f"{a} - {b}" for a, b in COMPARISONS if {a, b} <= set(settings.arms)]
    yield f"compare: {_value(pairs)}"
    if settings.is_balanced:
        yield from _commented("metric: balanced accuracy", "the mean of the classes' accuracies", 0)
    yield from _commented(f"matters: {_value(settings.matters.value)}", settings.matters.why, 0)


def _changes(first: Candidate, other: Candidate) -> dict[str, Any]:
    """What `other` changes of `first`, by dotted key."""
    shared = first.network.items() <= other.network.items()
    added = {key: value for key, value in other.network.items() if key not in first.network}
    changes: dict[str, Any] = (
        {f"network.{key}": value for key, value in added.items()} if shared else {"network": other.network}
    )
    changes["recipe.epochs"] = other.epochs
    before, now = first.recipe["optimizer"], other.recipe["optimizer"]
    return changes | {f"recipe.optimizer.{key}": value for key, value in now.items() if before.get(key) != value}


def _commented(line: str, why: str, indent: int) -> Iterator[str]:
    yield f"{' ' * indent}# {printable(why, keep='')}"
    yield f"{' ' * indent}{line}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _value(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value}" if isinstance(value, int | float) else _plain_word(value)


def _plain_word(text: str) -> str:
    """Without quotes where YAML reads the same text."""
    is_plain = text.replace("-", "").replace(" ", "").replace(".", "").isalnum() and text[0].isalpha()
    return text if is_plain and text.lower() not in {"true", "false", "null"} else _quoted(text)
