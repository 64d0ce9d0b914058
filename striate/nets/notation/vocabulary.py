"""The words of the notation: the kinds of layer, and what may follow a layer's colon. Parser and printer share these tables."""

import re
from dataclasses import dataclass
from typing import Any, get_args

from striate.nets.layers import (
    Activate,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Init,
    Layer,
    LayerOverrides,
    Norm,
    Normalize,
    Pool,
    Subsample,
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a kind of layer is spelled."""

    record: type[Layer]
    number: str = ""  # the field of the number right after the kind
    is_number_required: bool = False
    example: str
    options: tuple[str, ...] = ()  # fields that are spelled by their first letter
    has_overrides: bool = False


_WINDOW = ("kernel", "stride", "padding", "dilation", "groups")
KINDS: dict[str, Kind] = {
    "conv": Kind(
        record=Conv,
        number="filters",
        is_number_required=True,
        example="conv64 or conv64k5s2p0",
        options=_WINDOW,
        has_overrides=True,
    ),
    "pool": Kind(record=Pool, number="kernel", example="pool, pool3 or pool3s2p1", options=("stride", "padding")),
    "avgpool": Kind(
        record=AveragePool, number="kernel", example="avgpool or avgpool3s2p1", options=("stride", "padding")
    ),
    "pick": Kind(record=Subsample, number="size", example="pick2"),
    "gap": Kind(record=GlobalPool, example="gap"),
    "flatten": Kind(
        record=Flatten, number="permutation", example="flatten, or flatten~7 for the random order number 7"
    ),
    "fc": Kind(record=Dense, number="units", is_number_required=True, example="fc128", has_overrides=True),
    "drop": Kind(record=Dropout, number="share", is_number_required=True, example="drop0.5"),
}

ACTIVATIONS: dict[str, Activation] = {("noact" if name == "none" else name): name for name in get_args(Activation)}
_NORMS: dict[str, Norm] = {("nonorm" if name == "none" else name): name for name in get_args(Norm)}

# Word to field and value of `LayerOverrides`. Every value of a field has one word, and every word one field.
WORDS: dict[str, tuple[str, Any]] = {
    **{word: ("norm", name) for word, name in _NORMS.items()},
    "normbefore": ("norm_position", "before"),
    "normafter": ("norm_position", "after"),
    **{word: ("activation", name) for word, name in ACTIVATIONS.items()},
    **{name: ("init", name) for name in get_args(Init)},
    "bias": ("bias", True),
    "nobias": ("bias", False),
    "zerobias": ("zero_bias", True),
    "drawnbias": ("zero_bias", False),
}


def norm_or_activation(word: str) -> Normalize | Activate | None:
    """The layer that `word` stands for outside of a colon: `batch`, `group8`, `relu`; None for any other word."""
    if match := re.fullmatch(r"group([1-9]\d{0,8})", word):
        return Normalize(norm="group", groups=int(match[1]))
    field, value = WORDS.get(word, ("", "none"))
    if value == "none" or field not in {"norm", "activation"}:
        return None
    return Normalize(norm=value) if field == "norm" else Activate(activation=value)


ALONE = tuple(word for word in WORDS if norm_or_activation(word))


def read_override(word: str) -> dict[str, Any]:
    """The fields of `LayerOverrides` that `word` sets; `group8` sets two.

    Raises:
        KeyError: for an unknown word.
    """
    if match := re.fullmatch(r"group(\d{1,9})", word):
        return {"norm": "group", "norm_groups": int(match[1])}
    field, value = WORDS[word]
    return {field: value}


def write_overrides(overrides: LayerOverrides) -> list[str]:
    """The words of `overrides`, in the order of its fields."""
    words_of = {field_and_value: word for word, field_and_value in WORDS.items()}
    fields = {name: value for name in type(overrides).model_fields if (value := getattr(overrides, name)) is not None}
    groups = fields.pop("norm_groups", "")
    words = [words_of[field, value] for field, value in fields.items()]
    return [f"{word}{groups}" if word == "group" else word for word in words]
